package chunkstore_test

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
)

// small parameters make many chunks of a small disk.
var small = imaging.Params{Min: 8 << 10, Avg: 32 << 10, Max: 128 << 10, End: imaging.BlockSize}

func openStore(t testing.TB, dir string) *chunkstore.Store {
	t.Helper()
	s, err := chunkstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// diskBytes makes a disk of n blocks that looks like one: runs of text, noise and zeros, repeated now and then.
func diskBytes(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 0, n*imaging.BlockSize)
	for len(b) < n*imaging.BlockSize {
		run := make([]byte, imaging.BlockSize*(1+rng.IntN(40)))
		switch rng.IntN(4) {
		case 0: // zeros
		case 1:
			for i := range run {
				run[i] = byte(rng.Uint32())
			}
		case 2:
			for i := range run {
				run[i] = "abcdefgh"[rng.IntN(8)]
			}
		case 3:
			if len(b) > len(run) {
				at := rng.IntN((len(b)-len(run))/imaging.BlockSize+1) * imaging.BlockSize
				copy(run, b[at:])
			}
		}
		b = append(b, run...)
	}
	return b[:n*imaging.BlockSize]
}

// importDisk cuts and stores a disk as capture does.
func importDisk(t testing.TB, s *chunkstore.Store, disk []byte) (imaging.Digest, chunkstore.Stats) {
	t.Helper()
	f, err := s.CreateManifest()
	if err != nil {
		t.Fatal(err)
	}
	w, err := imaging.NewManifestWriter(f, imaging.Header{DiskSize: uint64(len(disk)), SectorSize: 512, Table: "none", Params: small})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	defer b.Abort()
	split, err := imaging.NewSplitter(small, func(r imaging.Run) error {
		e := imaging.Extent{Offset: r.Offset, Length: r.Length, Kind: r.Kind}
		if r.Kind == imaging.Data {
			var err error
			if e.Digest, err = b.Put(r.Plain); err != nil {
				return err
			}
		}
		return w.Append(e)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{split.Write(disk), split.Finish(), b.Commit()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	d, err := s.PutManifest(f)
	if err != nil {
		t.Fatal(err)
	}
	return d, b.Stats()
}

// serve mounts a store's handlers as the daemon does.
func serve(t testing.TB, s *chunkstore.Store) *chunkstore.Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("GET /v1/manifests/{digest}", s.ManifestHandler())
	mux.Handle("GET /v1/chunks/{digest}", s.StreamHandler())
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return &chunkstore.Client{HTTP: srv.Client(), Base: srv.URL}
}

// all is the span of every extent.
func all(m *imaging.Manifest) []chunkstore.Span {
	return []chunkstore.Span{{First: 0, Last: m.Count() - 1}}
}

// files lists a folder of the store by full path.
func files(t testing.TB, dir, sub, ext string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, sub, "*"+ext))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// flip inverts one bit of a file in place.
func flip(t testing.TB, path string, at int64, bit int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1 << bit
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}
