package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ingot/cmd/internal/golden"
	"ingot/cmd/internal/lab"
)

// server is the daemon's computer as a helpdesk has it: a Debian with systemd on a machine of its own, the daemon
// installed as a service, its data on a small drive, and its bench on a USB network adapter.
type server struct {
	machine *lab.Laptop
	card    *lab.USBCard
	run     *lab.Run
	sh      *lab.Shell
}

// The server's bench: a switch on which nothing of the lab stands.
const (
	serverSwitch = "bench"
	serverAddr   = "10.78.0.1"
	serverMoved  = "10.78.0.3"
	serverCard   = "usb0" // the kernel's name for an adapter without a vendor's address
	serverMAC    = "52:54:00:cc:00:01"
	dataSize     = 160 << 20
)

const serverConfig = `[boot]
mode = "dhcp"
interfaces = ["` + serverCard + `"]

[[boot.subnets]]
prefix = "10.78.0.0/24"
first = "10.78.0.50"
last = "10.78.0.250"
`

const serverNetwork = `[Match]
MACAddress=` + serverMAC + `

[Network]
Address=` + serverAddr + `/24
LinkLocalAddressing=no
ConfigureWithoutCarrier=yes
`

// serverInstall is what "make install" does on a host that has a compiler, and an administrator after it. The drive
// that carries it all is the data folder's own.
const serverInstall = `(set -e
mkdir -p /var/lib/ingot
echo 'LABEL=ingot /var/lib/ingot ext4 defaults 0 2' >>/etc/fstab
systemctl daemon-reload
mount /var/lib/ingot
useradd --system --user-group --home-dir /var/lib/ingot --no-create-home --shell /usr/sbin/nologin ingot
cd /var/lib/ingot/install
cp -r --preserve=mode root/. /
cp ingot.toml /etc/ingot/ingot.toml
cp bench.network /etc/systemd/network/10-bench.network
cd /
rm -r /var/lib/ingot/install
chown -R ingot:ingot /var/lib/ingot
networkctl reload
systemctl daemon-reload
systemctl -q enable ingot
sync)`

// startServer makes the server, installs the daemon on it and starts it.
func startServer(ctx context.Context, e *Env) (*server, error) {
	if err := e.Bench.AddSegment(ctx, serverSwitch); err != nil {
		return nil, err
	}
	card, err := e.Bench.AddUSBCard(ctx, serverSwitch, serverMAC)
	if err != nil {
		return nil, err
	}
	s := &server{card: card, machine: &lab.Laptop{
		Name: "server", Firmware: lab.BIOS, Offline: true, Serial: "SRV0001", UUID: "4c4c4544-0042-3510-8052-b4c04f5631f0",
		Manufacturer: "LabCo", Model: "Server 1", AssetTag: "A-1", USBCards: []*lab.USBCard{card},
		Drives: []*lab.Drive{{Bus: lab.Virtio, Serial: "SYSTEM", Size: 2 * gib}, {Bus: lab.Virtio, Serial: "DATA", Size: dataSize}},
	}}
	if err := e.Bench.Fit(ctx, s.machine); err != nil {
		return nil, err
	}
	if err := s.fill(ctx, e); err != nil {
		return nil, fmt.Errorf("fill the server's drives: %w", err)
	}
	if s.run, err = e.PowerOn(ctx, s.machine); err != nil {
		return nil, err
	}
	if err := s.login(ctx, 0); err != nil {
		return nil, err
	}
	e.Say("the server is up; install the service")
	if _, err := s.sh.Run(ctx, serverInstall+" && systemctl start ingot"); err != nil {
		return nil, err
	}
	return s, nil
}

// fill puts a golden system on the first drive, and on the second the boot bundle and what is to be installed.
func (s *server) fill(ctx context.Context, e *Env) error {
	system, err := e.Golden(ctx, golden.Plain)
	if err != nil {
		return err
	}
	tree := filepath.Join(e.Dir, "data-tree")
	install := filepath.Join(tree, "install")
	if err := os.MkdirAll(install, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"ingot.toml": serverConfig, "bench.network": serverNetwork} {
		if err := os.WriteFile(filepath.Join(install, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	bundle, err := filepath.EvalSymlinks(filepath.Join(bundleDir(e.Cache), "current"))
	if err != nil {
		return err
	}
	boot := filepath.Join(tree, "boot")
	if err := os.MkdirAll(boot, 0o700); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Base(bundle), filepath.Join(boot, "current")); err != nil {
		return err
	}
	for _, argv := range [][]string{
		{"cp", "--sparse=always", system, s.machine.Drives[0].Path()},
		{"env", "DESTDIR=" + filepath.Join(install, "root"), filepath.Join(e.Bin, "../scripts/host"), "install"},
		{"cp", "-r", bundle, boot},
		{"mkfs.ext4", "-q", "-F", "-m", "0", "-L", "ingot", "-d", tree, s.machine.Drives[1].Path()},
	} {
		if _, err := lab.Command(ctx, argv...); err != nil {
			return err
		}
	}
	return os.RemoveAll(tree)
}

// login waits for the prompt behind mark and logs root in.
func (s *server) login(ctx context.Context, mark int) (err error) {
	if _, err = s.run.WaitLogin(ctx, mark); err != nil {
		return err
	}
	s.sh, err = s.run.Login(ctx, golden.Password)
	return err
}

// ingot runs the command line on the server.
func (s *server) ingot(ctx context.Context, args string) (string, error) {
	return s.sh.Run(ctx, "ingot "+args)
}

// says waits until the service's journal of this start of the server tells words, n times in all.
func (s *server) says(ctx context.Context, e *Env, words string, n int) error {
	for {
		out, err := s.sh.Run(ctx, fmt.Sprintf("journalctl -b -u ingot -o cat --no-pager | grep -cF -- '%s'; true", words))
		if err != nil {
			return err
		}
		var got int
		if _, err := fmt.Sscan(out, &got); err == nil && got >= n {
			e.Say("the journal says: %s", words)
			return nil
		}
		if err := wait(ctx, time.Second); err != nil {
			return fmt.Errorf("the journal does not say %q %d times: %w", words, n, err)
		}
	}
}

// tail gives the last lines of the journal as an error, for a person who has to find out.
func (s *server) tail() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := s.sh.Run(ctx, "journalctl -b -u ingot --no-pager | tail -40; ip -br addr")
	if err != nil {
		return err
	}
	return errors.New("the server's journal:\n" + strings.TrimSpace(out))
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
