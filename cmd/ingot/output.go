package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// outputs are the forms in which every answer can be had.
var outputs = []string{"table", "wide", "json", "name"}

// ownOutput is the annotation of a command that has one more form.
const ownOutput = "output"

// outputFlag gives a command its -o flag.
func (a *app) outputFlag(c *cobra.Command) *cobra.Command {
	c.Flags().StringVarP(&a.output, "output", "o", "table", "table, wide, json or name")
	must1(c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

// revisionFlag lets a person say on which view of the device the act was decided: when something happened to it since,
// the act is refused.
func (a *app) revisionFlag(c *cobra.Command) *cobra.Command {
	c.Flags().Uint64Var(&a.revision, "revision", 0, "refuse when the device has changed since \"ingot device show\" told this revision")
	return c
}

// must1 ends the program for a mistake in the command tree itself.
func must1(err error) {
	if err != nil {
		panic(err)
	}
}

// checkOutput refuses an unknown form before anything was done.
func (a *app) checkOutput(c *cobra.Command) error {
	if own := c.Annotations[ownOutput]; own != "" && a.output == own {
		return nil
	}
	for _, o := range append(outputs, "") {
		if a.output == o {
			return nil
		}
	}
	return usage{fmt.Errorf("unknown output %q: use table, wide, json or name", a.output)}
}

// tell prints one thing: in words, or as -o asks. name is what -o name prints.
func (a *app) tell(v any, name string, say func() error) error {
	switch a.output {
	case "json":
		return a.json(v)
	case "name":
		_, err := fmt.Fprintln(a.out, printable(name))
		return err
	}
	return say()
}

// sayf is the words of tell, on one line.
func (a *app) sayf(format string, args ...any) func() error {
	return func() error {
		_, err := fmt.Fprintf(a.out, "%s\n", printable(fmt.Sprintf(format, args...)))
		return err
	}
}
