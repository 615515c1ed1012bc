package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (a *app) manCommand() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "man FOLDER", Short: "Write the manual pages of all commands into a folder",
		Long: "One page a command, for section 1 of the manual. \"make install\" calls it.", Example: "ingot man /usr/local/share/man/man1",
		Args: args(cobra.ExactArgs(1)), RunE: func(c *cobra.Command, given []string) error {
			var names []string
			for _, p := range pages(c.Root()) {
				if err := os.WriteFile(filepath.Join(given[0], p.name), []byte(p.text), 0o644); err != nil {
					return fmt.Errorf("write manual page: %w", err)
				}
				names = append(names, p.name)
			}
			return show(a, names, func(n string) string { return n }, column[string]{head: "PAGE", cell: func(n string) string { return n }})
		}})
}

// page is one manual page.
type page struct{ name, text string }

// pages makes the manual out of the command tree, so that it says what --help says.
func pages(root *cobra.Command) []page {
	var out []page
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" {
			return
		}
		out = append(out, page{pageName(c) + ".1", manPage(c)})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	return out
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manPage writes one command as man(7) macros.
func manPage(c *cobra.Command) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`.TH "%s" 1 "" "Ingot" "Ingot's commands"`, strings.ToUpper(pageName(c)))
	line(".SH NAME\n%s \\- %s", roff(pageName(c)), roff(c.Short))
	line(".SH SYNOPSIS\n.B %s", roff(c.UseLine()))
	if c.Long != "" {
		line(".SH DESCRIPTION\n%s", roff(c.Long))
	}
	if c.HasAvailableSubCommands() {
		line(".SH COMMANDS")
		for _, sub := range c.Commands() {
			if !sub.Hidden && sub.Name() != "help" {
				line(".TP\n.BR %s (1)\n%s", roff(pageName(sub)), roff(sub.Short))
			}
		}
	}
	flags(line, "OPTIONS", c.NonInheritedFlags())
	flags(line, "OPTIONS OF EVERY COMMAND", c.InheritedFlags())
	if c.Example != "" {
		line(".SH EXAMPLES\n.nf\n%s\n.fi", roff(c.Example))
	}
	line(".SH EXIT STATUS\n.TP\n0\ndone\n.TP\n1\nfailed\n.TP\n2\nnot understood\n.TP\n3\ndone in part, or damage or a warning found")
	if !c.HasParent() {
		line(".SH FILES\n.TP\n.I /etc/ingot/ingot.toml\nthe configuration\n.TP\n.I /var/lib/ingot\nrecords, images, keys and the boot bundle")
		line(".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nwhen set, nothing is coloured")
	} else {
		line(".SH SEE ALSO\n.BR %s (1)", roff(pageName(c.Parent())))
	}
	return b.String()
}

// flags lists the options of one kind.
func flags(line func(string, ...any), head string, set *pflag.FlagSet) {
	if !set.HasAvailableFlags() {
		return
	}
	line(".SH %s", head)
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		names := `\fB\-\-` + roff(f.Name) + `\fR`
		if f.Shorthand != "" {
			names = `\fB\-` + f.Shorthand + `\fR, ` + names
		}
		if f.Value.Type() != "bool" {
			names += ` \fI` + strings.ToUpper(roff(f.Value.Type())) + `\fR`
		}
		line(".TP\n%s\n%s", names, roff(f.Usage))
	})
}

// roff keeps text from being taken for macros.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
