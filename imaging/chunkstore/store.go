package chunkstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"ingot/imaging"
	"ingot/imaging/job"
)

const (
	packExt     = ".pack"
	manifestExt = ".manifest"
	indexExt    = ".idx"
	tmpPrefix   = "tmp-"
	maxBad      = 1000 // damaged places of one pack, before it is distrusted as a whole
)

// ErrMissing says that the store does not hold a chunk or a manifest.
var ErrMissing = errors.New("not in the store")

// Store is an open folder of packs, index and manifests. It serves many goroutines.
type Store struct {
	dir     string
	lock    *os.File
	handles handles

	// mu guards runs, packs and bad. Lookups hold it for reading, also during their one small read, so that a
	// merge cannot close a run under them.
	mu    sync.RWMutex
	runs  []*run // largest first
	packs map[imaging.Digest]*packFile
	bad   map[place]flaw // in quarantine: not served, and not counted as held

	badDirty  []place // put there since the last flush
	badLifted bool    // the list on disk is no longer right
	changes   uint64  // counts what may change whether a manifest is whole, as it becomes visible: in bad, in runs, in have

	wholeMu  sync.Mutex // one walk through a manifest for Whole at a time; guards verdicts
	verdicts verdicts

	decided chan struct{} // closed when the sweep that condemned packs has decided about them; nil when none has

	mergeMu sync.Mutex // one change of the index files at a time

	keep    keep        // what gc must spare
	badMu   sync.Mutex  // one flush of the quarantine at a time
	observe func(Event) // may be nil
	sweepMu sync.Mutex  // one sweep at a time, and none while the store is held
	held    atomic.Bool // by Hold
}

// place is where a chunk's head lies.
type place struct {
	pack *packFile
	off  uint32
}

// Open opens the store in dir and makes its folders when they are absent. It removes what a killed program
// left half-written, and indexes packs that no index covers. A second Open of the same folder, by any
// program, is refused in words until the first is closed.
func Open(dir string) (*Store, error) {
	for _, sub := range []string{"packs", "manifests", "index"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("open image store: %w", full(err))
		}
	}
	lock, err := lockFile(filepath.Join(dir, "chunks.lock"))
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, lock: lock, packs: map[imaging.Digest]*packFile{}, bad: map[place]flaw{}}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open image store %s: %w", dir, full(err)), s.Close())
	}
	return s, nil
}

func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		f.Close()
		return nil, job.Faultf(job.CodeDaemon, "Another program has the image store %s open.", filepath.Dir(path))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock image store: %w", err)
	}
	return f, nil
}

// Close ends the use of the store. Nothing else may use it any more.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := []error{s.handles.closeAll()}
	for _, r := range s.runs {
		errs = append(errs, r.f.Close())
	}
	s.runs = nil
	return errors.Join(append(errs, s.lock.Close())...)
}

func (s *Store) packPath(d imaging.Digest) string {
	return filepath.Join(s.dir, "packs", d.String()+packExt)
}

func (s *Store) manifestPath(d imaging.Digest) string {
	return filepath.Join(s.dir, "manifests", d.String()+manifestExt)
}

// named lists the files of a folder whose name is a digest and ext.
func (s *Store) named(sub, ext string) ([]imaging.Digest, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, sub))
	if err != nil {
		return nil, err
	}
	var out []imaging.Digest
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), ext)
		if d, err := imaging.ParseDigest(base); ok && err == nil && e.Type().IsRegular() {
			out = append(out, d)
		}
	}
	return out, nil
}

// removeTemporary removes what a killed program left. The lock says that nobody is writing any of it.
func (s *Store) removeTemporary() error {
	for _, sub := range []string{"packs", "manifests", "index"} {
		left, err := filepath.Glob(filepath.Join(s.dir, sub, tmpPrefix+"*"))
		if err != nil {
			return err
		}
		for _, path := range left {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// publish makes a temporary file durable under its final name.
func publish(f *os.File, path string) error {
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// full turns "no space" into the words for it and leaves other errors alone.
func full(err error) error {
	if noRoom(err) {
		return fmt.Errorf("%w: %w", err, job.Faultf(job.CodeFull, ""))
	}
	return err
}

func noRoom(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
