package benchmark

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/store"
)

// How large the large case is. A tenth of the chunks is real and is deployed; the others only fill the index, so
// their digests are made up and their frames are all the same.
const (
	hugeChunks  = 10_000_000
	hugeExtents = 8_000_000
	hugeReal    = 1_000_000
	hugePack    = 1 << 16 // chunks, as the store's own packs have at most
	hugeRun     = 8192    // extents; the first eighth of each run are data, then free and zero take turns
	hugeVersion = "1"
)

const hugeImage = "huge"

// hugeStore makes, once, the folders of a store of 10 million chunks and a manifest of 8 million extents. Packs
// are written as the format says; the index is the store's own work.
func hugeStore(ctx context.Context, cache string, out io.Writer) (string, error) {
	dir := filepath.Join(cache, "huge-"+hugeVersion)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	start := time.Now()
	work, err := os.MkdirTemp(cache, ".build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	fmt.Fprintln(out, "bench: making a store of 10 million chunks (1.5 GB of disk, about 2 minutes; kept in the cache)")
	s, err := chunkstore.Open(work) // makes the folders
	if err != nil {
		return "", err
	}
	if err := s.Close(); err != nil {
		return "", err
	}
	if err := hugePacks(ctx, filepath.Join(work, "packs")); err != nil {
		return "", err
	}
	if s, err = chunkstore.Open(work); err != nil {
		return "", err
	}
	if err := errors.Join(hugeManifest(s), s.Close()); err != nil {
		return "", err
	}
	if err := os.Rename(work, dir); err != nil {
		return "", err
	}
	fmt.Fprintf(out, "bench: made in %.0f s\n", time.Since(start).Seconds())
	return dir, nil
}

// block fills b with the n-th real chunk: one block with its number in it.
func block(b []byte, n uint64) { binary.LittleEndian.PutUint64(b, n+1) }

func hugePacks(ctx context.Context, dir string) error {
	plain := make([]byte, imaging.BlockSize)
	block(plain, hugeChunks)
	filler, err := imaging.EncodeChunk(nil, plain)
	if err != nil {
		return err
	}
	var frame []byte
	for from := uint64(0); from < hugeChunks; from += hugePack {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := onePack(dir, func(w *imaging.PackWriter) error {
			for n := from; n < min(from+hugePack, hugeChunks); n++ {
				digest, body := madeUp(n), filler
				if n < hugeReal {
					block(plain, n)
					if frame, err = imaging.EncodeChunk(frame[:0], plain); err != nil {
						return err
					}
					digest, body = imaging.Sum(plain), frame
				}
				if _, err := w.Append(digest, imaging.BlockSize, body); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// madeUp is a digest that is spread as real ones are.
func madeUp(n uint64) imaging.Digest {
	return imaging.Sum(binary.LittleEndian.AppendUint64([]byte("filler"), n))
}

func onePack(dir string, fill func(*imaging.PackWriter) error) error {
	f, err := os.CreateTemp(dir, ".tmp-*")
	if err != nil {
		return err
	}
	defer f.Close()
	w, err := imaging.NewPackWriter(f)
	if err != nil {
		return err
	}
	if err := fill(w); err != nil {
		return err
	}
	name, _, err := w.Finish()
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, name.String()+".pack"))
}

func hugeManifest(s *chunkstore.Store) error {
	f, err := s.CreateManifest()
	if err != nil {
		return err
	}
	w, err := imaging.NewManifestWriter(f, imaging.Header{DiskSize: hugeExtents * imaging.BlockSize, SectorSize: 512, Table: "none", Params: imaging.DefaultParams()})
	if err != nil {
		return errors.Join(err, s.DropManifest(f))
	}
	plain := make([]byte, imaging.BlockSize)
	for n, real := uint64(0), uint64(0); n < hugeExtents; n++ {
		e := imaging.Extent{Offset: n * imaging.BlockSize, Length: imaging.BlockSize, Kind: imaging.Free}
		switch {
		case n%hugeRun < hugeRun/8 && real < hugeReal:
			block(plain, real)
			e.Kind, e.Digest = imaging.Data, imaging.Sum(plain)
			real++
		case n%2 == 0:
			e.Kind = imaging.Zero
		}
		if err := w.Append(e); err != nil {
			return errors.Join(err, s.DropManifest(f))
		}
	}
	if _, err := w.Finish(); err != nil {
		return errors.Join(err, s.DropManifest(f))
	}
	_, err = s.PutManifest(f)
	return err
}

// hugeData makes a data folder over the folders of hugeStore, with a version of its manifest in the records.
func hugeData(dir, data string) error {
	for _, sub := range []string{"packs", "manifests", "index"} {
		if err := os.MkdirAll(data, 0o700); err != nil {
			return err
		}
		if err := os.Symlink(filepath.Join(dir, sub), filepath.Join(data, sub)); err != nil {
			return err
		}
	}
	s, err := chunkstore.Open(data)
	if err != nil {
		return err
	}
	defer s.Close()
	all, err := s.Manifests()
	if err != nil || len(all) != 1 {
		return errors.Join(err, fmt.Errorf("the store of 10 million chunks has %d manifests; want 1", len(all)))
	}
	m, err := s.OpenManifest(all[0])
	if err != nil {
		return err
	}
	defer m.Close()
	h := m.Header()
	db, err := store.Open(filepath.Join(data, "ingot.db"), store.Options{})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *store.Tx) error {
		_, _, err := tx.AddVersion(store.Version{Image: hugeImage, Label: "1", State: store.Released, Manifest: m.Digest(), DiskSize: h.DiskSize, NeedBytes: h.DiskSize,
			SectorSize: h.SectorSize, Table: h.Table, DataExtents: h.DataExtents, ZeroExtents: zeroExtents(h), DataBytes: h.DataBytes, ZeroBytes: h.ZeroBytes})
		return err
	})
	return errors.Join(err, db.Close())
}

// zeroExtents counts them: every extent of hugeManifest has one block.
func zeroExtents(h imaging.Header) uint64 { return h.ZeroBytes / imaging.BlockSize }
