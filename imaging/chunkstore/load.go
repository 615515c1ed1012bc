package chunkstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"ingot/imaging"
)

// load makes the memory's picture of the folder: packs on disk, index files that hold, and new index files for
// packs that none covers.
func (s *Store) load() error {
	if err := s.removeTemporary(); err != nil {
		return err
	}
	onDisk, err := s.named("packs", packExt)
	if err != nil {
		return err
	}
	for _, d := range onDisk {
		st, err := os.Stat(s.packPath(d))
		if err != nil {
			return err
		}
		s.packs[d] = &packFile{name: d, path: s.packPath(d), size: st.Size(), have: st.Size()}
	}
	covered, err := s.loadRuns()
	if err != nil {
		return err
	}
	for _, d := range onDisk {
		if covered[d] {
			continue
		}
		if err := s.indexPack(s.packs[d]); err != nil {
			return err
		}
	}
	return s.loadQuarantine()
}

type loaded struct {
	r    *run
	list []packSize
}

// loadRuns opens the index files. One that is damaged goes, since its packs can be scanned; so does one whose
// packs a larger one covers, which a kill in the middle of a merge leaves behind.
func (s *Store) loadRuns() (covered map[imaging.Digest]bool, err error) {
	names, err := s.named("index", indexExt)
	if err != nil {
		return nil, err
	}
	var all []loaded
	for _, d := range names {
		path := filepath.Join(s.dir, "index", d.String()+indexExt)
		r, list, err := openRun(path)
		if errors.Is(err, errIndex) {
			err = os.Remove(path)
		}
		if err != nil {
			return nil, err
		}
		if r != nil {
			all = append(all, loaded{r, list})
		}
	}
	sort.Slice(all, func(i, j int) bool { return len(all[i].list) > len(all[j].list) })
	covered = map[imaging.Digest]bool{}
	for _, l := range all {
		if coversAll(covered, l.list) {
			if err := errors.Join(l.r.f.Close(), os.Remove(l.r.path)); err != nil {
				return nil, err
			}
			continue
		}
		for _, p := range l.list {
			covered[p.name] = true
			l.r.packs = append(l.r.packs, s.resolve(p))
		}
		s.runs = append(s.runs, l.r)
	}
	s.sortRuns()
	return covered, nil
}

func coversAll(covered map[imaging.Digest]bool, list []packSize) bool {
	for _, p := range list {
		if !covered[p.name] {
			return false
		}
	}
	return true
}

// resolve finds the pack that an index file lists; a missing one is kept in mind, so that Check can name it.
func (s *Store) resolve(l packSize) *packFile {
	p := s.packs[l.name]
	if p == nil {
		p = &packFile{name: l.name, path: s.packPath(l.name), have: -1}
		s.packs[l.name] = p
	}
	p.size = l.size
	return p
}

func (s *Store) sortRuns() {
	sort.SliceStable(s.runs, func(i, j int) bool { return s.runs[i].count > s.runs[j].count })
}

// indexPack scans a pack and adds its index.
func (s *Store) indexPack(p *packFile) error {
	entries, err := scanEntries(p, s.have(p))
	if err != nil {
		return err
	}
	return s.addRun(p, entries)
}

// have is the size of a pack's file, -1 when it is missing.
func (s *Store) have(p *packFile) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return p.have
}

// scanEntries makes the entries of a pack of size bytes by its heads. Of a damaged pack what can still be read
// is indexed; Check names the rest.
func scanEntries(p *packFile, size int64) ([]entry, error) {
	f, err := os.Open(p.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var entries []entry
	err = imaging.WalkPack(f, size, func(at int64, h imaging.ChunkHead, damage error) error {
		if damage == nil {
			entries = append(entries, entry{digest: h.Digest, off: uint32(at), stored: h.Stored, plain: h.Plain})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("scan pack %s: %w", p.name.Short(), err)
	}
	return entries, nil
}

// addRun writes the index of one pack, makes it visible, and merges runs of like size. The caller holds
// mergeMu, or is load.
func (s *Store) addRun(p *packFile, entries []entry) error {
	dir := filepath.Join(s.dir, "index")
	r, err := writeRun(dir, p, entries)
	if err != nil {
		return full(err)
	}
	if err := s.replace(nil, r); err != nil {
		return err
	}
	return s.mergeAll(dir)
}

// replace puts fresh, which may be nil, into the place of old, which may be nil, and of any run that had fresh's file
// name. The caller holds mergeMu, or is load.
func (s *Store) replace(old, fresh *run) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	kept := s.runs[:0]
	for _, r := range s.runs {
		switch {
		case fresh != nil && r.path == fresh.path:
			errs = append(errs, r.f.Close()) // its file has been replaced
		case r == old:
			errs = append(errs, r.f.Close(), os.Remove(r.path))
		default:
			kept = append(kept, r)
		}
	}
	if s.runs = kept; fresh != nil {
		s.runs = append(s.runs, fresh)
	}
	s.sortRuns()
	s.changes++
	return errors.Join(errs...)
}

// mergeAll merges until each run is at least twice as large as the next, or until the disk has no room for it: then
// the index is as good as before. The caller holds mergeMu.
func (s *Store) mergeAll(dir string) error {
	for {
		a, b := s.mergePair()
		if a == nil {
			return nil
		}
		err := s.merge(dir, a, b)
		if errors.Is(err, errIndex) {
			err = errors.Join(s.remake(dir, a), s.remake(dir, b))
		}
		if noRoom(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// mergePair chooses two neighbours of which the larger is less than twice the smaller, from the small end.
func (s *Store) mergePair() (a, b *run) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i := len(s.runs) - 1; i > 0; i-- {
		if a, b = s.runs[i-1], s.runs[i]; a.count < 2*b.count || b.count == 0 {
			return a, b
		}
	}
	return nil, nil
}

func (s *Store) merge(dir string, a, b *run) error {
	m, err := mergeRuns(dir, a, b)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.runs[:0]
	for _, r := range s.runs {
		if r != a && r != b {
			kept = append(kept, r)
		}
	}
	s.runs = append(kept, m)
	s.sortRuns()
	return errors.Join(a.f.Close(), b.f.Close(), os.Remove(a.path), os.Remove(b.path))
}

// remake replaces a run that is damaged, or may be, by runs made anew from its packs. The caller holds
// mergeMu. A pack that is missing leaves the index then; only its manifests still know of it.
func (s *Store) remake(dir string, old *run) error {
	var fresh []*run
	for _, p := range old.packs {
		have := s.have(p)
		if have < 0 {
			continue
		}
		entries, err := scanEntries(p, have)
		if err != nil {
			return err
		}
		r, err := writeRun(dir, p, entries)
		if err != nil {
			return err
		}
		fresh = append(fresh, r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := fresh
	stays := false // the index of a single pack keeps its name
	for _, r := range fresh {
		stays = stays || r.path == old.path
	}
	for _, r := range s.runs {
		if r != old {
			kept = append(kept, r)
		}
	}
	s.runs = kept
	s.sortRuns()
	s.changes++
	if stays {
		return old.f.Close()
	}
	return errors.Join(old.f.Close(), os.Remove(old.path))
}
