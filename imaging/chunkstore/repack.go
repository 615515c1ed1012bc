package chunkstore

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"ingot/imaging"
)

// group decides about some packs at once. They are condemned first: read still, and no longer relied on. Whatever
// somebody relied on before is pinned, so the pins can be asked for at leisure; needed chunks move to new packs; and
// only when those are durable and findable the old ones go.
func (w *sweep) group(packs []*usage) error {
	w.s.condemn(packs)
	defer w.s.decide(packs)
	moving, err := w.needed(packs)
	if err != nil {
		return err
	}
	if len(moving) > 0 {
		w.tell("moving", w.done, max(w.done, w.total))
	}
	stays, err := w.move(moving)
	if noRoom(err) {
		w.out.Postponed += len(stays)
		err = nil
	}
	if err != nil {
		return err
	}
	going := slices.DeleteFunc(slices.Clone(packs), func(u *usage) bool { return stays[u.pack] })
	w.tell("removing", w.done, max(w.done, w.total))
	freed, n, err := w.s.remove(going)
	w.out.FreedBytes += freed
	w.out.Packs += n
	for _, u := range going {
		w.out.DeadChunks += uint64(u.deadChunks)
		w.done += uint64(max(0, u.have))
	}
	w.tell("removing", w.done, max(w.done, w.total))
	return errors.Join(err, w.ctx.Err())
}

// condemn takes packs out of what may be relied on. One that was written again meanwhile is left.
func (s *Store) condemn(packs []*usage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.decided = make(chan struct{})
	for _, u := range packs {
		u.pack.condemned = true
	}
}

// decide ends the condemnation: what is not gone stays.
func (s *Store) decide(packs []*usage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range packs {
		u.pack.condemned = false
	}
	close(s.decided)
	s.decided = nil
}

// needed gives the chunks of condemned packs that must move, in the order in which they lie.
func (w *sweep) needed(packs []*usage) ([]location, error) {
	in := map[*packFile]bool{}
	for _, u := range packs {
		in[u.pack] = u.have >= 0
	}
	var moving, others []location
	sets := w.s.keep.pins() // whoever begins later finds the packs condemned
	err := w.m.each(w.ctx, func(l location, marked bool) {
		switch {
		case !in[l.pack]:
		case marked || pinned(sets, l.digest):
			moving = append(moving, l)
		default:
			others = append(others, l)
		}
	})
	if err != nil {
		return nil, err
	}
	for _, l := range others {
		last, err := w.last(l)
		if err != nil {
			return nil, err
		}
		if last {
			moving = append(moving, l)
		}
	}
	slices.SortFunc(moving, func(a, b location) int {
		return cmp.Or(cmp.Compare(a.pack.path, b.pack.path), cmp.Compare(a.off, b.off))
	})
	return slices.CompactFunc(moving, func(a, b location) bool { return a.pack == b.pack && a.off == b.off }), nil
}

// last reports whether an unmarked copy is the last good one of a needed chunk: no copy is given up before the marked
// one was read and proven.
func (w *sweep) last(l location) (bool, error) {
	marked, needed, err := w.m.elsewhere(l.digest)
	if err != nil || !needed {
		return false, err
	}
	if _, err := w.s.proven(marked); err == nil {
		return false, nil
	}
	_, err = w.s.proven(l)
	return err == nil, nil
}

// proven reads a copy and proves it by its digest. One that does not hold is no longer relied on.
func (s *Store) proven(l location) (frame []byte, err error) {
	b := make([]byte, imaging.ChunkHeadSize+int(l.stored))
	if err = s.readAt(l.pack, b, int64(l.off)); err == nil {
		err = l.check(b)
	}
	frame = b[imaging.ChunkHeadSize:]
	if err == nil {
		_, err = imaging.DecodeChunk(frame, nil, l.digest, int(l.plain))
	}
	if err != nil {
		s.markBad(place{l.pack, l.off}, l.digest, err)
		s.flushBad()
		return nil, l.wrap(err)
	}
	return frame, nil
}

// move writes chunks into new packs, each proven by its digest on the way. The packs that must stay are those with a
// chunk that could not be read, and all of them when the new packs could not be written.
func (w *sweep) move(moving []location) (stays map[*packFile]bool, err error) {
	stays = map[*packFile]bool{}
	var cur *openPack
	defer func() {
		if err == nil {
			return
		}
		if cur != nil {
			cur.discard()
		}
		for _, l := range moving {
			stays[l.pack] = true
		}
	}()
	for _, l := range moving {
		if err := w.ctx.Err(); err != nil {
			return stays, err
		}
		frame, err := w.s.proven(l)
		if err != nil {
			stays[l.pack] = true
			continue
		}
		if cur == nil {
			if cur, err = w.s.newPack(); err != nil {
				return stays, err
			}
		}
		if err := cur.add(l.digest, int(l.plain), frame); err != nil {
			return stays, err
		}
		if cur.full() {
			if err := w.adopt(cur); err != nil {
				return stays, err
			}
			cur = nil
		}
	}
	if cur != nil {
		return stays, w.adopt(cur)
	}
	return stays, nil
}

func (w *sweep) adopt(p *openPack) error {
	size, err := w.s.adopt(p)
	if err == nil {
		w.out.NewPacks++
		w.out.FreedBytes -= size
	}
	return err
}

// remove deletes condemned packs. One that was written anew since then stays. The index goes on listing them, as
// missing, until it is pruned.
func (s *Store) remove(packs []*usage) (freed int64, n int, err error) {
	s.mergeMu.Lock() // no pack gets its name meanwhile
	defer s.mergeMu.Unlock()
	var paths []string
	s.mu.Lock()
	for _, u := range packs {
		p := u.pack
		if !p.condemned {
			continue
		}
		if u.have >= 0 {
			paths = append(paths, p.path)
			freed += p.have
		}
		p.gone, p.have = true, -1
		s.handles.drop(p)
		if s.packs[p.name] == p {
			delete(s.packs, p.name)
		}
		s.forget(p)
	}
	s.mu.Unlock()
	s.flushBad()
	var errs []error
	for _, path := range paths {
		errs = append(errs, os.Remove(path))
	}
	return freed, len(paths), errors.Join(append(errs, syncDir(filepath.Join(s.dir, "packs")))...)
}

// pruneIndex writes the runs that list packs which are gone anew, without them. A disk that is too full for that
// leaves the index as it is: packs that are missing and not needed disturb nobody, and the next sweep comes here again.
func (s *Store) pruneIndex() error {
	s.mergeMu.Lock()
	defer s.mergeMu.Unlock()
	dir := filepath.Join(s.dir, "index")
	s.mu.RLock()
	runs := slices.Clone(s.runs)
	s.mu.RUnlock()
	for _, r := range runs {
		if !slices.ContainsFunc(r.packs, func(p *packFile) bool { return p.gone }) {
			continue
		}
		fresh, err := pruneRun(dir, r)
		if noRoom(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.replace(r, fresh); err != nil {
			return err
		}
	}
	return s.mergeAll(dir)
}
