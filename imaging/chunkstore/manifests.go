package chunkstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ingot/imaging"
	"ingot/imaging/job"
)

// CreateManifest makes an empty temporary file in the store for an imaging.ManifestWriter. PutManifest or
// DropManifest must follow; a file that a killed program leaves is removed by the next Open.
func (s *Store) CreateManifest() (*os.File, error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, "manifests"), tmpPrefix+"*")
	if err != nil {
		return nil, fmt.Errorf("create manifest: %w", full(err))
	}
	return f, nil
}

// DropManifest closes and removes a file of CreateManifest that will not be put.
func (s *Store) DropManifest(f *os.File) error {
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// PutManifest takes a finished file of CreateManifest into the store, once every record of it is proven and
// every chunk that it names is held with the length that it says. The file is closed in any case, and removed
// when it is refused. A manifest that the store has already is accepted again. It is safe from gc until everyone who put it
// has told by Named that a record names it, or none will.
func (s *Store) PutManifest(f *os.File) (imaging.Digest, error) {
	p := s.keep.begin()
	defer s.keep.drop(p)
	d, err := s.acceptable(f, p)
	if err == nil {
		s.keep.put(d)
		if err = full(publish(f, s.manifestPath(d))); err != nil {
			s.keep.named(d)
		}
	}
	if err != nil {
		return imaging.Digest{}, fmt.Errorf("put manifest: %w", errors.Join(err, s.DropManifest(f)))
	}
	return d, f.Close()
}

// acceptable pins every chunk of a manifest, and then looks for it.
func (s *Store) acceptable(f *os.File, p *pins) (imaging.Digest, error) {
	st, err := f.Stat()
	if err != nil {
		return imaging.Digest{}, err
	}
	m, err := imaging.OpenManifest(f, st.Size())
	if err != nil {
		return imaging.Digest{}, err
	}
	if err := m.Verify(); err != nil {
		return imaging.Digest{}, err
	}
	for e, err := range m.All() {
		if err != nil {
			return imaging.Digest{}, err
		}
		if e.Kind != imaging.Data {
			continue
		}
		p.add(e.Digest)
		if err := s.holds(e.Extent); err != nil {
			return imaging.Digest{}, fmt.Errorf("extent %d: %w", e.N, err)
		}
	}
	return m.Digest(), nil
}

// Named follows each PutManifest, once a record names the manifest, or this caller will record none. When all have told,
// the records decide about it from the next gc on.
func (s *Store) Named(d imaging.Digest) { s.keep.named(d) }

// holds checks that some copy of an extent's chunk has the extent's length and will stay. While a sweep decides about
// the pack that holds the only one, it waits.
func (s *Store) holds(e imaging.Extent) error {
	for {
		l, err := s.copyOf(e)
		if err != nil {
			return err
		}
		s.mu.RLock()
		stays, decided := !l.pack.condemned && !l.pack.gone, s.decided
		s.mu.RUnlock()
		if stays {
			return nil
		}
		if decided != nil {
			<-decided
		}
	}
}

// copyOf gives a copy of an extent's chunk that has the extent's length, if there is one of a pack that stays.
func (s *Store) copyOf(e imaging.Extent) (l location, err error) {
	right := false
	if _, err := s.locate(e.Digest, func(c location) bool {
		if uint64(c.plain) == e.Length && (!right || l.pack.condemned) {
			l, right = c, true
		}
		return right && !l.pack.condemned
	}); err != nil {
		return l, err
	}
	if !right {
		return l, errors.Join(s.locked(e.Digest), fmt.Errorf("chunk %s of %d bytes: %w", e.Digest, e.Length, ErrMissing))
	}
	return l, nil
}

// OpenManifest opens a manifest of the store; its head is proven by d. The caller closes it.
func (s *Store) OpenManifest(d imaging.Digest) (*imaging.Manifest, error) {
	m, err := s.openManifest(d)
	switch {
	case errors.Is(err, os.ErrNotExist):
		err = fmt.Errorf("manifest %s: %w: %w", d, ErrMissing, job.Faultf(job.CodeNotFound, "Manifest %s.", d.Short()))
	case errors.Is(err, imaging.ErrManifest):
		err = fmt.Errorf("open manifest %s: %w: %w", d.Short(), err, job.Faultf(job.CodeManifest, "Manifest %s.", d.Short()))
	case err != nil:
		err = fmt.Errorf("open manifest %s: %w", d.Short(), err)
	}
	return m, err
}

// openManifest is OpenManifest without words for people.
func (s *Store) openManifest(d imaging.Digest) (*imaging.Manifest, error) {
	f, err := os.Open(s.manifestPath(d))
	if err != nil {
		return nil, err
	}
	m, err := openAs(f, d)
	if err != nil {
		f.Close()
		return nil, err
	}
	return m, nil
}

func openAs(f *os.File, d imaging.Digest) (*imaging.Manifest, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m, err := imaging.OpenManifest(f, st.Size())
	if err == nil && m.Digest() != d {
		err = fmt.Errorf("%w: its head has the digest %s", imaging.ErrManifest, m.Digest().Short())
	}
	return m, err
}

// Manifests lists the manifests of the store.
func (s *Store) Manifests() ([]imaging.Digest, error) {
	list, err := s.named("manifests", manifestExt)
	if err != nil {
		return nil, fmt.Errorf("list manifests: %w", err)
	}
	return list, nil
}
