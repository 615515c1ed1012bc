package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// commands lists every command that a person can give.
func commands(c *cobra.Command) []*cobra.Command {
	if c.Hidden || c.Name() == "help" {
		return nil
	}
	out := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		out = append(out, commands(sub)...)
	}
	return out
}

func commandTree() *cobra.Command {
	return (&app{ctx: context.Background(), out: io.Discard, err: io.Discard}).rootCommand()
}

// TestEveryCommandIsExplained: each has its one line, and each that does something an example that the command line
// understands, a manual page, and every form of output.
func TestEveryCommandIsExplained(t *testing.T) {
	prose := []string{"ingot daemon", "ingot completion", "ingot config show", "ingot push csv"} // whose output is no list of things
	names := map[string]bool{}
	for _, p := range pages(commandTree()) {
		names[p.name] = true
		if !strings.Contains(p.text, ".SH NAME\n") || !strings.Contains(p.text, ".SH EXIT STATUS\n") {
			t.Errorf("%s lacks a section", p.name)
		}
	}
	for _, c := range commands(commandTree()) {
		path := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: its short text is %q", path, c.Short)
		}
		if !names[strings.ReplaceAll(path, " ", "-")+".1"] {
			t.Errorf("%s has no manual page", path)
		}
		if c.HasSubCommands() {
			continue
		}
		if c.Example == "" {
			t.Errorf("%s has no example", path)
		}
		for _, line := range strings.Split(c.Example, "\n") {
			checkLine(t, path, line)
		}
		if c.Flags().Lookup("output") == nil && !slices.Contains(prose, path) {
			t.Errorf("%s has no -o", path)
		}
	}
}

// checkLine holds that the command line understands an example.
func checkLine(t *testing.T, where, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, " | ")
	words := shellWords(strings.TrimPrefix(line, "sudo "))
	if len(words) < 2 || words[0] != "ingot" {
		t.Errorf("%s: the example %q is no command of Ingot", where, line)
		return
	}
	c, rest, err := commandTree().Find(words[1:])
	if err != nil || c.CommandPath() != where {
		t.Errorf("%s: the example %q is the command %q (%v)", where, line, c.CommandPath(), err)
		return
	}
	if err := c.ParseFlags(rest); err != nil {
		t.Errorf("%s: the example %q: %v", where, line, err)
	} else if err := c.ValidateArgs(c.Flags().Args()); err != nil {
		t.Errorf("%s: the example %q: %v", where, line, err)
	}
}

// TestTheManualIsReadByMan formats pages of each kind; man warns of what it cannot read.
func TestTheManualIsReadByMan(t *testing.T) {
	if _, err := exec.LookPath("man"); err != nil {
		t.Skip("no man here")
	}
	dir := t.TempDir()
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"man", dir, "-o", "name"}, nil, &out, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	for _, name := range []string{"ingot.1", "ingot-audit-verify.1", "ingot-device.1", "ingot-deploy.1", "ingot-daemon.1", "ingot-role-add.1"} {
		cmd := exec.Command("man", "--warnings", "-l", filepath.Join(dir, name))
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH=80", "MANROFFOPT=")
		var text, warn bytes.Buffer
		cmd.Stdout, cmd.Stderr = &text, &warn
		if err := cmd.Run(); err != nil || warn.Len() > 0 || !strings.Contains(text.String(), "SYNOPSIS") {
			t.Errorf("man %s: %v %s %.200q", name, err, warn.String(), text.String())
		}
	}
}
