package benchmark

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"ingot/cmd/internal/e2e"
)

// The goals, as the project states them.
const (
	wireRate   = 117.7e6 // bytes per second of payload that TCP carries over 1 Gbit/s at an MTU of 1500
	goalWire   = 1.15    // of the wire's own time, read-back included
	goalPeer   = 0.45    // of partclone's time, without a link limit
	goalDaemon = 150     // MB of anonymous memory with goalStreams streams
	goalAgent  = 256     // MB
	streams    = 50
	adoptions  = 200
)

const imageName = "office"

// Options say what is measured.
type Options struct {
	Set    Set
	Rounds int  // of each contestant, taking turns; medians are printed
	Quick  bool // without the 8 million extents and 10 million chunks
	Dedup  bool // nothing but what the next version adds to the store, and the time of a capture
	Boards bool // nothing but the pages and boards
}

// Prepare makes what the benchmark needs from the network and what is dear. It runs outside the lab.
func Prepare(ctx context.Context, cache, bin string, o Options, out io.Writer) error {
	dir := benchDir(cache)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := e2e.Prepare(ctx, cache, bin, out, nil); err != nil {
		return err
	}
	disks, err := dedupDisks(ctx, dir, o.Set, out)
	if err != nil || o.Dedup || o.Boards {
		return err
	}
	if err := peerInputs(ctx, disks.first, out); err != nil {
		return err
	}
	if !o.Quick {
		_, err = hugeStore(ctx, dir, out)
	}
	return err
}

func benchDir(cache string) string { return filepath.Join(cache, "bench") }

// Case is the benchmark as a case of the lab: it passes when every goal is met.
func Case(o Options) e2e.Case {
	return e2e.Case{Name: "bench", About: "Ingot beside its peers, in one run", Run: func(ctx context.Context, e *e2e.Env) error { return run(ctx, e, o) }}
}

// measurement gathers the table.
type measurement struct {
	rig  *rig
	disk string
	o    Options
	rows []row

	stored, zstd uint64 // bytes of the image in Ingot's store, and of the disk by zstd -3
	agent        usage  // the largest of all deploys
}

func run(ctx context.Context, e *e2e.Env, o Options) (err error) {
	disk, err := officeDisk(ctx, benchDir(e.Cache), o.Set, e.Out)
	if err != nil {
		return err
	}
	r, err := newRig(ctx, e, filepath.Dir(disk))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	fctx, stop := context.WithCancel(ctx)
	files, err := serveFiles(fctx, r.dir)
	if err != nil {
		stop()
		return err
	}
	defer func() { stop(); err = errors.Join(err, files()) }()
	m := &measurement{rig: r, disk: disk, o: o}
	steps := []func(context.Context) error{m.dedup, m.office, m.huge}
	if o.Dedup {
		steps = steps[:1]
	}
	if o.Boards {
		steps = []func(context.Context) error{m.boardsAlone}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintf(e.Out, "\nIngot beside its peers: set %q, medians of %d rounds, %d processors shared by server and laptop, drives in memory\n", o.Set, o.Rounds, runtime.NumCPU())
	if missed := print(e.Out, m.rows); missed > 0 {
		return fmt.Errorf("%d goals were missed", missed)
	}
	return nil
}

func (m *measurement) add(r row) { m.rows = append(m.rows, r) }

// office measures everything that the office disk is for.
func (m *measurement) office(ctx context.Context) error {
	d, err := m.rig.env.StartDaemon(ctx)
	if err != nil {
		return err
	}
	if err := m.importDisk(ctx, d); err != nil {
		return err
	}
	if err := m.rig.limit(ctx); err != nil {
		return err
	}
	if err := m.race(ctx, d, "1 Gbit/s", m.wireRows); err != nil {
		return err
	}
	if err := m.rig.unlimited(ctx); err != nil {
		return err
	}
	if err := m.race(ctx, d, "no link limit", m.openRows); err != nil {
		return err
	}
	m.add(row{work: "agent's memory, office disk", got: mb(m.agent.anon), unit: "MB", goal: goalAgent, remark: fmt.Sprintf("RssAnon, peak; VmHWM %.0f MB", mb(m.agent.high))})
	// The streams are measured on a daemon that has not imported anything.
	if err := d.Stop(); err != nil {
		return err
	}
	if err := d.Start(ctx); err != nil {
		return err
	}
	if err := m.crowd(ctx, d, imageName, diskSize, "office disk"); err != nil {
		return err
	}
	if err := d.Stop(); err != nil {
		return err
	}
	if err := age(d.Data); err != nil {
		return err
	}
	if err := d.Start(ctx); err != nil {
		return err
	}
	return errors.Join(m.boards(ctx, d), d.Stop())
}

// boardsAlone measures the pages on a daemon that has imported the disk, and has an old record.
func (m *measurement) boardsAlone(ctx context.Context) error {
	d, err := m.rig.env.StartDaemon(ctx)
	if err != nil {
		return err
	}
	for _, step := range []func() error{func() error { return m.importDisk(ctx, d) }, d.Stop, func() error { return age(d.Data) }, func() error { return d.Start(ctx) }, func() error { return m.boards(ctx, d) }} {
		if err := step(); err != nil {
			return err
		}
	}
	return d.Stop()
}

// importDisk imports the disk and notes what it takes.
func (m *measurement) importDisk(ctx context.Context, d *e2e.Daemon) error {
	if err := d.Do(ctx, []string{"bench", "open", "4h"}); err != nil {
		return err
	}
	start := time.Now()
	var got []struct {
		StoredBytes uint64 `json:"stored_bytes"`
	}
	if err := d.Read(ctx, &got, "image", "import", m.disk, "--image", imageName, "--label", "bench", "--note", "made by the benchmark", "--release"); err != nil {
		return err
	}
	m.rig.env.Say("imported in %.0f s", time.Since(start).Seconds())
	if len(got) != 1 || got[0].StoredBytes == 0 {
		return fmt.Errorf("the import told no stored bytes: %+v", got)
	}
	m.stored = got[0].StoredBytes
	var err error
	m.zstd, err = sizeOf(filepath.Join(m.rig.dir, wholeFile))
	m.add(row{work: "image in the store", got: mb(m.stored), unit: "MB", against: "zstd -3 of the disk", base: mb(m.zstd), remark: "each chunk can be read alone"})
	return err
}

// times are one contestant's.
type times struct {
	name string
	wall []float64 // seconds
	cpu  string
}

// race lets Ingot and the peers take turns, so that all meet the same weather.
func (m *measurement) race(ctx context.Context, d *e2e.Daemon, link string, rows func(ingot times, others []times)) error {
	ingot, others := times{name: "Ingot"}, []times{}
	var running []peer
	for _, p := range peers() {
		if p.installed() {
			running = append(running, p)
			others = append(others, times{name: p.name})
		} else {
			m.rig.env.Say("%s is not installed here and is left out", p.name)
		}
	}
	for round := range m.o.Rounds {
		took, err := m.rig.deploy(ctx, d, imageName, diskSize)
		if err != nil {
			return err
		}
		m.agent.merge(took.laptop)
		ingot.wall = append(ingot.wall, took.wall.Seconds())
		ingot.cpu = fmt.Sprintf("CPU: agent %.1f s, daemon %.1f s", took.laptop.cpu, took.daemon.cpu)
		m.rig.env.Say("%s, round %d: Ingot %.1f s, %.0f MB fetched, %s", link, round+1, took.wall.Seconds(), mb(took.fetched), ingot.cpu)
		m.rig.env.Say("  %s", took.phases)
		for i, p := range running {
			if round > 0 && i > 0 && m.o.Rounds > 1 {
				continue // the slow ones once: they are here for the picture only
			}
			t, err := m.rig.peer(ctx, p)
			if err != nil {
				return err
			}
			others[i].wall = append(others[i].wall, t.Seconds())
			m.rig.env.Say("%s, round %d: %s %.1f s", link, round+1, p.name, t.Seconds())
		}
	}
	rows(ingot, others)
	return nil
}

// wireRows hold everybody against the wire's own time for the fewest bytes.
func (m *measurement) wireRows(ingot times, others []times) {
	wire := float64(min(m.stored, m.zstd)) / wireRate
	m.add(row{work: "deploy at 1 Gbit/s, read back: Ingot", got: median(ingot.wall), unit: "s", against: "wire", base: wire, goal: goalWire, remark: ingot.cpu})
	for _, o := range others {
		m.add(row{work: "  the same without read-back: " + o.name, got: median(o.wall), unit: "s", against: "wire", base: wire})
	}
}

// openRows hold everybody against partclone.
func (m *measurement) openRows(ingot times, others []times) {
	if len(others) == 0 || others[0].name != peers()[0].name {
		m.add(row{work: "deploy without a link limit, read back: Ingot", got: median(ingot.wall), unit: "s", remark: "partclone is not installed: no ratio"})
		return
	}
	base := median(others[0].wall)
	m.add(row{work: "deploy without a link limit, read back: Ingot", got: median(ingot.wall), unit: "s", against: others[0].name, base: base, goal: goalPeer, remark: ingot.cpu})
	for _, o := range others[1:] {
		m.add(row{work: "  the same without read-back: " + o.name, got: median(o.wall), unit: "s", against: others[0].name, base: base})
	}
}

// crowd measures adoptions and streams.
func (m *measurement) crowd(ctx context.Context, d *e2e.Daemon, image string, size uint64, what string) error {
	f, err := gather(ctx, d, 10_000, adoptions, size)
	if err != nil {
		return err
	}
	defer f.close()
	start := time.Now()
	names, err := f.adopt(ctx, "bench", image)
	if err != nil {
		return err
	}
	m.add(row{work: fmt.Sprintf("names of %d parallel adoptions, %s", adoptions, what), got: float64(names), unit: "names", goal: adoptions, atLeast: true,
		remark: fmt.Sprintf("in %.2f s", time.Since(start).Seconds())})
	got, err := f.stream(ctx, streams, image, 10*time.Second)
	if err != nil {
		return err
	}
	m.rig.env.Say("%s: %d streams: %.0f MB/s, daemon's RssAnon %.0f MB", what, streams, mb(got.bytes)/got.seconds, mb(got.daemon.anon))
	m.add(row{work: fmt.Sprintf("daemon's memory, %d streams, %s", streams, what), got: mb(got.daemon.anon), unit: "MB", goal: goalDaemon,
		remark: fmt.Sprintf("RssAnon, peak; VmHWM %.0f MB; %.0f MB/s", mb(got.daemon.high), mb(got.bytes)/got.seconds)})
	return nil
}

// huge measures memory where everything is large.
func (m *measurement) huge(ctx context.Context) error {
	if m.o.Quick {
		return nil
	}
	dir, err := hugeStore(ctx, benchDir(m.rig.env.Cache), m.rig.env.Out)
	if err != nil {
		return err
	}
	data := filepath.Join(m.rig.env.Dir, "huge")
	if err := hugeData(dir, data); err != nil {
		return err
	}
	// The made-up chunks are not what their digests say, so that nobody may look for damage here.
	conf := filepath.Join(m.rig.env.Dir, "huge.toml")
	if err := os.WriteFile(conf, []byte("[images]\nscrub = -1\n"), 0o644); err != nil {
		return err
	}
	d, err := m.rig.env.StartDaemonOn(ctx, data, "--config", conf)
	if err != nil {
		return err
	}
	if err := d.Do(ctx, []string{"bench", "open", "4h"}); err != nil {
		return err
	}
	const what = "10 million chunks"
	if err := m.crowd(ctx, d, hugeImage, hugeExtents*4096, what); err != nil {
		return err
	}
	took, err := m.rig.deploy(ctx, d, hugeImage, hugeExtents*4096)
	if err != nil {
		return err
	}
	m.rig.env.Say("8 million extents: %.0f s, agent's RssAnon %.0f MB", took.wall.Seconds(), mb(took.laptop.anon))
	m.add(row{work: "agent's memory, 8 million extents", got: mb(took.laptop.anon), unit: "MB", goal: goalAgent,
		remark: fmt.Sprintf("RssAnon, peak; VmHWM %.0f MB; deployed in %.0f s", mb(took.laptop.high), took.wall.Seconds())})
	_, err = m.rig.drive(lab4K)
	return errors.Join(err, d.Stop())
}

// lab4K is a drive small enough not to matter: making it lets the last large one go.
const lab4K = 4096

func mb(bytes uint64) float64 { return float64(bytes) / 1e6 }
