package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"

	"ingot/cmd/internal/lab"
)

func relayCases() []Case {
	return []Case{{"relay", "laptops on a network behind a router and its DHCP relay (giaddr, option 82) start the agent", nil, relayed}}
}

// twoNetworks is the configuration of a daemon on one network that serves a second one behind a router.
const twoNetworks = `[boot]
mode = "dhcp"
interfaces = ["br0"]

[[boot.subnets]]
prefix = "10.77.0.0/24"
first = "10.77.0.50"
last = "10.77.0.99"

[[boot.subnets]]
prefix = "10.88.0.0/24"
first = "10.88.0.50"
last = "10.88.0.99"
router = "10.88.0.1"
`

func relayed(ctx context.Context, e *Env) (err error) {
	r, err := buildRouter(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	config := filepath.Join(e.Dir, "ingot.toml")
	if err := os.WriteFile(config, []byte(twoNetworks), 0o644); err != nil {
		return err
	}
	d, err := e.StartDaemon(ctx, "--config", config)
	if err != nil {
		return err
	}
	if err := d.Do(ctx, cmd("bench open 8h")); err != nil {
		return err
	}
	for i, fw := range []lab.Firmware{lab.SecureBoot, lab.BIOS} {
		if err := bootsBehindRelay(ctx, e, d, r, Laptop(i+1, fw, lab.NVMe)); err != nil {
			return fmt.Errorf("%s: %w", fw, err)
		}
	}
	return nil
}

// buildRouter makes the second network, and the router between the two with its relay.
func buildRouter(ctx context.Context, e *Env) (*lab.Relay, error) {
	if err := e.Bench.AddSegment(ctx, "br1"); err != nil {
		return nil, err
	}
	router, err := e.Bench.AddHost(ctx, "router", "10.77.0.3")
	if err != nil {
		return nil, err
	}
	if err := router.Connect(ctx, "br1", "eth1", "10.88.0.1/24"); err != nil {
		return nil, err
	}
	err = router.Enter(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) })
	if err != nil {
		return nil, fmt.Errorf("let the router route: %w", err)
	}
	if _, err := lab.Command(ctx, "ip", "route", "add", "10.88.0.0/24", "via", router.IP); err != nil {
		return nil, err
	}
	// Circuit id (1) "port 7" and remote id (2), as a switch writes them.
	info := append([]byte{1, 6}, "port 7"...)
	info = append(info, append([]byte{2, 7}, "floor 2"...)...)
	return router.Relay("eth1", "eth0", netip.MustParseAddr("10.88.0.1"), netip.MustParseAddr(lab.ServerIP), info)
}

func bootsBehindRelay(ctx context.Context, e *Env, d *Daemon, relay *lab.Relay, l *lab.Laptop) error {
	l.Segment = "br1"
	r, err := e.PowerOn(ctx, l)
	if err != nil {
		return err
	}
	code, err := waitHello(ctx, e, r)
	if err != nil {
		_, _, wrong := relay.Carried()
		return errors.Join(err, wrong)
	}
	dev, err := d.device(ctx, code)
	if err != nil {
		return err
	}
	m, err := r.Console.WaitAfter(ctx, 0, regexp.MustCompile(`address=(10\.\d+\.0\.\d+)/24`))
	if err != nil {
		return err
	}
	up, down, wrong := relay.Carried()
	e.Say("the agent has the address %s; the relay carried %d requests and %d answers", m[1], up, down)
	return checks(wrong, same("serial", dev.Serial, l.Serial), that(up > 0 && down > 0, "the relay carried nothing"),
		that(netip.MustParsePrefix("10.88.0.0/24").Contains(netip.MustParseAddr(m[1])), "the address %s is not of the network behind the router", m[1]),
		bootLogEndsInHello(ctx, d, l), r.Kill())
}
