package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"ingot/cmd/ingot/internal/doctor"
)

func (a *app) doctorCommand() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "doctor", Short: "Check this server: what keeps laptops from being imaged, and what to do",
		Long: `Looks at configuration, data folder, disk room, clock, keys, boot bundle, interfaces, other DHCP servers, ports, firewall,
daemon and bench. It changes nothing; it asks each configured interface for a DHCP server, for three seconds at most. Run
it as root, or much cannot be seen.
Exit codes: 0 all is well, 1 something keeps laptops from being imaged, 3 warnings.`,
		Example: "sudo ingot doctor\nsudo ingot doctor -o json", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return a.doctor(c.Context()) }})
}

func (a *app) doctor(ctx context.Context) error {
	found := doctor.Judge(a.look(ctx))
	if err := a.showFindings(found); err != nil {
		return err
	}
	n := map[doctor.Level]int{}
	for _, f := range found {
		n[f.Level]++
	}
	warnings := counted(n[doctor.Warn], "warning", "warnings")
	switch doctor.Worst(found) {
	case doctor.Fail:
		return told{fmt.Errorf("%s from being imaged; %s; see above",
			counted(n[doctor.Fail], "thing keeps laptops", "things keep laptops"), warnings)}
	case doctor.Warn:
		return partly{fmt.Errorf("nothing keeps laptops from being imaged; %s, see above", warnings)}
	}
	return nil
}

func (a *app) showFindings(found []doctor.Finding) error {
	if a.output != "table" {
		return show(a, found, func(f doctor.Finding) string { return f.Check },
			column[doctor.Finding]{head: "CHECK", cell: func(f doctor.Finding) string { return f.Check }},
			column[doctor.Finding]{head: "RESULT", cell: func(f doctor.Finding) string { return string(f.Level) }},
			column[doctor.Finding]{head: "FOUND", cell: func(f doctor.Finding) string { return f.Text }},
			column[doctor.Finding]{head: "DO", cell: func(f doctor.Finding) string { return f.Do }})
	}
	var errs []error
	for _, f := range found {
		_, err := fmt.Fprintf(a.out, "%s  %-13s  %s\n", a.coloured(f.Level), f.Check, printable(f.Text))
		errs = append(errs, err)
		if f.Do != "" {
			_, err := fmt.Fprintf(a.out, "%-4s  %-13s  do: %s\n", "", "", printable(f.Do))
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// coloured is a level, in colour where a person looks and NO_COLOR does not forbid it.
func (a *app) coloured(l doctor.Level) string {
	word := fmt.Sprintf("%-4s", l)
	if !isTerminal(a.out) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return word
	}
	return map[doctor.Level]string{doctor.OK: "\x1b[32m", doctor.Warn: "\x1b[33m", doctor.Fail: "\x1b[31m"}[l] + word + "\x1b[0m"
}
