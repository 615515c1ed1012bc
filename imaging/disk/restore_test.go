package disk_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ingot/imaging"
	"ingot/imaging/disk"
	"ingot/imaging/job"
)

func TestAFreshDiskGetsTheImageAndItsProof(t *testing.T) {
	im := plainImage(t, 40)
	path := fileDrive(t, 50*mib, nil)
	d := open(t, path)
	src, p := &source{im: im}, &disk.Progress{}
	proof, err := deploy(t.Context(), d, im, src, p)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, path, im)
	h := im.manifest.Header()
	if proof.DataExtents != h.DataExtents || proof.DataExtents+proof.ZeroExtents+proof.FreeExtents != h.Extents {
		t.Errorf("proof %+v; want all %d extents, %d of data", proof, h.Extents, h.DataExtents)
	}
	if want := h.DataBytes + h.ZeroBytes - mib; proof.ReadBytes != want { // the head is read back by commit
		t.Errorf("proof.ReadBytes = %d; want %d", proof.ReadBytes, want)
	}
	if p.Done.Load() != h.DataBytes+h.ZeroBytes || p.Proven.Load() != p.Done.Load() {
		t.Errorf("progress done %d, proven %d; want both %d", p.Done.Load(), p.Proven.Load(), h.DataBytes+h.ZeroBytes)
	}
	for n, times := range src.sent {
		if times != 1 && im.extents[n].Offset >= mib {
			t.Fatalf("extent %d travelled %d times", n, times)
		}
	}
}

func TestOldBytesInZeroExtentsBecomeZero(t *testing.T) {
	im := plainImage(t, 24)
	old := make([]byte, 24*mib)
	fill(old)
	path := fileDrive(t, 24*mib, old)
	if _, err := deploy(t.Context(), open(t, path), im, &source{im: im}, nil); err != nil {
		t.Fatal(err)
	}
	holds(t, path, im)
}

func TestOnlyWhatDiffersIsFetched(t *testing.T) {
	im := plainImage(t, 40)
	old := bytes.Clone(im.bytes)
	fill(old[20*mib : 21*mib])
	path := fileDrive(t, 40*mib, old)
	src, p := &source{im: im}, &disk.Progress{}
	if _, err := deploy(t.Context(), open(t, path), im, src, p); err != nil {
		t.Fatal(err)
	}
	holds(t, path, im)
	for n := range src.sent {
		e := im.extents[n]
		changed := e.Offset < 21*mib && e.End() > 20*mib
		invalidated := e.Offset < mib || e.End() > 39*mib
		if !changed && !invalidated {
			t.Errorf("extent %d at %d was fetched though the disk held it", n, e.Offset)
		}
	}
	if p.Kept.Load() < 30*mib {
		t.Errorf("kept %d bytes; want at least 30 MiB", p.Kept.Load())
	}
}

// TestAKilledRunGoesOnWhereItWas cancels in mid-write and starts anew: what had reached the disk is not asked
// for again.
func TestAKilledRunGoesOnWhereItWas(t *testing.T) {
	im := plainImage(t, 64)
	path := fileDrive(t, 64*mib, nil)
	killed := errors.New("power cut")
	ctx, cancel := context.WithCancelCause(t.Context())
	var seen atomic.Uint64
	src := &source{im: im, before: func(n uint64, frame []byte) ([]byte, error) {
		if seen.Add(1) == im.manifest.Header().DataExtents/2 {
			cancel(killed)
		}
		return frame, nil
	}}
	d := open(t, path)
	if _, err := deploy(ctx, d, im, src, nil); !errors.Is(err, killed) {
		t.Fatalf("Run = %v; want the cause of the cancel", err)
	}
	d.Close()
	doesNotBoot(t, path)
	held := missing(t, path, im)
	if len(held) == 0 || len(held) == int(im.manifest.Header().DataExtents) {
		t.Fatalf("%d extents are missing; want some and not all", len(held))
	}
	again := &source{im: im}
	if _, err := deploy(t.Context(), open(t, path), im, again, nil); err != nil {
		t.Fatal(err)
	}
	holds(t, path, im)
	for n := range again.sent {
		if !held[n] {
			t.Errorf("extent %d was fetched again though it was on the disk", n)
		}
	}
}

// missing names the data extents that a file does not hold.
func missing(t *testing.T, path string, im *image) map[uint64]bool {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := map[uint64]bool{}
	for n, e := range im.extents {
		if e.Kind == imaging.Data && imaging.Sum(b[e.Offset:e.End()]) != e.Digest {
			out[uint64(n)] = true
		}
	}
	return out
}

func TestABrokenStreamIsAskedAgainForTheRest(t *testing.T) {
	im := plainImage(t, 24)
	var calls atomic.Uint64
	src := &source{im: im, before: func(n uint64, frame []byte) ([]byte, error) {
		if calls.Add(1)%100 == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		return frame, nil
	}}
	path := fileDrive(t, 24*mib, nil)
	if _, err := deploy(t.Context(), open(t, path), im, src, nil); err != nil {
		t.Fatal(err)
	}
	holds(t, path, im)
	for n, times := range src.sent {
		if times != 1 && im.extents[n].Offset >= mib {
			t.Errorf("extent %d travelled %d times", n, times)
		}
	}
}

func TestWhatTheSenderDoesWrongEndsTheRun(t *testing.T) {
	im := plainImage(t, 24)
	victim := uint64(len(im.extents) * 3 / 4)
	for im.extents[victim].Kind != imaging.Data {
		victim++
	}
	flip := func(b []byte) []byte {
		b = bytes.Clone(b)
		b[len(b)/2] ^= 1
		return b
	}
	cases := map[string]struct {
		before   func(n uint64, frame []byte) ([]byte, error)
		patience time.Duration
		want     job.Code
	}{
		"a chunk with a flipped bit": {before: func(n uint64, f []byte) ([]byte, error) {
			if n == victim {
				return flip(f), nil
			}
			return f, nil
		}, want: job.CodeChunk},
		"another chunk's frame": {before: func(n uint64, f []byte) ([]byte, error) {
			if n == victim {
				return im.frames[im.extents[0].Digest], nil
			}
			return f, nil
		}, want: job.CodeChunk},
		"an empty frame": {before: func(n uint64, f []byte) ([]byte, error) {
			if n == victim {
				return nil, nil
			}
			return f, nil
		}, want: job.CodeChunk},
		"a refusal": {before: func(n uint64, f []byte) ([]byte, error) {
			if n == victim {
				return nil, job.Faultf(job.CodeStoreDamaged, "pack 3")
			}
			return f, nil
		}, want: job.CodeStoreDamaged},
		"nothing for longer than the patience": {before: func(n uint64, f []byte) ([]byte, error) {
			if n == victim {
				return nil, io.ErrUnexpectedEOF
			}
			return f, nil
		}, patience: 100 * time.Millisecond, want: job.CodeStream},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := fileDrive(t, 24*mib, nil)
			d := open(t, path)
			head, _, err := disk.FetchHead(t.Context(), &source{im: im}, im.manifest)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Invalidate(); err != nil {
				t.Fatal(err)
			}
			proof, err := disk.Restore{Disk: d, Source: &source{im: im, before: c.before}, Manifest: im.manifest, Head: head, Patience: c.patience}.Run(t.Context())
			wantCode(t, err, c.want)
			if proof != (job.ContentProof{}) {
				t.Errorf("a failed run gave the proof %+v", proof)
			}
			doesNotBoot(t, path)
		})
	}
}

// medium is a file as a Medium that tests wrap with faults.
type medium struct{ *disk.Disk }

func (m medium) Zero(off, n uint64) error { return m.Disk.Zero(off, n) }

// lying acknowledges one write and keeps the old bytes.
type lying struct {
	medium
	at   uint64
	lied atomic.Bool
}

func (l *lying) WriteAt(p []byte, off int64) (int, error) {
	if uint64(off) <= l.at && l.at < uint64(off)+uint64(len(p)) && l.lied.CompareAndSwap(false, true) {
		return len(p), nil
	}
	return l.medium.WriteAt(p, off)
}

func TestALyingDiskIsFoundByTheReadBack(t *testing.T) {
	im := plainImage(t, 24)
	path := fileDrive(t, 24*mib, nil)
	l := &lying{medium: medium{open(t, path)}, at: 11 * mib}
	d := disk.New(job.Drive{Path: path, Serial: "LIAR", SizeBytes: 24 * mib, SectorSize: 512}, l, true)
	_, err := deploy(t.Context(), d, im, &source{im: im}, nil)
	wantCode(t, err, job.CodeReadBack)
	if !l.lied.Load() {
		t.Fatal("the disk never lied")
	}
	doesNotBoot(t, path)
}

// notZero acknowledges the command that zeroes and does nothing.
type notZero struct {
	medium
	from uint64
}

func (z notZero) Zero(off, n uint64) error {
	if off >= z.from {
		return nil
	}
	return z.medium.Zero(off, n)
}

func TestAZeroCommandThatDoesNothingIsFound(t *testing.T) {
	im := plainImage(t, 24)
	old := make([]byte, 24*mib)
	fill(old)
	path := fileDrive(t, 24*mib, old)
	z := notZero{medium{open(t, path)}, 2 * mib}
	d := disk.New(job.Drive{Path: path, Serial: "LIAR", SizeBytes: 24*mib - 0, SectorSize: 512}, z, true)
	head, _, err := disk.FetchHead(t.Context(), &source{im: im}, im.manifest)
	if err != nil {
		t.Fatal(err)
	}
	_, err = disk.Restore{Disk: d, Source: &source{im: im}, Manifest: im.manifest, Head: head}.Run(t.Context())
	wantCode(t, err, job.CodeReadBack)
}

// failing has one operation that fails from a given place on.
type failing struct {
	medium
	read, write, flush error
	from               int64
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if f.read != nil && off >= f.from {
		return 0, f.read
	}
	return f.medium.ReadAt(p, off)
}

func (f failing) WriteAt(p []byte, off int64) (int, error) {
	if f.write != nil && off >= f.from {
		return 0, f.write
	}
	return f.medium.WriteAt(p, off)
}

func (f failing) Flush() error {
	if f.flush != nil {
		return f.flush
	}
	return f.medium.Flush()
}

func TestADiskErrorHasItsCode(t *testing.T) {
	eio := errors.New("input/output error")
	cases := map[string]struct {
		f    failing
		want job.Code
	}{
		"a write fails": {failing{write: eio, from: 10 * mib}, job.CodeDriveWrite},
		"a read fails":  {failing{read: eio, from: 10 * mib}, job.CodeDriveRead},
		"a flush fails": {failing{flush: eio}, job.CodeFlush},
	}
	im := plainImage(t, 24)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := fileDrive(t, 24*mib, nil)
			c.f.medium = medium{open(t, path)}
			d := disk.New(job.Drive{Path: path, Serial: "SICK", SizeBytes: 24 * mib, SectorSize: 512}, c.f, true)
			_, err := deploy(t.Context(), d, im, &source{im: im}, nil)
			wantCode(t, err, c.want)
		})
	}
}

func TestAFailedFlushIsFinal(t *testing.T) {
	sick := &failing{medium: medium{open(t, fileDrive(t, mib, nil))}, flush: errors.New("lost page writes")}
	d := disk.New(job.Drive{SizeBytes: mib, SectorSize: 512}, sick, true)
	wantCode(t, d.Flush(), job.CodeFlush)
	sick.flush = nil
	wantCode(t, d.Flush(), job.CodeFlush)
}

// TestAnyMixtureOfOldAndNewEndsAsTheImage draws images of small extents of every kind and disks that hold some
// of them already, and counts on nothing but the outcome.
func TestAnyMixtureOfOldAndNewEndsAsTheImage(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		kinds := rapid.SliceOfN(rapid.SampledFrom([]imaging.Kind{imaging.Data, imaging.Data, imaging.Zero, imaging.Free}), 60, 300).Draw(rt, "kinds")
		old := rapid.SliceOfN(rapid.SampledFrom([]string{"same", "same", "zero", "junk"}), len(kinds), len(kinds)).Draw(rt, "old")
		im, disk0 := mixture(t, kinds, old)
		path := fileDrive(t, int64(len(disk0)+3*mib), disk0)
		d := open(t, path)
		defer d.Close()
		src := &source{im: im}
		proof, err := deploy(t.Context(), d, im, src, nil)
		if err != nil {
			rt.Fatal(err)
		}
		holds(t, path, im)
		if proof.DataExtents != im.manifest.Header().DataExtents {
			rt.Fatalf("proof %+v; want %d data extents", proof, im.manifest.Header().DataExtents)
		}
		for n := range src.sent {
			if old[n] == "same" && im.extents[n].Offset >= mib {
				rt.Fatalf("extent %d was on the disk and was fetched", n)
			}
		}
	})
}

// mixture makes an image of extents of 4 to 64 KiB and the disk that is there before.
func mixture(t *testing.T, kinds []imaging.Kind, old []string) (*image, []byte) {
	im := &image{frames: map[imaging.Digest][]byte{}}
	var before []byte
	for i, k := range kinds {
		e := imaging.Extent{Offset: uint64(len(im.bytes)), Length: uint64(4096 * (1 + i*7%16)), Kind: k}
		plain, was := make([]byte, e.Length), make([]byte, e.Length)
		if k != imaging.Zero {
			fill(plain)
		}
		switch old[i] {
		case "same":
			copy(was, plain)
		case "junk":
			fill(was)
		}
		if k == imaging.Data {
			e.Digest = imaging.Sum(plain)
			frame, err := imaging.EncodeChunk(nil, plain)
			if err != nil {
				t.Fatal(err)
			}
			im.frames[e.Digest] = frame
		}
		im.bytes, before, im.extents = append(im.bytes, plain...), append(before, was...), append(im.extents, e)
	}
	im.manifest = manifestOf(t, im)
	return im, before
}

func manifestOf(t *testing.T, im *image) *imaging.Manifest {
	f, err := os.Create(filepath.Join(t.TempDir(), "manifest"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	w, err := imaging.NewManifestWriter(f, imaging.Header{DiskSize: uint64(len(im.bytes)), SectorSize: 512, Table: "none", Params: imaging.DefaultParams()})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range im.extents {
		if err := w.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := imaging.OpenManifest(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return m
}
