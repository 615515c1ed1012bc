package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/store"
)

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{Use: "completion bash|zsh|fish", Short: "Print what a shell needs to complete Ingot's commands, devices, images and jobs",
		Example: "ingot completion bash | sudo tee /usr/share/bash-completion/completions/ingot",
		Args:    args(cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)), ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(c *cobra.Command, given []string) error {
			switch given[0] {
			case "zsh":
				return c.Root().GenZshCompletion(a.out)
			case "fish":
				return c.Root().GenFishCompletion(a.out, true)
			}
			return c.Root().GenBashCompletionV2(a.out, true)
		}}
}

// completionTime is how long a shell waits at most for the daemon.
const completionTime = 2 * time.Second

// completing gives an argument the words of a listing. It asks the daemon only: pressing Tab neither opens nor makes
// a data folder, and without an answer there is nothing to offer.
func (a *app) completing(words func(*app, context.Context, *client) ([]string, error)) cobra.CompletionFunc {
	return func(_ *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
		cl, err := a.completionClient()
		if err != nil || cl == nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(a.ctx, completionTime)
		defer cancel()
		found, err := words(a, ctx, cl)
		if err := errors.Join(err, cl.close()); err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return without(found, given), cobra.ShellCompDirectiveNoFileComp
	}
}

// completes gives a flag the words of a listing.
func (a *app) completes(c *cobra.Command, flag string, words func(*app, context.Context, *client) ([]string, error)) {
	must1(c.RegisterFlagCompletionFunc(flag, a.completing(words)))
}

// without drops what stands on the line already, compared by the word before the tab; and what a shell could take
// for more than a word.
func without(found, given []string) []string {
	var out []string
	for _, f := range found {
		word, _, _ := strings.Cut(f, "\t")
		seen := word == "" || strings.ContainsAny(word, " \n'\"`$\\") || printable(f) != strings.ReplaceAll(f, "\t", "?")
		for _, g := range given {
			seen = seen || word == g
		}
		if !seen {
			out = append(out, f)
		}
	}
	return out
}

// deviceNames offers each device by its name, or its serial while it has none; the rest is its description.
func (a *app) deviceNames(ctx context.Context, cl *client) (out []string, err error) {
	all, err := get[[]store.DeviceView](ctx, cl, "devices")
	for _, d := range all {
		out = append(out, fmt.Sprintf("%s\t%s, %s, serial %s", d.Label(), stateWord(d), d.Model, d.Serial))
	}
	return out, err
}

// codes offers the codes of waiting laptops.
func (a *app) codes(ctx context.Context, cl *client) (out []string, err error) {
	all, err := get[[]store.DeviceView](ctx, cl, "devices")
	for _, d := range all {
		if d.Code != "" {
			out = append(out, fmt.Sprintf("%s\t%s, serial %s", d.Code, d.Model, d.Serial))
		}
	}
	return out, err
}

// imageNames offers the images, versionNames their versions too.
func (a *app) imageNames(ctx context.Context, cl *client) (out []string, err error) {
	all, err := get[[]store.Version](ctx, cl, "images")
	seen := map[string]bool{}
	for _, v := range all {
		if !seen[v.Image] {
			out = append(out, v.Image+"\tits newest version")
		}
		seen[v.Image] = true
	}
	return out, err
}

func (a *app) versionNames(ctx context.Context, cl *client) ([]string, error) {
	out, err := a.imageNames(ctx, cl)
	if err != nil {
		return nil, err
	}
	all, err := get[[]store.Version](ctx, cl, "images")
	for _, v := range all {
		out = append(out, fmt.Sprintf("%s\t%s %s", v.Ref(), v.State, v.Label))
	}
	return out, err
}

func (a *app) roleNames(ctx context.Context, cl *client) (out []string, err error) {
	all, err := get[[]store.Role](ctx, cl, "roles")
	for _, r := range all {
		out = append(out, r.Name+"\t"+r.Image)
	}
	return out, err
}

// jobNames offers the unfinished jobs.
func (a *app) jobNames(ctx context.Context, cl *client) (out []string, err error) {
	all, err := get[[]store.JobView](ctx, cl, "jobs")
	for _, j := range all {
		out = append(out, fmt.Sprintf("%s\t%s: %s to %s", j.ID, j.State, j.Image, j.DeviceLabel))
	}
	return out, err
}
