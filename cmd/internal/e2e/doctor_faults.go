package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
	agentapi "ingot/imaging/job/client"
	"ingot/store"
)

// quickFaults end a start in a way that is known at once.
func quickFaults() []bootFault {
	return []bootFault{
		{"the laptop is of another architecture", job.BootArch, otherArchitecture, nil},
		{"the agent meets another key", job.BootPin, refusesPin, nil},
		{"the start took too long", job.BootDenied, func(ctx context.Context, s *surgery) (string, error) {
			return tokenOf(ctx, s, -time.Duration(11+s.rand.IntN(600))*time.Minute)
		}, nil},
		{"the server's clock was set back", job.BootClock, func(ctx context.Context, s *surgery) (string, error) {
			return tokenOf(ctx, s, time.Duration(1+s.rand.IntN(9000))*time.Hour)
		}, nil},
	}
}

func otherArchitecture(_ context.Context, s *surgery) (string, error) {
	c := s.patient(classPXE, []uint16{6, 10, archARM64}[s.rand.IntN(3)])
	return c.mac.String(), announces(context.Background(), c)
}

// errOther is what an agent's TLS says of a key that is not the one it was told.
var errOther = errors.New("the key is not the pinned one")

// refusesPin is a start whose agent was told another server's key.
func refusesPin(ctx context.Context, s *surgery) (string, error) {
	c := s.patient(classPXE, archX64)
	if err := fetches(chain...)(ctx, c); err != nil {
		return "", err
	}
	conn, err := c.dial(ctx, "tcp", lab.ServerIP+":8443")
	if err != nil {
		return "", err
	}
	defer conn.Close()
	agent := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error { return errOther }})
	if err := agent.HandshakeContext(ctx); !errors.Is(err, errOther) {
		return "", fmt.Errorf("the handshake ended with %v", err)
	}
	return c.mac.String(), nil
}

// tokenOf plays a start whose token is by so much older, or younger, than the server's clock: what a slow start or a
// clock that was changed in between leaves behind. The daemon is off while its record is changed.
func tokenOf(ctx context.Context, s *surgery, by time.Duration) (string, error) {
	c := s.patient(classPXE, archX64)
	if err := fetches(chain...)(ctx, c); err != nil {
		return "", err
	}
	b, err := scriptOf(ctx, c, c.mac.String())
	if err != nil {
		return "", err
	}
	if err := s.d.Stop(); err != nil {
		return "", err
	}
	if err := shiftToken(filepath.Join(s.d.Data, "ingot.db"), b.token, by); err != nil {
		return "", err
	}
	if err := s.d.Start(ctx); err != nil {
		return "", err
	}
	agent, err := agentapi.New(b.url, job.KeyID(b.pin))
	if err != nil {
		return "", err
	}
	defer agent.Close()
	_, err = agent.Hello(ctx, b.hello(strings.Repeat("ef", 16), "PF3CLOCK"))
	return c.mac.String(), same("the refusal", job.FaultOf(err).Code, job.CodeToken)
}

func shiftToken(path, token string, by time.Duration) error {
	db, err := store.Open(path, store.Options{})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *store.Tx) error {
		t, err := tx.Token(token)
		if err != nil {
			return err
		}
		t.Issued = t.Issued.Add(by)
		return tx.PutToken(t)
	})
	return checks(err, db.Close())
}

// poorFaults need a pool of one address and a damaged kernel on the server.
func poorFaults() []bootFault {
	return []bootFault{
		{"no address is left", job.BootPoolEmpty, func(ctx context.Context, s *surgery) (string, error) {
			if err := leases(ctx, s.patient(classPXE, archX64)); err != nil { // the first takes it
				return "", err
			}
			c := s.patient(classPXE, archX64)
			return c.mac.String(), announces(ctx, c)
		}, nil},
		{"the server's kernel is damaged", job.BootServerFile, moves(classPXE, archX64, stopsOfPoor[0].play), nil},
	}
}

// slowFaults end in silence.
func slowFaults() []bootFault {
	return []bootFault{
		{"the firmware does not trust other makers' loaders", job.BootShim, distrusts, nil},
		{"the firmware passes over the offer", job.BootNotFetched, moves(classPXE, archX64, leases), nil},
		{"the switch lets the first requests through too late", job.BootSpanningTree, heardLate, removeTree},
		{"a transfer breaks off", job.BootBrokeOff, moves(classPXE, archX64, then(fetches(chain[:4]...), breaksOff("/vmlinuz", vanish))), nil},
		{"the kernel starts and the network card has no driver", job.BootNoSign, moves(classPXE, archX64, fetches(chain...)), nil},
		{"the start system cannot reach the daemon", job.BootNotReached, moves(classPXE, archX64, then(fetches(chain...), asAgent(leases))), nil},
	}
}

// distrusts starts a real laptop with Secure Boot on, whose firmware has no certificate of Microsoft's.
func distrusts(ctx context.Context, s *surgery) (string, error) {
	l := Laptop(31+s.rand.IntN(60), lab.NoThirdParty, lab.NVMe)
	r, err := s.PowerOn(ctx, l)
	if err != nil {
		return "", err
	}
	if err := r.Console.WaitFor(ctx, "Access Denied"); err != nil {
		return "", err
	}
	return l.MAC, r.Kill()
}

// heardLate is a machine behind a switch that shuts its port at first. It asks again and again, and its patience ends
// with the first answer.
func heardLate(ctx context.Context, s *surgery) (string, error) {
	if err := s.tree(ctx, 5+s.rand.IntN(2)); err != nil {
		return "", err
	}
	if _, err := lab.Command(ctx, "ip", "link", "set", "v-wire", "master", "brtree"); err != nil {
		return "", err
	}
	c := s.patient(classPXE, archX64)
	for start := time.Now(); ; {
		asked := uint16(time.Since(start) / (10 * time.Millisecond)) // as EDK2 counts
		m, err := dhcpv4.NewDiscovery(c.mac, dhcpv4.WithBroadcast(true), func(d *dhcpv4.DHCPv4) { d.NumSeconds = asked },
			dhcpv4.WithOption(dhcpv4.OptClassIdentifier(fmt.Sprintf(c.class, c.arch))))
		if err != nil {
			return "", err
		}
		if err := c.send(m); err != nil {
			return "", err
		}
		if _, err := c.hearFor(ctx, time.Second, m, lab.ServerIP, dhcpv4.MessageTypeOffer); err == nil {
			s.Say("first heard after %s", time.Since(start).Round(time.Second))
			return c.mac.String(), checks(relink(ctx, "v-wire", lab.Bridge))
		} else if ctx.Err() != nil {
			return "", err
		}
	}
}

func relink(ctx context.Context, port, segment string) error {
	_, err := lab.Command(ctx, "ip", "link", "set", port, "master", segment)
	return err
}

// The MACs that the servers beside the daemon treat in a way of their own.
const (
	macOptions = "52:54:00:dd:00:01" // is given boot options by the DHCP server
	macRival   = "52:54:00:dd:00:02" // is answered by a second boot server
	macIgnored = "52:54:00:dd:00:03" // is given no address
	macAgent   = "52:54:00:dd:00:04" // a real laptop that is given no address
)

// besideOffice starts an office's DHCP server, a second boot server, and the daemon as a proxy that lends addresses to
// UEFI firmware.
func besideOffice(ctx context.Context, s *surgery) (*Daemon, error) {
	if err := officeDHCP(ctx, s.Env, "--dhcp-host="+macOptions+",set:options", "--dhcp-boot=tag:options,pxelinux.0",
		"--dhcp-host="+macIgnored+",ignore", "--dhcp-host="+macAgent+",ignore"); err != nil {
		return nil, err
	}
	h, err := s.Bench.AddHost(ctx, "nas", "10.77.0.3")
	if err != nil {
		return nil, err
	}
	p, err := s.Bench.Start("nas-dnsmasq", h.Argv("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--port=0", "--user=root",
		"--interface=eth0", "--bind-interfaces", "--log-dhcp", "--no-ping", "--dhcp-leasefile="+filepath.Join(s.Dir, "nas.leases"),
		"--dhcp-range=10.77.0.0,proxy", "--dhcp-host="+macRival+",set:mine", "--dhcp-ignore=tag:!mine", "--pxe-service=7,Old server,wdsmgfw.efi", "--pxe-prompt=Old server,1")...)
	if err != nil {
		return nil, err
	}
	if err := waitLog(ctx, p, "DHCP, proxy"); err != nil {
		return nil, err
	}
	return wardOf(true, "--mode", "proxy", "--pool", "10.77.0.50-10.77.0.59")(ctx, s)
}

// officeLeaves unplugs the other servers: the daemon of another ward is the only one.
func officeLeaves(ctx context.Context) error {
	for _, port := range []string{"v-office", "v-nas"} {
		if _, err := lab.Command(ctx, "ip", "link", "set", port, "down"); err != nil {
			return err
		}
	}
	return nil
}

// officeFaults happen beside other servers.
func officeFaults() []bootFault {
	known := func(mac string, play func(context.Context, *client) error) func(context.Context, *surgery) (string, error) {
		return func(ctx context.Context, s *surgery) (string, error) {
			c := s.patient(classPXE, archX64)
			c.mac = mustMAC(mac)
			return mac, play(ctx, c)
		}
	}
	fromOffice := func(ctx context.Context, c *client) error {
		_, err := c.lease(ctx, officeIP)
		return err
	}
	return []bootFault{
		{"a second boot server answers", job.BootSecondServer, known(macRival, fromOffice), nil},
		{"the DHCP server's boot options win", job.BootOptions, known(macOptions, fromOffice), nil},
		{"no DHCP server gives an address", job.BootNoRequest, known(macIgnored, discovers), nil},
		{"GRUB asks the office's server", job.BootNextServer, moves(classPXE, archX64, func(ctx context.Context, c *client) error {
			if err := fromOffice(ctx, c); err != nil {
				return err
			}
			return c.fetchAll(ctx, chain[:2])
		}), nil},
		{"the agent gets no address", job.BootNoLease, agentWithoutLease, nil},
	}
}

// agentWithoutLease starts a real laptop: its firmware is lent an address, its agent needs one of the office's DHCP
// server, which gives it none.
func agentWithoutLease(ctx context.Context, s *surgery) (string, error) {
	l := Laptop(31+s.rand.IntN(60), lab.UEFI, lab.NVMe)
	l.MAC = macAgent
	r, err := s.PowerOn(ctx, l)
	if err != nil {
		return "", err
	}
	if err := r.Console.WaitFor(ctx, "ingot: waiting "+string(job.CodeNoLease)); err != nil {
		return "", err
	}
	return l.MAC, r.Kill()
}
