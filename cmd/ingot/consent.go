package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"ingot/imaging/job"
)

// destruction is what an act would destroy, as the person who does it must see it.
type destruction struct {
	name   string // of the device
	serial string // of the device: it is typed
	what   string // what is lost, a sentence
}

// consent is how a person agrees to a destruction: by typing the serial at a terminal, or, where nobody sits, by
// --yes together with the serial. It is the one rule for every act that destroys.
type consent struct {
	yes    bool
	serial string // as given on the command line; "" when the device was named otherwise
}

// confirm lets a destruction happen, or refuses it.
func (a *app) confirm(d destruction, c consent) error {
	if c.yes {
		if c.serial == "" || !sameSerial(c.serial, d.serial) {
			return job.Faultf(job.CodeUnconfirmed, "%s has the serial %s. %s With --yes it must be named by that serial.", d.name, cmp.Or(d.serial, "(none)"), d.what)
		}
		return nil
	}
	if !a.atTerminal() {
		return job.Faultf(job.CodeUnconfirmed, "%s, serial %s. %s", d.name, cmp.Or(d.serial, "(none)"), d.what)
	}
	fmt.Fprintf(a.err, "%s\nserial %s\n%s\nType the serial to go on: ", printable(d.name), printable(d.serial), printable(d.what))
	typed, err := readLine(a.in)
	if err != nil {
		return err
	}
	if d.serial == "" || !sameSerial(typed, d.serial) {
		return job.Faultf(job.CodeUnconfirmed, "What was typed is not the serial. Nothing was done.")
	}
	return nil
}

// sameSerial compares serials as people type them.
func sameSerial(typed, serial string) bool {
	return strings.EqualFold(strings.TrimSpace(typed), strings.TrimSpace(serial))
}

// atTerminal reports whether a person can be asked.
func (a *app) atTerminal() bool { return isTerminal(a.in) }

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// longestLine bounds what a person types.
const longestLine = 4096

// readLine reads one line without its end, and not a byte more than that.
func readLine(r io.Reader) (string, error) {
	var line []byte
	one := make([]byte, 1)
	for len(line) < longestLine {
		n, err := r.Read(one)
		if n == 1 && one[0] == '\n' {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		line = append(line, one[:n]...)
		if err != nil {
			return "", job.Faultf(job.CodeUnconfirmed, "The input ended. Nothing was done.")
		}
	}
	return "", job.Faultf(job.CodeUnconfirmed, "That line is too long. Nothing was done.")
}

// yesFlag gives an act its --yes.
func yesFlag(c *cobra.Command, yes *bool, help string) {
	c.Flags().BoolVarP(yes, "yes", "y", false, help)
}
