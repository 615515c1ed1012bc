package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ingot/cmd/internal/lab"
	"ingot/firmware/efivar"
)

// The entry that a deploy leaves.
const (
	entryLabel  = "Ingot " // and the laptop's name
	entryLoader = `\EFI\debian\shimx64.efi`
)

// bootMenu reads the firmware's menu as the laptop's own system sees it.
func bootMenu(ctx context.Context, e *Env, sh *lab.Shell) (efivar.BootState, error) {
	out, err := sh.Run(ctx, `cd /sys/firmware/efi/efivars && for f in Boot*-`+efivar.Global.String()+`; do echo "$f $(base64 -w0 "$f")"; done; cd /`)
	if err != nil {
		return efivar.BootState{}, err
	}
	dir, err := os.MkdirTemp(e.Dir, "menu-")
	if err != nil {
		return efivar.BootState{}, err
	}
	for line := range strings.Lines(out) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		value, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return efivar.BootState{}, fmt.Errorf("read the variable %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), value, 0o644); err != nil {
			return efivar.BootState{}, err
		}
	}
	vars, err := efivar.Open(dir)
	if err != nil {
		return efivar.BootState{}, err
	}
	s, err := vars.Boot()
	if err == nil {
		e.Say("boot menu: %s", menuText(s))
	}
	return s, err
}

func menuText(s efivar.BootState) string {
	var out []string
	for _, n := range s.Order {
		out = append(out, fmt.Sprintf("%04X %s", n, s.Entries[n].Description))
	}
	return fmt.Sprintf("%s; started by %04X", strings.Join(out, ", "), s.Current)
}

// menuIsRight holds that exactly one entry leads to a partition, that it is the drive's own and started this
// system, that it stands behind the network's entries, and that nothing is left over.
func menuIsRight(ctx context.Context, e *Env, sh *lab.Shell) error {
	s, err := bootMenu(ctx, e, sh)
	if err != nil {
		return err
	}
	esp, err := sh.Run(ctx, `lsblk -no PARTUUID "$(findmnt -no SOURCE /boot/efi)"`)
	if err != nil {
		return err
	}
	name, err := sh.Run(ctx, "hostname")
	if err != nil {
		return err
	}
	var own []uint16
	for n, o := range s.Entries {
		if _, ok := o.Path.Partition(); ok && !o.Network() {
			own = append(own, n)
		}
	}
	if len(own) != 1 {
		return fmt.Errorf("%d entries lead to a partition; want 1: %+v", len(own), s.Entries)
	}
	n := own[0]
	o := s.Entries[n]
	part, _ := o.Path.Partition()
	place := slices.Index(s.Order, n)
	errs := []error{
		same("the entry's name", o.Description, entryLabel+strings.TrimSpace(name)),
		same("the entry's partition", part.GUID.String(), strings.ToLower(strings.TrimSpace(esp))),
		same("the entry's loader", o.Path.File(), entryLoader),
		that(o.Attributes&efivar.Active != 0, "the entry is not active"),
		same("the entry that was started", s.Current, int(n)),
		same("BootNext", s.Next, -1),
		same("entries that cannot be read", len(s.Unreadable), 0),
		that(place >= 0 && !slices.Contains(s.Order[place+1:], n), "BootOrder %04X names the entry %04X not once", s.Order, n),
	}
	for i, m := range s.Order {
		entry, ok := s.Entries[m]
		errs = append(errs, that(ok, "BootOrder names %04X, which is not there", m),
			that(!entry.Network() || i < place, "the network's entry %04X stands behind the drive's", m))
	}
	return checks(errs...)
}
