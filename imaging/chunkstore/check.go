package chunkstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"ingot/imaging"
)

// maxProblems bounds the list of a Report; what is beyond is counted.
const maxProblems = 10_000

// CheckOptions say how thorough a Check is.
type CheckOptions struct {
	// ReadData reads every pack, and decodes and digests every chunk. Without it only sizes, both ends of each
	// pack, the index and the manifests are proven, and that each chunk of a manifest is held.
	ReadData bool
	// Percent has ReadData read only so many of a hundred packs, chosen at random, and at least one; 0 and 100 are all.
	Percent int
	// Versions gives the names that people know a manifest by. A manifest that is named here and missing is a
	// problem.
	Versions map[imaging.Digest][]string
	// BytesPerSecond bounds the reading of packs, for a check beside the daily work; 0 does not.
	BytesPerSecond int
	// Progress is told how many of all bytes to read are done, from several goroutines but one at a time, for
	// each pack and each manifest. It may be nil.
	Progress func(done, total uint64)
}

// Problem is one damaged thing.
type Problem struct {
	File     string         // below the store's folder; "" when no file holds it
	Offset   int64          // bytes into the file; -1 when it is all of it
	Chunk    imaging.Digest // zero when unknown or no chunk is meant
	What     string         // one clause
	Versions []string       // that cannot be deployed because of it, sorted; none when every chunk has another copy
}

// String is the problem in one line.
func (p Problem) String() string {
	s := p.File
	if p.Offset >= 0 {
		s += fmt.Sprintf(" at %d", p.Offset)
	}
	if !p.Chunk.IsZero() {
		s += ", chunk " + p.Chunk.Short()
	}
	return s + ": " + p.What
}

// Report is what a Check found.
type Report struct {
	Packs, Manifests int
	Read             int    // packs of which every byte was read
	Chunks           uint64 // read with ReadData, otherwise looked up
	Bytes            uint64 // read of packs
	Problems         []Problem
	More             uint64 // problems beyond those listed
}

// OK reports whether everything is whole.
func (r Report) OK() bool { return len(r.Problems) == 0 && r.More == 0 }

// Check proves the store and names what is wrong, and which versions that hits. A damaged index is remade from
// the packs on the way. Chunks found damaged are no longer held from then on, so that importing their image
// again stores them anew. An error means that the check could not be made, not that something is damaged.
func (s *Store) Check(ctx context.Context, o CheckOptions) (Report, error) {
	c := &checker{s: s, o: o, places: map[place]*Problem{}, packs: map[*packFile]*Problem{}}
	if o.BytesPerSecond > 0 {
		c.limit = rate.NewLimiter(rate.Limit(o.BytesPerSecond), max(o.BytesPerSecond, readStep))
	}
	for _, step := range []func(context.Context) error{c.index, c.allPacks, c.allManifests} {
		if err := step(ctx); err != nil {
			return Report{}, fmt.Errorf("check image store: %w", err)
		}
	}
	return c.finish(), nil
}

type checker struct {
	s     *Store
	o     CheckOptions
	limit *rate.Limiter

	subset map[*packFile]bool // of the packs to read; nil for all

	mu          sync.Mutex // guards what follows
	report      Report
	problems    []*Problem
	places      map[place]*Problem
	packs       map[*packFile]*Problem // of packs that are missing, cut short or distrusted
	done, total uint64
}

// add notes a problem. Beyond the bound it is counted and still given back, so that versions can be put to it.
func (c *checker) add(p Problem) *Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, &p)
	} else {
		c.report.More++
	}
	return &p
}

func (c *checker) progress(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done += n
	if c.o.Progress != nil {
		c.o.Progress(c.done, max(c.total, c.done))
	}
}

// index proves every run and remakes those that are damaged.
func (c *checker) index(ctx context.Context) error {
	remade, err := c.s.mendIndex(ctx)
	for _, name := range remade {
		c.add(Problem{File: filepath.Join("index", name), Offset: -1, What: "the index was damaged and has been remade from the packs"})
	}
	return err
}

// mendIndex proves every run, remakes those that are damaged, and names them.
func (s *Store) mendIndex(ctx context.Context) (remade []string, err error) {
	dir := filepath.Join(s.dir, "index")
	s.mergeMu.Lock()
	defer s.mergeMu.Unlock()
	s.mu.RLock()
	runs := append([]*run(nil), s.runs...)
	s.mu.RUnlock()
	for _, r := range runs {
		if r.verify() == nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return remade, err
		}
		if err := s.remake(dir, r); err != nil {
			return remade, full(err)
		}
		remade = append(remade, filepath.Base(r.path))
	}
	return remade, s.mergeAll(dir)
}

// allPacks looks at every pack, several at once.
func (c *checker) allPacks(ctx context.Context) error {
	list := c.s.refreshPacks()
	c.choose(list)
	for _, p := range list {
		if c.o.ReadData && c.chosen(p) && p.have > 0 {
			c.total += uint64(p.have)
			c.report.Read++
		}
	}
	c.report.Packs = len(list)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(min(runtime.GOMAXPROCS(0), 8))
	for _, p := range list {
		g.Go(func() error { return c.pack(ctx, p) })
	}
	return g.Wait()
}

// choose draws the packs of which every byte is read.
func (c *checker) choose(list []packState) {
	if c.o.Percent <= 0 || c.o.Percent >= 100 || len(list) == 0 {
		return
	}
	c.subset = map[*packFile]bool{}
	for _, i := range rand.Perm(len(list))[:max(1, len(list)*c.o.Percent/100)] {
		c.subset[list[i].packFile] = true
	}
}

func (c *checker) chosen(p packState) bool { return c.subset == nil || c.subset[p.packFile] }

// packState is a pack as it was when the check began.
type packState struct {
	*packFile
	have, size int64
}

// refreshPacks compares the known packs with the folder.
func (s *Store) refreshPacks() []packState {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]packState, 0, len(s.packs))
	for _, p := range s.packs {
		had := p.have
		p.have = -1
		if st, err := os.Stat(p.path); err == nil {
			p.have = st.Size()
		}
		if p.have != p.size {
			s.handles.drop(p)
		}
		if p.have != had {
			s.changes++
		}
		list = append(list, packState{p, p.have, p.size})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].path < list[j].path })
	return list
}

// allManifests proves the manifests of the store and those that the caller names.
func (c *checker) allManifests(ctx context.Context) error {
	list, err := c.s.Manifests()
	if err != nil {
		return err
	}
	there := map[imaging.Digest]bool{}
	for _, d := range list {
		there[d] = true
	}
	for d := range c.o.Versions {
		if !there[d] {
			c.add(Problem{File: c.manifestFile(d), Offset: -1, What: "the manifest is missing", Versions: c.names(d)})
		}
	}
	c.report.Manifests = len(list)
	extents := uint64(0)
	for _, d := range list {
		n, err := c.manifest(ctx, d)
		if err != nil {
			return err
		}
		extents += n
	}
	if !c.o.ReadData {
		c.report.Chunks = extents
	}
	return nil
}

func (c *checker) manifestFile(d imaging.Digest) string {
	return filepath.Join("manifests", d.String()+manifestExt)
}

// names is what people call a manifest; one that no version names is called by its digest.
func (c *checker) names(d imaging.Digest) []string {
	if n := c.o.Versions[d]; len(n) > 0 {
		return append([]string(nil), n...)
	}
	return []string{"manifest " + d.Short()}
}

// manifest proves one manifest and that its chunks can be read, and counts its data extents.
func (c *checker) manifest(ctx context.Context, d imaging.Digest) (data uint64, err error) {
	m, err := c.s.openManifest(d)
	if err == nil {
		defer m.Close()
		err = m.Verify()
	}
	if err != nil {
		c.add(Problem{File: c.manifestFile(d), Offset: -1, What: err.Error(), Versions: c.names(d)})
		return 0, nil
	}
	var lost *Problem
	missing := uint64(0)
	for e, err := range m.All() {
		if err != nil {
			return data, err
		}
		if err := ctx.Err(); err != nil {
			return data, err
		}
		if e.Kind != imaging.Data {
			continue
		}
		data++
		known, err := c.extent(d, e)
		if err != nil {
			return data, err
		}
		if known {
			continue
		}
		if missing++; missing == 1 {
			lost = c.add(Problem{File: c.manifestFile(d), Offset: -1, Chunk: e.Digest, Versions: c.names(d)})
		}
	}
	if missing > 0 {
		lost.What = fmt.Sprintf("%d of its chunks are in no pack; this is the first", missing)
	}
	c.progress(0)
	return data, nil
}

// extent puts the manifest's versions to every problem that lies between it and the extent's chunk. It
// reports false when there is no copy and no problem that explains it.
func (c *checker) extent(d imaging.Digest, e imaging.Numbered) (known bool, err error) {
	good := false
	var hit []*Problem
	err = c.s.copies(e.Digest, func(l location, usable bool) bool {
		if uint64(l.plain) != e.Length {
			return false
		}
		known, good = true, usable
		if p := c.places[place{l.pack, l.off}]; p != nil {
			p.Chunk = e.Digest // its own head may be unreadable
			hit = append(hit, p)
		} else if p := c.packs[l.pack]; p != nil && !usable {
			hit = append(hit, p)
		}
		return good
	})
	if err != nil || good {
		return true, err
	}
	for _, p := range hit {
		p.Versions = append(p.Versions, c.names(d)...)
		p.Versions = sorted(p.Versions)
	}
	return known && len(hit) > 0, nil
}

// sorted sorts names and drops repeated ones.
func sorted(names []string) []string {
	sort.Strings(names)
	out := names[:0]
	for i, n := range names {
		if i == 0 || n != names[i-1] {
			out = append(out, n)
		}
	}
	return out
}

// finish drops missing packs that nothing needs, and sorts.
func (c *checker) finish() Report {
	for _, p := range c.problems {
		if p.What == packGone && len(p.Versions) == 0 {
			continue
		}
		c.report.Problems = append(c.report.Problems, *p)
	}
	sort.SliceStable(c.report.Problems, func(i, j int) bool {
		a, b := c.report.Problems[i], c.report.Problems[j]
		return a.File < b.File || (a.File == b.File && a.Offset < b.Offset)
	})
	return c.report
}
