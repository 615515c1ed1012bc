package chunkstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/zeebo/blake3"

	"ingot/imaging"
)

// Hold keeps every manifest and pack that is there until release is called: no Sweep begins meanwhile. It waits for the
// one that runs. Whoever copies the store takes the records after Hold and the files after the records: then each
// content that a record names is among them, for a manifest is recorded when it is whole, and whole when its chunks are
// held.
func (s *Store) Hold(ctx context.Context) (release func(), err error) {
	for !s.sweepMu.TryLock() {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	s.held.Store(true)
	return sync.OnceFunc(func() { s.held.Store(false); s.sweepMu.Unlock() }), nil
}

// File is one file of the store that never changes.
type File struct {
	Name string // manifests/DIGEST.manifest or packs/DIGEST.pack
	Size int64

	path string
}

// Files lists the manifests, and with packs the packs behind them, of this moment. The caller holds the store.
func (s *Store) Files(packs bool) ([]File, error) {
	out, err := s.files(nil, "manifests", manifestExt)
	if err == nil && packs { // after the manifests: what these need is there then
		out, err = s.files(out, "packs", packExt)
	}
	if err != nil {
		return nil, fmt.Errorf("list image store: %w", err)
	}
	return out, nil
}

func (s *Store) files(out []File, sub, ext string) ([]File, error) {
	names, err := s.named(sub, ext)
	if err != nil {
		return nil, err
	}
	for _, d := range names {
		name := sub + "/" + d.String() + ext
		path := filepath.Join(s.dir, filepath.FromSlash(name))
		st, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		out = append(out, File{Name: name, Size: st.Size(), path: path})
	}
	return out, nil
}

// Open opens the file for reading.
func (f File) Open() (*os.File, error) { return os.Open(f.path) }

// FileName reports whether a store may hold a file of this name.
func FileName(name string) bool { return parseFile(name) != imaging.Digest{} }

func parseFile(name string) (d imaging.Digest) {
	for sub, ext := range map[string]string{"manifests/": manifestExt, "packs/": packExt} {
		base, ok := strings.CutPrefix(name, sub)
		if base, ok2 := strings.CutSuffix(base, ext); ok && ok2 {
			if got, err := imaging.ParseDigest(base); err == nil && got.String() == base {
				d = got
			}
		}
	}
	return d
}

// ProveFile reports whether a file holds what its name says: of a pack every byte, of a manifest every record. An error
// means that it could not be read.
func ProveFile(name string, f *os.File) (whole bool, err error) {
	want := parseFile(name)
	if strings.HasPrefix(name, "packs/") {
		h := blake3.New()
		if _, err := io.Copy(h, f); err != nil {
			return false, fmt.Errorf("prove %s: %w", name, err)
		}
		return imaging.Digest(h.Sum(nil)) == want, nil
	}
	m, err := openAs(f, want)
	if err == nil {
		err = m.Verify()
	}
	if err == nil || errors.Is(err, imaging.ErrManifest) {
		return err == nil, nil
	}
	return false, fmt.Errorf("prove %s: %w", name, err)
}
