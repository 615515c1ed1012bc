package disk_test

import (
	"context"
	"crypto/rand"
	"errors"
	mrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"ingot/imaging"
	"ingot/imaging/disk"
	"ingot/imaging/job"
)

const mib = 1 << 20

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// image is a golden disk, its manifest and its stored chunks.
type image struct {
	bytes    []byte
	manifest *imaging.Manifest
	extents  []imaging.Extent
	frames   map[imaging.Digest][]byte
	one      imaging.Digest // of every 50th extent, for images too long for the list
}

func (im *image) digest(n uint64) imaging.Digest {
	if im.extents == nil {
		if n%50 != 0 {
			return imaging.Digest{}
		}
		return im.one
	}
	return im.extents[n].Digest
}

// plainImage is a disk without a table: n MiB of data with a zero run and a free run of 1 MiB in each 8 MiB.
func plainImage(t testing.TB, n int) *image {
	t.Helper()
	b := make([]byte, n*mib)
	fill(b)
	for at := 2 * mib; at+2*mib <= len(b); at += 8 * mib {
		clear(b[at : at+mib])
	}
	return cut(t, b, imaging.Header{DiskSize: uint64(len(b)), SectorSize: 512, Table: "none"}, func(off int) imaging.Kind {
		switch off % (8 * mib) / mib {
		case 2:
			return imaging.Zero
		case 5:
			return imaging.Free
		}
		return imaging.Data
	})
}

func fill(b []byte) {
	var seed [32]byte
	_, _ = rand.Read(seed[:]) // never fails since Go 1.24
	c := mrand.NewChaCha8(seed)
	_, _ = c.Read(b) // never fails
}

// cut makes manifest and chunks of a disk; kind says what each MiB is. Chunks have any length.
func cut(t testing.TB, b []byte, h imaging.Header, kind func(off int) imaging.Kind) *image {
	t.Helper()
	return cutBy(t, b, h, kind, func() uint64 { return uint64(4096 * (1 + mrand.IntN(32))) })
}

func cutBy(t testing.TB, b []byte, h imaging.Header, kind func(off int) imaging.Kind, length func() uint64) *image {
	t.Helper()
	im := &image{bytes: b, frames: map[imaging.Digest][]byte{}}
	h.Params = imaging.DefaultParams()
	f, err := os.Create(filepath.Join(t.TempDir(), "manifest"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	w, err := imaging.NewManifestWriter(f, h)
	if err != nil {
		t.Fatal(err)
	}
	for off := 0; off < len(b); {
		e := imaging.Extent{Offset: uint64(off), Kind: kind(off), Length: uint64(min(mib-off%mib, len(b)-off))}
		if e.Kind == imaging.Data {
			e.Length = min(e.Length, length())
			plain := b[off:][:e.Length]
			e.Digest = imaging.Sum(plain)
			if im.frames[e.Digest], err = imaging.EncodeChunk(nil, plain); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Append(e); err != nil {
			t.Fatal(err)
		}
		im.extents = append(im.extents, e)
		off += int(e.Length)
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if im.manifest, err = imaging.OpenManifest(f, info.Size()); err != nil {
		t.Fatal(err)
	}
	return im
}

// source sends an image's chunks; before is asked about each extent and may fail or change the frame.
type source struct {
	im     *image
	before func(n uint64, frame []byte) ([]byte, error)

	mu   sync.Mutex
	sent map[uint64]int
}

func (s *source) Fetch(ctx context.Context, m imaging.Digest, want []disk.Span, fn func(uint64, []byte) error) (uint64, error) {
	if m != s.im.manifest.Digest() {
		return 0, job.Faultf(job.CodeNotFound, "no such manifest")
	}
	var fetched uint64
	for _, sp := range want {
		for n := sp.First; n <= sp.Last; n++ {
			if err := ctx.Err(); err != nil {
				return fetched, err
			}
			frame, ok := s.im.frames[s.im.digest(n)]
			if !ok { // a zero or free extent
				continue
			}
			if s.before != nil {
				var err error
				if frame, err = s.before(n, frame); err != nil {
					return fetched, err
				}
			}
			if s.im.extents != nil {
				s.count(n)
			}
			fetched += uint64(len(frame))
			if err := fn(n, frame); err != nil {
				return fetched, err
			}
		}
	}
	return fetched, nil
}

func (s *source) count(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent == nil {
		s.sent = map[uint64]int{}
	}
	s.sent[n]++
}

// fileDrive makes a file of size bytes that holds b, and its name.
func fileDrive(t testing.TB, size int64, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "drive.img")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string) *disk.Disk {
	t.Helper()
	d, err := disk.OpenFile(path, job.Drive{Serial: "FILE1", SectorSize: 512})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// deploy does all that a deploy does to a disk, except personalising.
func deploy(ctx context.Context, d *disk.Disk, im *image, src disk.Source, p *disk.Progress) (job.ContentProof, error) {
	head, _, err := disk.FetchHead(ctx, src, im.manifest)
	if err != nil {
		return job.ContentProof{}, err
	}
	plan, err := disk.NewPlan(im.manifest.Header(), d.Size(), d.SectorSize(), head, job.Grow{})
	if err != nil {
		return job.ContentProof{}, err
	}
	if err := d.Invalidate(); err != nil {
		return job.ContentProof{}, err
	}
	proof, err := disk.Restore{Disk: d, Source: src, Manifest: im.manifest, Head: head, Progress: p}.Run(ctx)
	if err != nil {
		return proof, err
	}
	_, err = d.Commit(plan)
	return proof, err
}

// holds compares every data and zero extent of a file with the image.
func holds(t testing.TB, path string, im *image) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n, e := range im.extents {
		if e.Kind != imaging.Free && string(b[e.Offset:e.End()]) != string(im.bytes[e.Offset:e.End()]) {
			t.Fatalf("extent %d (kind %d, %d bytes at %d) is not what the image has", n, e.Kind, e.Length, e.Offset)
		}
	}
}

func wantCode(t testing.TB, err error, want job.Code) {
	t.Helper()
	var f *job.Fault
	if !errors.As(err, &f) || f.Code != want {
		t.Fatalf("error %v; want the code %s", err, want)
	}
}

// doesNotBoot wants what DESIGN.md wants of a disk before commit.
func doesNotBoot(t testing.TB, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range b[:mib] {
		if c != 0 {
			t.Fatalf("byte %d is %#x; want the first MiB zero", i, c)
		}
	}
	if string(b[len(b)-512:][:8]) == "EFI PART" {
		t.Fatal("there is a GPT at the end")
	}
}

func sgdisk(t testing.TB, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("sgdisk"); err != nil {
		t.Skip("sgdisk is missing: install Debian's package gdisk")
	}
	out, err := exec.Command("sgdisk", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("sgdisk %v: %v\n%s", args, err, out)
	}
	return string(out)
}
