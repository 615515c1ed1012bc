package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"ingot/imaging/job"
	"ingot/store"
)

// claimRows shows both sides of a claim: which fact stands with which record, and that record.
func claimRows(row func(string, string, ...any), d store.DeviceView) {
	for _, c := range d.Claims {
		row("Claims", "%s stands with %s (%s)", c.Fact, c.Label, c.Device)
	}
	for _, r := range d.Rivals {
		name := r.Label()
		row("Other record", "%s (%s), %s since %s, seen %s", name, r.ID, r.State, when(r.Changed), orDash(when(r.Seen)))
		row("  laptop", "%s %s, serial %s%s, UUID %s", r.Manufacturer, r.Model, r.Serial, stickerWord(r), orDash(r.UUID))
		row("  drives", "%s", drivesWord(r.Drives))
		row("  adapters", "%s", strings.Join(r.BuiltIn, " "))
	}
}

// stickerWord says when the serial is a person's word, and what the firmware tells instead.
func stickerWord(d store.Device) string {
	if d.Sticker == "" {
		return ""
	}
	return fmt.Sprintf(" by its sticker (the firmware tells %q)", d.Told)
}

func (a *app) deviceSettle() *cobra.Command {
	var in store.Settlement
	c := &cobra.Command{Use: "settle DEVICE --as same|two|moved", Short: "Say which laptop a quarantined record is",
		Long: `"ingot device show DEVICE" shows both records and which fact says what. Look at the laptops, then say one of:

  --as same    it is the laptop of the other record (--with OTHER where there are several)
  --as two     it is a laptop of its own; what both tell leads to neither any more
  --as moved   a board or a drive came into it from the other record. It is the laptop that its serial names,
               or --with OTHER, or else one of its own

No record that holds something is given up, and no drive is written. With --as same or moved and --with, DEVICE may
also be the code of a waiting laptop that you know and Ingot does not.`,
		Example: "ingot device settle PF3ABCDE --as moved --with SALES-017",
		Args:    args(cobra.ExactArgs(1)), ValidArgsFunction: a.completing((*app).deviceNames),
		RunE: func(c *cobra.Command, given []string) error {
			if in.As != store.AsSame && in.As != store.AsTwo && in.As != store.AsMoved {
				return usage{fmt.Errorf("say --as same, two or moved; see \"%s --help\"", c.CommandPath())}
			}
			return a.with(false, func(cl *client) error {
				d, err := actOn[store.DeviceView](c.Context(), cl, given[0], "devices/"+url.PathEscape(given[0])+"/settle", in)
				if err != nil {
					return err
				}
				return a.tell(d, d.ID, a.sayf("%s (%s) is %s", d.Label(), d.ID, d.State))
			})
		}}
	c.Flags().StringVar(&in.As, "as", "", "same, two or moved")
	c.Flags().StringVar(&in.With, "with", "", "the record that it is: an id, a name or a serial")
	return a.outputFlag(c)
}

func (a *app) deviceSet() *cobra.Command {
	var serial, asset, owner, note, reason string
	c := &cobra.Command{Use: "set DEVICE", Short: "Correct the serial, asset tag, owner or note of a device",
		Long: `The old entry stays on the device and in the audit trail. To replace an entry say why with --reason. An empty value
clears asset tag, owner or note. The serial is the one for people, names and records: by what its firmware tells, a
laptop is known all the same.`,
		Example: `ingot device set SALES-017 --owner "B. Meyer" --reason "handed on"`,
		Args:    args(cobra.ExactArgs(1)), ValidArgsFunction: a.completing((*app).deviceNames),
		RunE: func(c *cobra.Command, given []string) error {
			in := store.Correction{Reason: reason}
			for flag, field := range map[string]struct {
				value string
				to    **string
			}{"serial": {serial, &in.Serial}, "asset": {asset, &in.Asset}, "owner": {owner, &in.Owner}, "note": {note, &in.Note}} {
				if c.Flags().Changed(flag) {
					*field.to = &field.value
				}
			}
			if in.Serial == nil && in.Asset == nil && in.Owner == nil && in.Note == nil {
				return usage{fmt.Errorf("say what to set; see \"%s --help\"", c.CommandPath())}
			}
			return a.with(false, func(cl *client) error {
				d, err := actOn[store.DeviceView](c.Context(), cl, given[0], "devices/"+url.PathEscape(given[0])+"/set", in)
				if err != nil {
					return err
				}
				return show(a, []store.DeviceView{d}, func(d store.DeviceView) string { return d.ID },
					column[store.DeviceView]{head: "DEVICE", cell: func(d store.DeviceView) string { return d.Label() }},
					column[store.DeviceView]{head: "SERIAL", cell: func(d store.DeviceView) string { return d.Serial }},
					column[store.DeviceView]{head: "ASSET", cell: func(d store.DeviceView) string { return d.Asset }},
					column[store.DeviceView]{head: "OWNER", cell: func(d store.DeviceView) string { return d.Owner }},
					column[store.DeviceView]{head: "NOTE", cell: func(d store.DeviceView) string { return d.Note }})
			})
		}}
	c.Flags().StringVar(&serial, "serial", "", "serial, as its sticker says")
	c.Flags().StringVar(&asset, "asset", "", "asset tag")
	c.Flags().StringVar(&owner, "owner", "", "who has it")
	c.Flags().StringVar(&note, "note", "", "a note")
	c.Flags().StringVar(&reason, "reason", "", "why an entry is replaced")
	return a.outputFlag(c)
}

// maxList bounds the file that is read; the daemon says the same in words.
const maxList = 512<<10 + 1

func (a *app) deviceImport() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "import FILE.csv", Short: "Make known the laptops of a supplier's list",
		Long: `FILE is a CSV file in UTF-8, with a heading; commas, semicolons and tabs separate. "-" reads standard input. Columns,
in any order and case: serial (also "serial number", "S/N", "service tag") and manufacturer (also "maker", "vendor",
"brand") are needed; model, asset tag, owner, role, note, UUID and MAC may be there; other columns are left out.

All lines are imported or none: bad ones are named. The same list again changes nothing, and a list never replaces
what stands on a device. The devices are ready, and each laptop is known when it first starts here. On a closed bench
only those start whose UUID, or whose built-in adapter's MAC, the list names.`,
		Example: "ingot device import delivery.csv",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			list, err := a.readList(given[0])
			if err != nil {
				return err
			}
			return a.with(true, func(cl *client) error {
				out, err := post[store.Listed](c.Context(), cl, "devices/import", store.List{CSV: list})
				if err != nil {
					return err
				}
				return a.listed(out)
			})
		}})
}

// readList reads the file up to one byte more than fits.
func (a *app) readList(path string) ([]byte, error) {
	in := a.in
	if path != "-" {
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil, job.Faultf(job.CodeNotFound, "No file %q.", path)
		}
		if err != nil {
			return nil, job.Faultf(job.CodeListRefused, "%q cannot be opened.", path)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxList))
	if err != nil {
		return nil, job.Faultf(job.CodeListRefused, "%q cannot be read.", path)
	}
	return b, nil
}

// listed tells what a list came to. Bad lines make it a refusal.
func (a *app) listed(out store.Listed) error {
	if len(out.Bad) > 0 {
		for _, b := range out.Bad {
			fmt.Fprintf(a.err, "line %d: %s\n", b.Line, printable(b.Why))
		}
		if out.MoreBad > 0 {
			fmt.Fprintf(a.err, "and %d more\n", out.MoreBad)
		}
		return job.Faultf(job.CodeListRefused, "%s wrong.", counted(len(out.Bad)+out.MoreBad, "line is", "lines are"))
	}
	return show(a, []store.Listed{out}, func(l store.Listed) string { return fmt.Sprint(l.Added) },
		column[store.Listed]{head: "NEW", cell: func(l store.Listed) string { return fmt.Sprint(l.Added) }},
		column[store.Listed]{head: "FILLED IN", cell: func(l store.Listed) string { return fmt.Sprint(l.Filled) }},
		column[store.Listed]{head: "KNOWN", cell: func(l store.Listed) string { return fmt.Sprint(l.Known) }})
}
