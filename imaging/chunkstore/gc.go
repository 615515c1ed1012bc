package chunkstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"ingot/imaging"
	"ingot/imaging/job"
)

// defaultWaste is the share of a pack, in percent, that must be unneeded before the rest of it moves to a new pack.
const defaultWaste = 25

// SweepOptions say what a Sweep spares, and how far it goes.
type SweepOptions struct {
	// Wanted gives the manifests that must stay, with the name that people know each by. It is called once, when the
	// sweep spares already whatever is put beside it.
	Wanted func(context.Context) (map[imaging.Digest]string, error)
	DryRun bool // count, and change nothing
	Waste  int  // percent of a pack that must be unneeded before it is rewritten; 0 is a quarter
	// Progress is told how far a phase is, in bytes: marking, then for each group of packs moving, when needed chunks
	// lie in them, and removing. It may be nil.
	Progress func(phase string, done, total uint64)
}

// Swept is what a Sweep removed, or would.
type Swept struct {
	Manifests  int    // removed
	Packs      int    // removed, those among them whose needed chunks moved
	NewPacks   int    // written with chunks that moved
	Chunks     uint64 // needed by what stays
	DeadChunks uint64 // removed
	FreedBytes int64  // of files removed, less those written
	LeftBytes  uint64 // unneeded, in packs that are used well enough to stay
	Missing    uint64 // chunks that a manifest needs and that no pack can give: Check names them
	Postponed  int    // packs that would have been rewritten, had the disk room for it
}

// Sweep removes what no wanted manifest needs: manifests, packs without a needed chunk, and, where much of a pack is
// unneeded, that pack after its needed chunks were proven and moved to a new one. It spares what batches stored or
// found held, and manifests that were put and that no record names yet. It may run beside everything else; a second
// one beside it is refused. After a kill at any moment the store is whole, and the next sweep removes the rest.
func (s *Store) Sweep(ctx context.Context, o SweepOptions) (Swept, error) {
	if !s.sweepMu.TryLock() {
		if s.held.Load() {
			return Swept{}, job.Faultf(job.CodeBusy, "A backup is being made; it needs what is in the image store.")
		}
		return Swept{}, job.Faultf(job.CodeBusy, "The image store is being cleared already.")
	}
	defer s.sweepMu.Unlock()
	fresh := s.keep.beginSweep()
	defer s.keep.endSweep()
	// Listed only now: one that was put between the two would be fresh but not there, and lose its chunks.
	listed, err := s.Manifests()
	if err != nil {
		return Swept{}, err
	}
	wanted, err := o.Wanted(ctx)
	if err != nil {
		return Swept{}, err
	}
	w := &sweep{s: s, o: o, ctx: ctx}
	if err := w.run(listed, fresh, wanted); err != nil {
		return w.out, fmt.Errorf("clear image store: %w", full(err))
	}
	return w.out, nil
}

// sweep is one run of Sweep.
type sweep struct {
	s   *Store
	o   SweepOptions
	ctx context.Context
	m   *marks
	out Swept

	done, total uint64 // bytes of the packs that go
}

func (w *sweep) run(listed, fresh []imaging.Digest, wanted map[imaging.Digest]string) error {
	if _, err := w.s.mendIndex(w.ctx); err != nil {
		return err
	}
	w.s.refreshPacks()
	var err error
	if w.m, err = w.s.newMarks(); err != nil {
		return err
	}
	defer w.m.close()
	unwanted, err := w.mark(listed, fresh, wanted)
	if err != nil {
		return err
	}
	used, err := w.m.usage(w.ctx)
	if err != nil {
		return err
	}
	w.out.Chunks, w.out.Missing = w.m.live, w.m.missing
	goes := w.choose(used)
	if w.o.DryRun {
		return w.estimate(unwanted, goes)
	}
	// A manifest goes before what it needed, and durably: after a kill in between none is left without its chunks.
	if err := w.manifests(unwanted); err != nil {
		return err
	}
	for len(goes) > 0 {
		n := groupOf(goes)
		if err := w.group(goes[:n]); err != nil {
			return err
		}
		goes = goes[n:]
	}
	return w.s.pruneIndex()
}

// mark marks what the wanted and the fresh manifests need, and gives the manifests that may go.
func (w *sweep) mark(listed, fresh []imaging.Digest, wanted map[imaging.Digest]string) (unwanted []imaging.Digest, err error) {
	there := map[imaging.Digest]bool{}
	for _, d := range listed {
		there[d] = true
	}
	roots := map[imaging.Digest]string{}
	for _, d := range fresh {
		if there[d] {
			roots[d] = "manifest " + d.Short()
		}
	}
	for d, name := range wanted {
		roots[d] = name
	}
	done := uint64(0)
	for d, name := range roots {
		if err := w.m.manifest(w.ctx, d, name); err != nil {
			return nil, err
		}
		done++
		w.tell("marking", done, uint64(len(roots)))
	}
	for _, d := range listed {
		if _, stays := roots[d]; !stays {
			unwanted = append(unwanted, d)
		}
	}
	return unwanted, nil
}

func (w *sweep) tell(phase string, done, total uint64) {
	if w.o.Progress != nil {
		w.o.Progress(phase, done, total)
	}
}

// choose gives the packs that go, those first that free most for least. While a needed chunk is missing, a pack with
// damage stays: it may be all that is left of it.
func (w *sweep) choose(used []*usage) (goes []*usage) {
	waste := int64(cmp.Or(w.o.Waste, defaultWaste))
	for _, u := range used {
		dead := u.total - u.liveBytes
		wrecked := u.bad || u.chunks == 0
		switch {
		case w.m.lost[u.pack], u.have < 0 && u.live > 0, wrecked && w.m.missing > 0:
			w.out.LeftBytes += uint64(dead)
		case u.live == 0, wrecked, dead*100 >= waste*u.total:
			goes = append(goes, u)
			w.total += uint64(max(0, u.have))
		default:
			w.out.LeftBytes += uint64(dead)
		}
	}
	slices.SortStableFunc(goes, func(a, b *usage) int { return cmp.Compare(a.liveBytes, b.liveBytes) })
	return goes
}

// estimate fills the result as if all went well.
func (w *sweep) estimate(unwanted []imaging.Digest, goes []*usage) error {
	for _, d := range unwanted {
		st, err := os.Stat(w.s.manifestPath(d))
		if err != nil {
			return err
		}
		w.out.Manifests++
		w.out.FreedBytes += st.Size()
	}
	for _, u := range goes {
		if u.have >= 0 {
			w.out.Packs++
			w.out.FreedBytes += u.have - u.liveBytes
		}
		w.out.DeadChunks += uint64(u.deadChunks)
	}
	return nil
}

// manifests removes manifests; one that was put again beside the sweep stays.
func (w *sweep) manifests(unwanted []imaging.Digest) error {
	for _, d := range unwanted {
		size, err := w.s.removeManifest(d)
		if err != nil {
			return err
		}
		if size > 0 {
			w.out.Manifests++
			w.out.FreedBytes += size
		}
	}
	return syncDir(filepath.Join(w.s.dir, "manifests"))
}

func (s *Store) removeManifest(d imaging.Digest) (size int64, err error) {
	s.keep.mu.Lock()
	defer s.keep.mu.Unlock()
	if _, fresh := s.keep.fresh[d]; fresh {
		return 0, nil
	}
	st, err := os.Stat(s.manifestPath(d))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return st.Size(), os.Remove(s.manifestPath(d))
}

// Packs that go are decided about in groups: their entries are held in memory, and their needed chunks take room on
// the disk beside them until the group is done.
const (
	groupChunks = 1 << 19
	groupBytes  = 256 << 20
)

// groupOf says how many packs make the next group.
func groupOf(goes []*usage) int {
	chunks, bytes := goes[0].chunks, goes[0].liveBytes
	n := 1
	for ; n < len(goes); n++ {
		if chunks += goes[n].chunks; chunks > groupChunks {
			break
		}
		if bytes += goes[n].liveBytes; bytes > groupBytes {
			break
		}
	}
	return n
}
