package chunkstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"ingot/imaging"
)

// A pack is closed when it reaches either bound: large enough that a thousand packs hold 10 million chunks,
// small enough that its list of entries and one fsync cost little.
const (
	packBytes  = 128 << 20
	packChunks = 1 << 16
)

// Stats count what a batch did. New chunks are those that the store did not hold.
type Stats struct {
	Chunks, NewChunks     uint64
	PlainBytes, NewPlain  uint64
	StoredBytes, NewPacks uint64 // what the new chunks take in packs
}

// Batch stores chunks. Put may be called by many goroutines; coding and writing go on behind it. Each pack is
// safe and findable as soon as it is full, so an import that was killed starts again where it was; everything
// is, when Commit returns nil. Exactly one Commit or Abort must follow.
//
// What a batch stored, and what it found held, is safe from gc until the manifest that names it is put: to the Abort
// behind the Commit, which does nothing else, or an hour after the Commit.
type Batch struct {
	s       *Store
	pins    *pins
	work    chan task
	workers sync.WaitGroup
	bufs    sync.Pool

	mu      sync.Mutex // guards what follows
	pending map[imaging.Digest]struct{}
	stats   Stats
	err     error
	closed  bool

	packMu sync.Mutex // guards cur; the writing of one pack is serial
	cur    *openPack
}

type task struct {
	digest imaging.Digest
	plain  *[]byte
}

// openPack is a pack that is being written.
type openPack struct {
	f       *os.File
	w       *imaging.PackWriter
	name    imaging.Digest // once it is finished
	entries []entry
}

// NewBatch begins a batch.
func (s *Store) NewBatch() *Batch {
	n := min(runtime.GOMAXPROCS(0), 16)
	b := &Batch{s: s, pins: s.keep.begin(), work: make(chan task, 2*n), pending: map[imaging.Digest]struct{}{}}
	b.bufs.New = func() any { p := make([]byte, 0, imaging.DefaultParams().Max); return &p }
	b.workers.Add(n)
	for range n {
		go b.worker()
	}
	return b
}

// Has reports whether the store holds a chunk, or this batch stores it at this moment. A chunk that it reports as held
// stays so for the batch, as if the batch had stored it.
func (b *Batch) Has(d imaging.Digest) (bool, error) {
	b.mu.Lock()
	_, pending := b.pending[d]
	b.mu.Unlock()
	if pending {
		return true, nil
	}
	return b.held(d)
}

// held pins a chunk before it looks for it.
func (b *Batch) held(d imaging.Digest) (bool, error) {
	b.pins.add(d)
	return b.s.Has(d)
}

// Put stores a chunk that the store does not hold yet and returns its digest. The bytes are copied. An error
// of an earlier chunk is returned by a later Put or by Commit.
func (b *Batch) Put(plain []byte) (imaging.Digest, error) {
	if len(plain) == 0 || len(plain) > imaging.MaxChunk {
		return imaging.Digest{}, fmt.Errorf("store chunk of %d bytes: want 1 to %d", len(plain), imaging.MaxChunk)
	}
	d := imaging.Sum(plain)
	held, err := b.held(d)
	if err != nil {
		return d, fmt.Errorf("store chunk %s: %w", d.Short(), err)
	}
	isNew, err := b.claim(d, held, len(plain))
	if err != nil || !isNew {
		return d, err
	}
	p := b.bufs.Get().(*[]byte)
	*p = append((*p)[:0], plain...)
	b.work <- task{d, p}
	return d, nil
}

// claim counts a chunk and says whether this Put is the one that stores it.
func (b *Batch) claim(d imaging.Digest, held bool, n int) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false, errors.New("store chunk: the batch has ended")
	}
	if b.err != nil {
		return false, b.err
	}
	b.stats.Chunks++
	b.stats.PlainBytes += uint64(n)
	if _, pending := b.pending[d]; pending || held {
		return false, nil
	}
	b.pending[d] = struct{}{}
	b.stats.NewChunks++
	b.stats.NewPlain += uint64(n)
	return true, nil
}

func (b *Batch) worker() {
	defer b.workers.Done()
	var frame []byte
	for t := range b.work {
		if b.failed() == nil {
			var err error
			if frame, err = imaging.EncodeChunk(frame[:0], *t.plain); err == nil {
				err = b.append(t.digest, len(*t.plain), frame)
			}
			b.fail(err)
		}
		b.bufs.Put(t.plain)
	}
}

func (b *Batch) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

func (b *Batch) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil && err != nil {
		b.err = fmt.Errorf("store chunks: %w", full(err))
	}
}

// append writes a frame into the open pack; the worker that fills a pack also closes it, while the others go
// on with the next.
func (b *Batch) append(d imaging.Digest, plain int, frame []byte) error {
	done, err := b.appendOpen(d, plain, frame)
	if err != nil || done == nil {
		return err
	}
	return b.seal(done)
}

func (b *Batch) appendOpen(d imaging.Digest, plain int, frame []byte) (full *openPack, err error) {
	b.packMu.Lock()
	defer b.packMu.Unlock()
	if b.cur == nil {
		if b.cur, err = b.s.newPack(); err != nil {
			return nil, err
		}
	}
	if err := b.cur.add(d, plain, frame); err != nil {
		return nil, err
	}
	if !b.cur.full() {
		return nil, nil
	}
	full, b.cur = b.cur, nil
	return full, nil
}

func (p *openPack) add(d imaging.Digest, plain int, frame []byte) error {
	at, err := p.w.Append(d, plain, frame)
	if err == nil {
		p.entries = append(p.entries, entry{digest: d, off: uint32(at), stored: uint32(len(frame)), plain: uint32(plain)})
	}
	return err
}

func (p *openPack) full() bool { return p.w.Size() >= packBytes || len(p.entries) >= packChunks }

func (s *Store) newPack() (*openPack, error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, "packs"), tmpPrefix+"*")
	if err != nil {
		return nil, err
	}
	w, err := imaging.NewPackWriter(f)
	if err != nil {
		f.Close()
		os.Remove(f.Name()) // what remains is removed by the next Open
		return nil, err
	}
	return &openPack{f: f, w: w}, nil
}

// seal makes a pack durable and findable, and only then forgets that its chunks are under way.
func (b *Batch) seal(p *openPack) error {
	lost := b.s.lost() // before the pack takes the place of a damaged one
	size, err := b.s.adopt(p)
	if err != nil {
		p.discard()
		return err
	}
	b.s.flushBad()
	b.s.healed(lost, p.name, p.entries)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.NewPacks++
	b.stats.StoredBytes += uint64(size)
	for _, e := range p.entries {
		delete(b.pending, e.digest)
	}
	return nil
}

func (p *openPack) discard() {
	p.f.Close()
	os.Remove(p.f.Name()) // already renamed, or removed by the next Open
}

// adopt gives a written pack its name and its place in the index.
func (s *Store) adopt(p *openPack) (size int64, err error) {
	name, size, err := p.w.Finish()
	if err != nil {
		return 0, err
	}
	p.name = name
	if err := p.f.Sync(); err != nil { // the long part of publish, before the lock
		return 0, err
	}
	s.mergeMu.Lock() // a sweep that removes a pack of this name is waited for
	defer s.mergeMu.Unlock()
	if err := publish(p.f, s.packPath(name)); err != nil {
		return 0, err
	}
	if err := p.f.Close(); err != nil {
		return 0, err
	}
	if err := s.enter(name, size, p.entries); err != nil {
		return 0, err
	}
	return size, nil
}

// enter puts a pack that has its final name into the index. Two imports of one disk at once may write the same
// pack; the second waits until the first has indexed it. The caller holds mergeMu.
func (s *Store) enter(name imaging.Digest, size int64, entries []entry) error {
	p, known := s.register(name, size)
	if known {
		return s.reenter(p, entries)
	}
	if err := s.addRun(p, entries); err != nil {
		s.mu.Lock()
		delete(s.packs, name)
		s.mu.Unlock()
		return errors.Join(err, os.Remove(p.path)) // nobody relies on it, and it may be the disk that is full
	}
	return nil
}

// reenter makes sure that the index knows every chunk of a pack that was there before: it may have been made
// from damaged bytes.
func (s *Store) reenter(p *packFile, entries []entry) error {
	for _, e := range entries {
		there := false
		err := s.copies(e.digest, func(l location, _ bool) bool {
			there = there || (l.pack == p && l.off == e.off)
			return there
		})
		if err != nil && !errors.Is(err, errIndex) {
			return err
		}
		if !there {
			return s.reindex(p, entries)
		}
	}
	return nil
}

func (s *Store) reindex(p *packFile, entries []entry) error {
	s.mu.RLock()
	var old *run
	for _, r := range s.runs {
		if slices.Contains(r.packs, p) {
			old = r
		}
	}
	s.mu.RUnlock()
	if old == nil {
		return s.addRun(p, entries)
	}
	dir := filepath.Join(s.dir, "index")
	if err := s.remake(dir, old); err != nil {
		return err
	}
	return s.mergeAll(dir)
}

// register notes a pack that has its final name. One that the index knew already was missing or damaged, and
// has just been replaced by whole bytes.
func (s *Store) register(name imaging.Digest, size int64) (p *packFile, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p = s.packs[name]
	if p == nil {
		p = &packFile{name: name, path: s.packPath(name), size: size, have: size}
		s.packs[name] = p
		return p, false
	}
	p.size, p.have, p.condemned = size, size, false
	s.handles.drop(p)
	s.forget(p)
	return p, true
}

// Stats says what the batch did so far.
func (b *Batch) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stats
}

// Commit waits until every chunk is safe on disk and findable.
func (b *Batch) Commit() error {
	if !b.end() {
		return errors.New("commit chunks: the batch has ended")
	}
	defer b.s.keep.expire(b.pins)
	if err := b.failed(); err != nil {
		b.dropOpen()
		return err
	}
	if b.cur == nil {
		return nil
	}
	err := b.seal(b.cur)
	b.cur = nil
	b.fail(err)
	return b.failed()
}

// Abort ends the batch, and what it holds against gc. Packs that were full by then stay; they hold whole chunks that a next import finds.
func (b *Batch) Abort() {
	if b.end() {
		b.dropOpen()
	}
	b.s.keep.drop(b.pins)
}

func (b *Batch) dropOpen() {
	if b.cur != nil {
		b.cur.discard()
		b.cur = nil
	}
}

// end stops the workers; it reports false when the batch had ended before. No Put may run beside it.
func (b *Batch) end() bool {
	b.mu.Lock()
	was := b.closed
	b.closed = true
	b.mu.Unlock()
	if was {
		return false
	}
	close(b.work)
	b.workers.Wait()
	return true
}
