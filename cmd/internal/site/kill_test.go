package site_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ingot/cmd/internal/simlaptop"
	"ingot/cmd/internal/site"
)

// "make kill-200" runs the test below with 200 kills; its seed is printed, and given again it draws the same.
var (
	kills    = flag.Int("kills", 10, "how often TestAKilledDaemonLosesNothing kills")
	killSeed = flag.Uint64("kill-seed", 0, "what it draws from; 0 takes a new one")
)

// phase is something of the daemon's work that a kill can cut off.
type phase string

// All of them, as somebody outside sees them: a request, or the part of one that the daemon tells.
const (
	sending   phase = "a capture sends its drive"
	recording phase = "a capture becomes a version"
	importing phase = "an import"
	marking   phase = "gc: marking"
	moving    phase = "gc: moving" // what is needed of packs that go: the repack
	removing  phase = "gc: removing"
	releasing phase = "a release"
	retiring  phase = "a retirement"
	deleting  phase = "a deletion"
)

var phases = []phase{sending, recording, importing, marking, moving, removing, releasing, retiring, deleting}

// TestAKilledDaemonLosesNothing kills the real daemon again and again, at a random moment of a random phase, while
// laptops send their drives, files are imported, versions are released, retired and given up, and gc clears and
// repacks. It starts it again each time and proves everything: "ingot check --read-data", every version that anybody
// was told of, nothing half there, and that the laptops go on.
func TestAKilledDaemonLosesNothing(t *testing.T) {
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d: play it again with -kill-seed %[1]d", seed)
	w := newWorld(t, seed)
	ctx, stop := context.WithCancel(w.ctx)
	var lanes sync.WaitGroup
	for i, lane := range []func(context.Context, *rand.Rand){w.captures, w.captures, w.imports, w.imports, w.clears, w.lives} {
		lanes.Go(func() { lane(ctx, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	rng := rand.New(rand.NewPCG(seed, 1000))
	began := time.Now()
	rounds := 0
	for rounds < *kills && !t.Failed() {
		rounds++
		w.killOnce(phases[rng.IntN(len(phases))], rng)
		w.prove(fmt.Sprintf("after kill %d", rounds), rng)
		w.gate.Unlock()
	}
	took := time.Since(began)
	w.over.Store(true) // the laptops end what they have begun
	lanes.Wait()
	stop()
	w.gate.Lock()
	w.proveAll()
	w.tell(rounds, took)
}

// world is a site with work to do, and what its people and laptops know of it.
type world struct {
	t    *testing.T
	ctx  context.Context
	site *site.Site
	gold []byte // a golden disk
	at   int    // of its payload
	over atomic.Bool

	gate    sync.RWMutex // held for reading while something is asked, for writing from a kill to its proof
	started time.Time    // of the running daemon

	mu      sync.Mutex // guards what follows
	down    bool
	began   map[phase]map[int]time.Time // of what runs now
	steps   int
	news    chan struct{} // closed when something begins
	lasted  map[phase]time.Duration
	fell    map[phase]bool // what the latest kill has cut off
	fallen  map[phase]int  // how many kills fell into it
	ledger  map[string]*entry
	tried   map[string]string // label -> SHA-256 of the disk: what was sent, and perhaps became a version
	labels  int
	tallies map[string]int
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	needTools(t)
	bin, err := program()
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(*kills)*15*time.Second)
	t.Cleanup(cancel)
	s, err := site.Start(ctx, bin, t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, s.Stop()) })
	g := simlaptop.Golden{Payload: payload, Seed: seed}
	file := filepath.Join(s.Dir, "gold.raw")
	must(t, g.Make(ctx, file))
	gold, err := os.ReadFile(file)
	must(t, err)
	w := &world{t: t, ctx: ctx, site: s, gold: gold, at: findPayload(t, gold, g), started: time.Now(), began: map[phase]map[int]time.Time{}, news: make(chan struct{}),
		lasted: map[phase]time.Duration{}, fallen: map[phase]int{}, ledger: map[string]*entry{}, tried: map[string]string{}, tallies: map[string]int{}}
	for _, p := range phases {
		w.began[p] = map[int]time.Time{}
	}
	return w
}

// enter notes that a phase has begun. What it gives notes its end: cut tells that no answer came.
func (w *world) enter(p phase) (leave func(cut bool)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down { // it asks in vain, and knows it soon
		return func(bool) {}
	}
	w.steps++
	n, now := w.steps, time.Now()
	w.began[p][n] = now
	close(w.news)
	w.news = make(chan struct{})
	return func(cut bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.began[p], n)
		if cut && w.down {
			w.fell[p] = true
		}
		if !cut {
			w.lasted[p] = (w.lasted[p]*3 + time.Since(now)) / 4
		}
	}
}

// killOnce waits for a phase, lets a random part of its usual time go by, and kills the daemon. When it returns, the
// daemon is there again and the gate is locked: whoever was asking has been answered, or knows that he was not.
func (w *world) killOnce(target phase, rng *rand.Rand) {
	w.t.Helper()
	usual := w.await(target)
	time.Sleep(time.Duration(rng.Float64() * float64(usual)))
	w.mu.Lock()
	w.down, w.fell = true, map[phase]bool{}
	w.mu.Unlock()
	must(w.t, w.site.Kill())
	w.gate.Lock()
	w.started = time.Now()
	must(w.t, w.site.Daemon.Start(w.ctx))
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.fell {
		w.fallen[p]++
	}
	if len(w.fell) == 0 {
		w.tallies["kills between two phases"]++
	}
	w.down = false
}

// await waits until a phase begins, or for a while: some need what another kill has taken from them. It gives how long
// the phase usually lasts.
func (w *world) await(p phase) time.Duration {
	end := time.NewTimer(5 * time.Second)
	defer end.Stop()
	for {
		w.mu.Lock()
		n, news, usual := len(w.began[p]), w.news, w.lasted[p]
		w.mu.Unlock()
		if n > 0 {
			return usual
		}
		select {
		case <-news:
		case <-end.C:
			return 0
		case <-w.ctx.Done():
			w.t.Fatal(context.Cause(w.ctx))
		}
	}
}

func (w *world) count(what string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tallies[what] += n
}

// tell prints what happened, and fails when something of it never did.
func (w *world) tell(rounds int, took time.Duration) {
	w.t.Logf("%d kills in %.0f s, %.1f s each with the proof; into", rounds, took.Seconds(), took.Seconds()/float64(rounds))
	for _, p := range phases {
		w.t.Logf("%5d  %s", w.fallen[p], p)
		if rounds >= 200 && w.fallen[p] == 0 {
			w.t.Errorf("no kill fell into %s", p)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(w.tallies)) {
		w.t.Logf("%5d  %s", w.tallies[what], strings.TrimSpace(what))
	}
	for _, what := range []string{accepted, resumed, moved} {
		if rounds >= 200 && w.tallies[what] == 0 {
			w.t.Errorf("never: %s", what)
		}
	}
	for _, what := range []string{captured, imported} { // else what is proven after each kill is nothing
		if w.tallies[what] == 0 {
			w.t.Errorf("never: %s", what)
		}
	}
}
