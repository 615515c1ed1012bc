package benchmark

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"ingot/cmd/internal/e2e"
	"ingot/cmd/internal/lab"
	"ingot/imaging/job"
)

// rig is the bench on which everything is measured: the server on a switch, and one laptop in a network
// namespace of its own. Drives lie in memory, so that no disk's speed is measured.
type rig struct {
	env    *e2e.Env
	laptop *lab.Host
	drives string // a file system in memory
	dir    string // of the office disk and the peers' files
	runs   int
}

func newRig(ctx context.Context, e *e2e.Env, dir string) (*rig, error) {
	r := &rig{env: e, drives: filepath.Join(e.Dir, "drives"), dir: dir}
	if err := os.Mkdir(r.drives, 0o700); err != nil {
		return nil, err
	}
	// The mount belongs to the lab's namespace and is gone with it.
	if _, err := lab.Command(ctx, "mount", "-t", "tmpfs", "-o", "size=90%", "drives", r.drives); err != nil {
		return nil, err
	}
	var err error
	r.laptop, err = e.Bench.AddHost(ctx, "laptop", "10.77.0.2")
	return r, err
}

func (r *rig) close() error {
	_, err := lab.Command(context.Background(), "umount", "-l", r.drives)
	return err
}

// limit holds the link to 1 Gbit/s in both directions.
func (r *rig) limit(ctx context.Context) error {
	tbf := []string{"root", "tbf", "rate", "1gbit", "burst", "512k", "latency", "30ms"}
	return r.tc(ctx, append([]string{"replace"}, tbf...))
}

// unlimited takes the limit away.
func (r *rig) unlimited(ctx context.Context) error { return r.tc(ctx, []string{"del", "root"}) }

// tc changes the queue at both ends of the laptop's cable.
func (r *rig) tc(ctx context.Context, change []string) error {
	change = append([]string{change[0], "dev", "eth0"}, change[1:]...)
	_, err := lab.Command(ctx, r.laptop.Argv(append([]string{"tc", "qdisc"}, change...)...)...)
	change[2] = "v-" + r.laptop.Name
	_, err2 := lab.Command(ctx, append([]string{"tc", "qdisc"}, change...)...)
	return errors.Join(err, err2)
}

// drive makes an empty drive. Those of earlier runs go, since memory is dear.
func (r *rig) drive(size uint64) (string, error) {
	old, err := filepath.Glob(filepath.Join(r.drives, "*"))
	if err != nil {
		return "", err
	}
	for _, f := range old {
		if err := os.Remove(f); err != nil {
			return "", err
		}
	}
	r.runs++
	path := filepath.Join(r.drives, fmt.Sprintf("drive%d", r.runs))
	return path, sparse(path, int64(size))
}

// peerLimit ends a peer that hangs.
const peerLimit = 10 * time.Minute

// peer runs one peer and returns its time.
func (r *rig) peer(ctx context.Context, p peer) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, peerLimit)
	defer cancel()
	drive, err := r.drive(diskSize)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	proc, err := r.env.Bench.Start("peer", r.laptop.Argv("env", "URL=http://"+lab.ServerIP+":"+filesPort, "DISK="+drive,
		"bash", "-euo", "pipefail", "-c", p.script)...)
	if err != nil {
		return 0, err
	}
	if err := ended(ctx, proc); err != nil {
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}
	return time.Since(start), nil
}

// ended waits for a program and wants a clean exit.
func ended(ctx context.Context, p *lab.Process) error {
	select {
	case <-p.Done():
	case <-ctx.Done():
		return errors.Join(ctx.Err(), p.Kill())
	}
	if err := p.Err(); err != nil {
		return fmt.Errorf("%w: %s", err, p.Tail(5))
	}
	return nil
}

// deployment is what one deploy took, at the laptop and at the daemon.
type deployment struct {
	wall    time.Duration // from the order's arrival to its acknowledged end
	laptop  usage
	daemon  usage // cpu: of this deploy alone
	fetched uint64
	phases  string
}

// deploy lets one laptop boot, adopts it, orders the image, and proves by the record that it was done. What a
// person does in between is not counted.
func (r *rig) deploy(ctx context.Context, d *e2e.Daemon, image string, size uint64) (deployment, error) {
	drive, err := r.drive(size)
	if err != nil {
		return deployment{}, err
	}
	serial := serialOf(r.runs)
	line, err := bootLine(ctx, macOf(r.runs))
	if err != nil {
		return deployment{}, err
	}
	before, err := look(d.Proc.Pid())
	if err != nil {
		return deployment{}, err
	}
	console := newConsole()
	proc, err := lab.StartProcess("laptop", filepath.Join(r.env.Dir, "laptop.log"), nil, console, r.laptop.Argv(filepath.Join(r.env.Bin, "ingot-lab"),
		LaptopCommand, "-url", line.url, "-pin", line.pin, "-token", line.token, "-serial", serial, "-file", drive, "-size", fmt.Sprint(size))...)
	if err != nil {
		return deployment{}, err
	}
	atServer, atLaptop := watch(d.Proc.Pid()), watch(proc.Pid())
	err = r.see(ctx, d, console, proc, serial, image)
	out := deployment{laptop: atLaptop(), daemon: atServer(), wall: console.took(), phases: console.phases()}
	out.daemon.cpu -= before.cpu
	if err != nil {
		return out, errors.Join(err, proc.Kill())
	}
	out.fetched, err = recorded(ctx, d, serial)
	return out, err
}

// see does the operator's part and waits for the laptop's end.
func (r *rig) see(ctx context.Context, d *e2e.Daemon, c *console, proc *lab.Process, serial, image string) error {
	code, err := c.wait(ctx, proc, "hello accepted code ")
	if err != nil {
		return err
	}
	if err := d.Do(ctx, []string{"device", "adopt", code}, []string{"deploy", serial, "--image", image, "--name", serial, "--no-personalise"}); err != nil {
		return err
	}
	if _, err := c.wait(ctx, proc, "done"); err != nil {
		return err
	}
	return ended(ctx, proc)
}

// recorded wants the daemon's record of the deploy, proof and all, and gives the stored bytes that travelled.
func recorded(ctx context.Context, d *e2e.Daemon, serial string) (uint64, error) {
	var dev struct {
		State string
		Holds *struct {
			FetchedBytes uint64 `json:"fetched_bytes"`
			Proof        job.Proof
		}
	}
	if err := d.Read(ctx, &dev, "device", "show", serial); err != nil {
		return 0, err
	}
	if dev.State != "deployed" || dev.Holds == nil || dev.Holds.Proof.Content == nil || !dev.Holds.Proof.Content.Direct {
		return 0, fmt.Errorf("the record of %s is no proven deployment: %+v", serial, dev)
	}
	return dev.Holds.FetchedBytes, nil
}

// boot is what the boot loader hands to a laptop's agent.
type boot struct{ url, pin, token string }

var bootWords = regexp.MustCompile(`ingot\.(url|pin|token)=(\S+)`)

// bootLine asks the daemon for a machine's kernel command line, as iPXE does.
func bootLine(ctx context.Context, mac string) (boot, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+lab.ServerIP+"/boot.ipxe?mac="+mac, nil)
	if err != nil {
		return boot{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return boot{}, fmt.Errorf("fetch the command line of %s: %w", mac, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return boot{}, fmt.Errorf("fetch the command line of %s: %w", mac, err)
	}
	found := map[string]string{}
	for _, m := range bootWords.FindAllStringSubmatch(string(text), -1) {
		found[m[1]] = m[2]
	}
	b := boot{found["url"], found["pin"], found["token"]}
	if b.url == "" || b.pin == "" || b.token == "" {
		return b, fmt.Errorf("the command line of %s names no daemon: status %s, %.200q", mac, resp.Status, text)
	}
	return b, nil
}

func macOf(n int) string { return fmt.Sprintf("52:54:00:b0:%02x:%02x", n>>8&0xff, n&0xff) }

func serialOf(n int) string { return fmt.Sprintf("BENCH%05d", n) }

func uuidOf(serial string) string {
	return "b0b0b0b0-1234-4321-8765-0000000" + strings.TrimPrefix(serial, "BENCH")
}
