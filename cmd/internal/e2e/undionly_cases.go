package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/cmd/internal/lab"
	"ingot/store"
)

// undionlyCases prove the way of a BIOS without iPXE: undionly.kpxe first, and from it as from any iPXE.
func undionlyCases() []Case {
	return []Case{{"bios-undionly", "undionly.kpxe, chained by a script, starts the agent and never itself; a BIOS without iPXE is sent to it", nil, biosUndionly}}
}

func biosUndionly(ctx context.Context, e *Env) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	if err := plainBIOS(ctx, e); err != nil {
		return fmt.Errorf("a BIOS without iPXE, played on the wire: %w", err)
	}
	kernel, err := ipxeProgram(ctx, e)
	if err != nil {
		return err
	}
	l := Laptop(1, lab.BIOS, lab.NVMe)
	l.Kernel, l.KernelWords = kernel, "dhcp && chain tftp://"+lab.ServerIP+"/undionly.kpxe"
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return err
	}
	if _, err := waitHello(ctx, e, r); err != nil {
		return err
	}
	if err := bootLogEndsInHello(ctx, d, l); err != nil {
		return err
	}
	var logs []store.BootLog
	if err := d.Read(ctx, &logs, "boot", "log", l.MAC); err != nil {
		return err
	}
	var loaded []string
	for _, ev := range logs[0].Events {
		if ev.File != "" {
			loaded = append(loaded, filepath.Base(ev.File))
		}
	}
	return same("what was fetched, in order", strings.Join(loaded, " "), "undionly.kpxe boot.ipxe vmlinuz initrd.img")
}

// plainBIOS plays a card's own PXE ROM, which has no user class: DHCP and a TFTP fetch of the loader; then the
// loader, which has one.
func plainBIOS(ctx context.Context, e *Env) (err error) {
	w, err := newWire(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	c := w.machine(1, classPXE, archBIOS)
	ack, err := c.lease(ctx, lab.ServerIP)
	if err != nil {
		return err
	}
	if err := checks(same("the file", ack.BootFileName, "undionly.kpxe"), same("the next server", ack.ServerIPAddr.String(), lab.ServerIP)); err != nil {
		return err
	}
	want, err := os.ReadFile(filepath.Join(bundleDir(e.Cache), "current", "undionly.kpxe"))
	if err != nil {
		return err
	}
	got, err := c.tftp(ctx, ack.BootFileName, whole)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("the loader that came by TFTP has %d bytes and is not the bundle's (%d bytes)", len(got), len(want))
	}
	m, err := c.say(dhcpv4.MessageTypeDiscover, c.class, dhcpv4.OptGeneric(dhcpv4.OptionUserClassInformation, []byte("iPXE")))
	if err != nil {
		return err
	}
	offer, err := c.hear(ctx, m, lab.ServerIP, dhcpv4.MessageTypeOffer)
	if err != nil {
		return err
	}
	e.Say("without user class: %s, %d bytes; with it: %s", ack.BootFileName, len(got), offer.BootFileName)
	script, err := c.http(ctx, offer.BootFileName)
	if err != nil {
		return err
	}
	return checks(same("iPXE's file", offer.BootFileName, url("boot.ipxe?mac="+c.mac.String())),
		that(bytes.HasPrefix(script, []byte("#!ipxe\n")) && bytes.Contains(script, []byte("ingot.token=")), "the script is %q", script))
}

// ipxeProgram takes from the bundle's own package the iPXE that can be started by hand with a script.
func ipxeProgram(ctx context.Context, e *Env) (string, error) {
	debs, err := filepath.Glob(filepath.Join(bundleDir(e.Cache), "debs", "ipxe_*.deb"))
	if err != nil || len(debs) == 0 {
		return "", fmt.Errorf("the boot bundle's packages hold no iPXE: %w", errors.Join(err, os.ErrNotExist))
	}
	dir := filepath.Join(e.Dir, "ipxe")
	if _, err := lab.Command(ctx, "dpkg-deb", "--extract", debs[len(debs)-1], dir); err != nil {
		return "", err
	}
	return filepath.Join(dir, "boot", "ipxe.lkrn"), nil
}
