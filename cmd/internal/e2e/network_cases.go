package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
)

// networkCases prove how the daemon behaves beside other servers, and what a laptop does with other loaders.
func networkCases() []Case {
	beside := func(fw lab.Firmware) func(context.Context, *Env) error {
		return func(ctx context.Context, e *Env) error { return bootsBesideDHCP(ctx, e, fw) }
	}
	return []Case{
		{"proxy-bios", "beside an office's DHCP server a BIOS laptop starts the agent", nil, beside(lab.BIOS)},
		{"proxy-secureboot", "beside an office's DHCP server a Secure Boot laptop starts the agent by PXE", nil, beside(lab.SecureBoot)},
		{"proxy-httpboot", "beside an office's DHCP server a Secure Boot laptop starts the agent by HTTP Boot", nil, beside(lab.SecureHTTPBoot)},
		{"secureboot-negative", "with Secure Boot on, firmware refuses a changed shim, and GRUB a changed kernel; the same laptop then starts by our chain", nil, secureBootNegative},
		{"two-nics", "a laptop with two wired cards says one Hello: over either, or over the only one that leads here", nil, twoNICs},
		{"foreign-dhcp", "the daemon does not serve addresses beside another DHCP server, unless told to", nil, foreignDHCP},
		{"second-start", "a second daemon on one machine or data folder ends with a clear message; the first goes on", nil, secondStart},
	}
}

// officeDHCP puts another computer on the switch whose DHCP server knows nothing of booting; more are further
// settings of it.
func officeDHCP(ctx context.Context, e *Env, more ...string) error {
	h, err := e.Bench.AddHost(ctx, "office", "10.77.0.2")
	if err != nil {
		return err
	}
	argv := append([]string{"dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--port=0", "--user=root",
		"--interface=eth0", "--bind-interfaces", "--log-dhcp", "--no-ping", "--dhcp-authoritative",
		"--dhcp-leasefile=" + filepath.Join(e.Dir, "office.leases"), "--dhcp-range=10.77.0.150,10.77.0.190,255.255.255.0,1h"}, more...)
	p, err := e.Bench.Start("office-dnsmasq", h.Argv(argv...)...)
	if err != nil {
		return err
	}
	return waitLog(ctx, p, "DHCP, IP range")
}

func waitLog(ctx context.Context, p *lab.Process, text string) error {
	for {
		data, err := os.ReadFile(p.LogPath)
		if err != nil {
			return err
		}
		if bytes.Contains(data, []byte(text)) {
			return nil
		}
		select {
		case <-p.Done():
			return fmt.Errorf("%s ended: %s", p.Name, p.Tail(5))
		default:
		}
		if err := pause(ctx, p.Name); err != nil {
			return err
		}
	}
}

func bootsBesideDHCP(ctx context.Context, e *Env, fw lab.Firmware) error {
	if err := officeDHCP(ctx, e); err != nil {
		return err
	}
	flags := []string{"--mode", "proxy"}
	if fw == lab.SecureBoot {
		// The signed GRUB takes its server from the acknowledgement, so that UEFI PXE is lent an address.
		flags = append(flags, "--pool", "10.77.0.50-10.77.0.59")
	}
	d, err := e.StartDaemon(ctx, flags...)
	if err != nil {
		return err
	}
	if _, err := d.CLI(ctx, "bench", "open", "8h"); err != nil {
		return err
	}
	l := Laptop(1, fw, lab.NVMe)
	r, code, err := showsCode(ctx, e, l)
	if err != nil {
		return err
	}
	dev, err := d.device(ctx, code)
	if err != nil {
		return err
	}
	m, err := r.Console.WaitAfter(ctx, 0, regexp.MustCompile(`address=(10\.77\.0\.\d+)/24`))
	if err != nil {
		return err
	}
	e.Say("the agent has the address %s", m[1])
	return checks(same("serial", dev.Serial, l.Serial), bootLogEndsInHello(ctx, d, l))
}

func twoNICs(ctx context.Context, e *Env) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	l := Laptop(1, lab.UEFI, lab.NVMe)
	l.MoreMACs = []string{"52:54:00:aa:01:01"}
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return err
	}
	for _, mac := range append([]string{l.MAC}, l.MoreMACs...) {
		if _, err := r.Console.WaitAfter(ctx, 0, regexp.MustCompile(`found a network adapter [^\n]*mac=`+mac)); err != nil {
			return err
		}
	}
	code, err := waitHello(ctx, e, r)
	if err != nil {
		return err
	}
	dev, err := d.device(ctx, code)
	if err != nil {
		return err
	}
	seen := strings.Join(dev.MACs, " ")
	if err := checks(same("serial", dev.Serial, l.Serial), r.Kill(), that(strings.Contains(seen, l.MAC), "the device's MACs are %q; want %s among them", seen, l.MAC)); err != nil {
		return err
	}
	return oneLink(ctx, e, d)
}

func foreignDHCP(ctx context.Context, e *Env) error {
	if err := officeDHCP(ctx, e); err != nil {
		return err
	}
	d := e.newDaemon(fullDHCP...)
	err := d.Start(ctx)
	if err == nil {
		return fmt.Errorf("the daemon started as a DHCP server beside another one")
	}
	words := d.lastWords()
	e.Say("refused: %s", words)
	if err := that(containsCode(words, job.CodeDaemon) && strings.Contains(words, "10.77.0.2"), "the refusal does not name the other server: %s", words); err != nil {
		return err
	}
	told := e.newDaemon(append(fullDHCP, "--allow-foreign")...)
	return told.Start(ctx)
}

func secondStart(ctx context.Context, e *Env) error {
	d, err := startBench(ctx, e)
	if err != nil {
		return err
	}
	same := &Daemon{Data: d.Data, env: e, argv: d.argv}
	other := e.newDaemon(fullDHCP...)
	other.argv = append(other.argv, "--allow-foreign")
	for what, second := range map[string]*Daemon{"on the same data folder": same, "on the same machine": other} {
		if err := second.Start(ctx); err == nil {
			return fmt.Errorf("a second daemon started %s", what)
		}
		words := second.lastWords()
		e.Say("second start %s: %s", what, words)
		if err := that(containsCode(words, job.CodeDaemon), "the refusal %s has no plain words: %s", what, words); err != nil {
			return err
		}
	}
	_, err = d.CLI(ctx, "device", "list")
	return err
}

// secureBootNegative serves our own boot bundle by a foreign server, with one byte changed: what the firmware
// and GRUB check must hold without any help of the daemon.
func secureBootNegative(ctx context.Context, e *Env) error {
	for i, x := range []struct{ file, refusal string }{
		{"shimx64.efi", `Access Denied|Security Violation`},
		{"vmlinuz", `bad shim signature|invalid signature|Security`},
	} {
		if err := bootsChanged(ctx, e, i+1, x.file, x.refusal); err != nil {
			return fmt.Errorf("with a changed %s: %w", x.file, err)
		}
	}
	return bootsToHello(ctx, e, lab.SecureBoot) // the first laptop again, now by our own chain
}

func bootsChanged(ctx context.Context, e *Env, n int, file, refusal string) error {
	root, err := changedBundle(e, file)
	if err != nil {
		return err
	}
	p, err := e.Bench.Start(fmt.Sprintf("foreign-%d", n), "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--port=0", "--user=root",
		"--interface="+lab.Bridge, "--bind-interfaces", "--no-ping", "--dhcp-authoritative", "--dhcp-leasefile="+filepath.Join(root, "leases"),
		"--dhcp-range=10.77.0.150,10.77.0.190,255.255.255.0,1h", "--enable-tftp", "--tftp-root="+root, "--dhcp-boot=shimx64.efi")
	if err != nil {
		return err
	}
	if err := waitLog(ctx, p, "TFTP"); err != nil {
		return err
	}
	l := Laptop(n, lab.SecureBoot, lab.NVMe)
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return err
	}
	m, err := r.Console.WaitAfter(ctx, 0, regexp.MustCompile(`(?i)(`+refusal+`)|(ingot: agent)|(Linux version)`))
	if err != nil {
		return err
	}
	if m[1] == "" {
		return fmt.Errorf("it was started: %q", m[0])
	}
	e.Say("a changed %s is refused: %s", file, m[1])
	if err := r.Kill(); err != nil {
		return err
	}
	return p.Kill()
}

// changedBundle copies the boot bundle for a TFTP server and flips one bit in the middle of a file.
func changedBundle(e *Env, file string) (root string, err error) {
	root = filepath.Join(e.Dir, "changed-"+file)
	if err := os.MkdirAll(filepath.Join(root, "grub"), 0o755); err != nil {
		return "", err
	}
	for _, name := range []string{"shimx64.efi", "grubx64.efi", "vmlinuz", "initrd.img"} {
		data, err := os.ReadFile(filepath.Join(bundleDir(e.Cache), "current", name))
		if err != nil {
			return "", err
		}
		if name == file {
			data[len(data)/2] ^= 1
		}
		if err := os.WriteFile(filepath.Join(root, name), data, 0o644); err != nil {
			return "", err
		}
	}
	cfg := "linux /vmlinuz console=ttyS0,115200\ninitrd /initrd.img\nboot\n"
	return root, os.WriteFile(filepath.Join(root, "grub", "grub.cfg"), []byte(cfg), 0o644)
}
