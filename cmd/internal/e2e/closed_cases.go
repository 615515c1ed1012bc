package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"ingot/cmd/internal/lab"
	"ingot/store"
)

// closedCases prove what a stranger gets from a closed bench.
func closedCases() []Case {
	return []Case{{"bench-closed", "unknown UEFI, BIOS and HTTP Boot laptops, and whoever asks directly, get no byte of a boot file; as DHCP server and as proxy", nil, benchClosed}}
}

func benchClosed(ctx context.Context, e *Env) (err error) {
	w, err := newWire(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = checks(err, w.close()) }()
	if err := closedAs(ctx, e, w, "dhcp", lab.ServerIP, fullDHCP, 1); err != nil {
		return fmt.Errorf("as DHCP server: %w", err)
	}
	if err := officeDHCP(ctx, e); err != nil {
		return err
	}
	if err := closedAs(ctx, e, w, "proxy", officeIP, []string{"--mode", "proxy", "--pool", "10.77.0.50-10.77.0.59"}, 4); err != nil {
		return fmt.Errorf("as proxy: %w", err)
	}
	return nil
}

// closedAs starts laptops number first and on beside a closed daemon, and looks at the wire.
func closedAs(ctx context.Context, e *Env, w *wire, mode, addresses string, flags []string, first int) error {
	d, err := e.StartDaemon(ctx, flags...)
	if err != nil {
		return err
	}
	s, err := sniff()
	if err != nil {
		return err
	}
	err = checks(strangersStart(ctx, e, d, first), strangersAsk(ctx, w, addresses, first))
	got, sniffErr := s.stop()
	e.Say("%s: the server sent %+v", mode, got)
	if err := checks(err, sniffErr,
		same("bytes by TFTP", got.tftpBytes, 0), same("files by HTTP", got.httpServed, 0),
		that(got.offers > 0 && got.offers == got.missing, "of %d replies with a boot file %d name the one that is not there", got.offers, got.missing),
		that(got.tftpErrors >= 8 && got.httpRefused >= 8, "the laptops and the wire were answered %d and %d errors: they did not ask", got.tftpErrors, got.httpRefused)); err != nil {
		return err
	}
	return checks(openServes(ctx, e, d, w, first), d.Stop())
}

// strangersStart powers on three unknown laptops: each is refused and goes on to find nothing on its empty drive.
func strangersStart(ctx context.Context, e *Env, d *Daemon, first int) error {
	for i, fw := range []lab.Firmware{lab.UEFI, lab.BIOS, lab.HTTPBoot} {
		l := Laptop(first+i, fw, lab.NVMe)
		r, err := e.PowerOn(ctx, l)
		if err != nil {
			return err
		}
		if err := findsNoDevice(ctx, e, r, fw); err != nil {
			return fmt.Errorf("%s: %w", fw, err)
		}
		if err := checks(r.Kill(), refusedOnly(ctx, d, l)); err != nil {
			return fmt.Errorf("%s: %w", fw, err)
		}
		e.Say("%s: refused, nothing fetched, on to its own drive", fw)
	}
	return nil
}

// refusedOnly holds that the boot log of a laptop tells of a refusal, with its reason, and of no file.
func refusedOnly(ctx context.Context, d *Daemon, l *lab.Laptop) error {
	for {
		var logs []store.BootLog
		if err := d.Read(ctx, &logs, "boot", "log", l.MAC); err != nil {
			return err
		}
		refused := false
		for _, ev := range logs[0].Events {
			if ev.File != "" || ev.Bytes > 0 {
				return fmt.Errorf("the boot log tells of %s %s, %d bytes", ev.Leg, ev.File, ev.Bytes)
			}
			refused = refused || ev.Leg == "refuse" && strings.Contains(ev.Text, "The bench is closed.")
		}
		if refused {
			return nil
		}
		if err := pause(ctx, "the refusal in the boot log"); err != nil {
			return err
		}
	}
}

// strangersAsk asks directly for everything there is, from an address that DHCP gave and from one that nobody gave,
// in its own name and in another's.
func strangersAsk(ctx context.Context, w *wire, addresses string, first int) error {
	known := w.machine(first, classPXE, archX64)
	if _, err := known.lease(ctx, addresses); err != nil {
		return err
	}
	quiet := w.machine(first+1, classPXE, archX64)
	quiet.ip = netip.MustParseAddr(w.host.IP)
	for _, c := range []*client{known, quiet} {
		for _, mac := range []string{c.mac.String(), "52:54:00:aa:00:01"} {
			if err := c.getsNothing(ctx, mac); err != nil {
				return err
			}
		}
	}
	return w.forget(ctx, []*client{known})
}

// bootFiles are the names of the bundle's files.
var bootFiles = []string{"shimx64.efi", "grubx64.efi", "undionly.kpxe", "vmlinuz", "initrd.img", "httpboot.img"}

func (c *client) getsNothing(ctx context.Context, mac string) error {
	for _, name := range append([]string{"grub/grub.cfg", "/grub/by-mac/" + mac}, bootFiles...) {
		if data, err := c.tftp(ctx, name, whole); err == nil || !strings.Contains(err.Error(), "refused") {
			return fmt.Errorf("TFTP %s from %s gave %d bytes and %v; want a refusal", name, c.ip, len(data), err)
		}
	}
	for _, name := range append([]string{"boot.ipxe", "boot.ipxe?mac=" + mac, "httpboot/" + mac + "/ingot.img"}, bootFiles...) {
		if data, err := c.http(ctx, url(name)); err == nil || !strings.Contains(err.Error(), "404") {
			return fmt.Errorf("HTTP %s from %s gave %d bytes and %v; want 404", name, c.ip, len(data), err)
		}
	}
	return nil
}

// openServes is the control: the same eyes see bytes as soon as the bench is open.
func openServes(ctx context.Context, e *Env, d *Daemon, w *wire, first int) error {
	if err := d.Do(ctx, cmd("bench open 1h")); err != nil {
		return err
	}
	s, err := sniff()
	if err != nil {
		return err
	}
	c := w.machine(first+1, classPXE, archX64)
	c.ip = netip.MustParseAddr(w.host.IP)
	_, tftpErr := c.tftp(ctx, "shimx64.efi", whole)
	_, httpErr := c.http(ctx, url("grubx64.efi"))
	got, err := s.stop()
	e.Say("on an open bench the server sent %+v", got)
	return checks(tftpErr, httpErr, err, that(got.tftpBytes > 0 && got.httpServed == 1, "the control saw %+v", got))
}
