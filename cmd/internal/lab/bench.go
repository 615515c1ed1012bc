package lab

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// The bench's addresses. The network exists only inside the lab's namespace.
const (
	Bridge     = "br0"
	ServerIP   = "10.77.0.1"
	ServerCIDR = ServerIP + "/24"
)

// Bench is one switch with the server on it. A test makes one, and closes it.
type Bench struct {
	Dir string // logs, sockets and laptops' drives of this bench

	mu       sync.Mutex
	taps     int
	hosts    []*Host
	segments []string // further switches
	procs    []*Process
	stop     context.CancelFunc
	wg       sync.WaitGroup
}

// NewBench makes the bridge with the server's address and starts router advertisements on it. One bench at a
// time exists in a lab, since the bridge's name is fixed.
func NewBench(ctx context.Context, dir string) (*Bench, error) {
	b := &Bench{Dir: dir}
	for _, argv := range [][]string{
		{"ip", "link", "set", "lo", "up"},
		// With the spanning tree protocol, or its delay, the first DHCPDISCOVERs of a laptop would be lost.
		{"ip", "link", "add", Bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0"},
		{"ip", "addr", "add", ServerCIDR, "dev", Bridge},
		{"ip", "link", "set", Bridge, "up"},
	} {
		if _, err := Command(ctx, argv...); err != nil {
			return nil, fmt.Errorf("make the bench: %w", err)
		}
	}
	adv, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	b.wg.Add(1)
	go func() { // ends with Close
		defer b.wg.Done()
		advertise(adv, Bridge)
	}()
	return b, nil
}

// Close ends what the bench still runs and takes the network down.
func (b *Bench) Close() error {
	b.stop()
	b.wg.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for _, p := range b.procs {
		errs = append(errs, p.Kill())
	}
	for _, h := range b.hosts {
		errs = append(errs, run("ip", "netns", "del", h.Name))
	}
	for i := range b.taps {
		errs = append(errs, run("ip", "link", "del", tapName(i)))
	}
	for _, name := range append(b.segments, Bridge) {
		errs = append(errs, run("ip", "link", "del", name))
	}
	return errors.Join(errs...)
}

// Start runs a helper program on the bench until the bench closes.
func (b *Bench) Start(name string, argv ...string) (*Process, error) {
	p, err := StartProcess(name, filepath.Join(b.Dir, name+".log"), nil, nil, argv...)
	if err == nil {
		b.adopt(p)
	}
	return p, err
}

func (b *Bench) adopt(p *Process) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.procs = append(b.procs, p)
}

// tap adds a port on a switch for one network card.
func (b *Bench) tap(ctx context.Context, segment string) (string, error) {
	b.mu.Lock()
	name := tapName(b.taps)
	b.taps++
	b.mu.Unlock()
	if _, err := Command(ctx, "ip", "tuntap", "add", "dev", name, "mode", "tap"); err != nil {
		return "", err
	}
	_, err := Command(ctx, "ip", "link", "set", name, "master", segment, "up")
	return name, err
}

func tapName(i int) string { return fmt.Sprintf("tap%d", i) }

// Host is another computer on the bench: a network namespace with one address.
type Host struct {
	Name string
	IP   string
}

// AddHost puts another computer on the switch, for instance a foreign DHCP server's.
func (b *Bench) AddHost(ctx context.Context, name, ip string) (*Host, error) {
	for _, argv := range [][]string{
		{"ip", "netns", "add", name},
		{"ip", "link", "add", "v-" + name, "type", "veth", "peer", "name", "eth0", "netns", name},
		{"ip", "link", "set", "v-" + name, "master", Bridge, "up"},
		{"ip", "-n", name, "link", "set", "lo", "up"},
		{"ip", "-n", name, "addr", "add", ip + "/24", "dev", "eth0"},
		{"ip", "-n", name, "link", "set", "eth0", "up"},
	} {
		if _, err := Command(ctx, argv...); err != nil {
			return nil, fmt.Errorf("add host %s: %w", name, err)
		}
	}
	h := &Host{Name: name, IP: ip}
	b.mu.Lock()
	b.hosts = append(b.hosts, h)
	b.mu.Unlock()
	return h, nil
}

// Argv is the command line that runs a program on that host.
func (h *Host) Argv(argv ...string) []string {
	return append([]string{"ip", "netns", "exec", h.Name}, argv...)
}

func run(argv ...string) error {
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
