// Package site is a whole Ingot on this host's loopback, for tests: the real daemon as a process of its own on a new
// data folder, reached as everybody reaches it. Laptops (package simlaptop) ask its agent listener, people its pages,
// and the command line its socket. It needs no rights, no lab and no boot bundle, and no interface is configured, so
// nothing on a wire is answered.
//
//	s, err := site.Start(ctx, bin, t.TempDir())
//	defer s.Stop()
//	v, err := s.Import(ctx, simlaptop.Golden{}, "sales")
//	laptops, err := s.Fleet(20, v)
package site

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"ingot/cmd/internal/e2e"
	"ingot/cmd/internal/simlaptop"
	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
)

// Site is one Ingot at work.
type Site struct {
	*e2e.Daemon
	Dir    string // everything of it lies here
	Pages  string // https://127.0.0.1:PORT
	Agents simlaptop.Server

	images int
}

// Build makes the daemon's program in dir, as "make build" does.
func Build(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir, "ingot/cmd/ingot")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build ingot: %w: %s", err, out)
	}
	return nil
}

const config = `[agent]
port = %d
advertise = "127.0.0.1"

[pages]
port = %d
url = "https://127.0.0.1:%d"
%s`

// Start starts a daemon on a new data folder in dir, with the bench open for a day. bin is the folder of the built
// program; more is added to its configuration.
func Start(ctx context.Context, bin, dir string, more ...string) (*Site, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	file, extra := filepath.Join(dir, "ingot.toml"), ""
	for _, m := range more {
		extra += "\n" + m + "\n"
	}
	if err := os.WriteFile(file, fmt.Appendf(nil, config, ports[0], ports[1], ports[1], extra), 0o600); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	s := &Site{Daemon: e2e.LocalDaemon(bin, dir, file, data), Dir: dir, Pages: fmt.Sprintf("https://127.0.0.1:%d", ports[1])}
	if err := s.Daemon.Start(ctx); err != nil {
		return nil, err
	}
	status, err := Ask[web.Status](ctx, s, "daemon")
	if err != nil {
		return nil, err
	}
	s.Agents = simlaptop.Server{URL: fmt.Sprintf("https://127.0.0.1:%d", ports[0]), Pin: job.KeyID(status.Pin)}
	return s, s.Do(ctx, []string{"bench", "open", "24h"})
}

// freePorts finds TCP ports that nobody listens on at this moment, below those from which clients call (ip(7),
// ip_local_port_range): a client of another test could have one by the time the daemon wants it, or wants it again.
func freePorts(n int) (ports []int, err error) {
	for tries := 0; len(ports) < n; tries++ {
		port := 10_000 + rand.IntN(22_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil && tries < 100 {
			continue
		}
		if err != nil {
			return nil, err
		}
		defer l.Close() // only then is it free for the daemon, and until then for nobody
		ports = append(ports, port)
	}
	return ports, nil
}

// Ask reads something of the JSON API over the daemon's own socket.
func Ask[T any](ctx context.Context, s *Site, what string) (T, error) {
	return e2e.Ask[T](ctx, s.Daemon, what)
}

// Import makes a golden disk and puts it on the shelf as a version of an image; released, unless draft.
func (s *Site) Import(ctx context.Context, g simlaptop.Golden, image string, draft bool) (store.Version, error) {
	s.images++
	file := filepath.Join(s.Dir, fmt.Sprintf("golden%d.raw", s.images))
	if err := g.Make(ctx, file); err != nil {
		return store.Version{}, err
	}
	defer os.Remove(file)
	args := []string{"image", "import", file, "--image", image, "--label", fmt.Sprintf("build %d", s.images), "--note", "made by a test"}
	if !draft {
		args = append(args, "--release")
	}
	var got []store.Version
	if err := s.Read(ctx, &got, args...); err != nil {
		return store.Version{}, err
	}
	if len(got) != 1 {
		return store.Version{}, fmt.Errorf("the import made %d versions", len(got))
	}
	return got[0], nil
}

// Laptop is a laptop on the bench.
type Laptop struct {
	*simlaptop.Laptop
	Run  *simlaptop.Run
	Code string // that its screen shows
}

// Fleet makes n laptops whose drives take a version, with numbers from first on.
func (s *Site) Fleet(first, n int, v store.Version) ([]*Laptop, error) {
	all, err := simlaptop.Fleet(s.Dir, first, n, v.DiskSize)
	out := make([]*Laptop, len(all))
	for i, l := range all {
		out[i] = &Laptop{Laptop: l}
	}
	return out, err
}

// Device reads a device's record.
func (s *Site) Device(ctx context.Context, ref string) (d store.DeviceView, err error) {
	err = s.Read(ctx, &d, "device", "show", ref)
	return d, err
}

// Jobs lists the orders that have not ended.
func (s *Site) Jobs(ctx context.Context) ([]store.JobView, error) {
	return Ask[[]store.JobView](ctx, s, "jobs")
}
