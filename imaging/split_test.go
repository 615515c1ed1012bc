package imaging_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"ingot/imaging"
)

// piece is one push to a Splitter.
type piece struct {
	kind imaging.Kind // Data: write the bytes
	b    []byte       // for Zero and Free only the length counts
}

func split(t rapid.TB, p imaging.Params, pieces []piece) []imaging.Run {
	t.Helper()
	var out []imaging.Run
	s, err := imaging.NewSplitter(p, func(r imaging.Run) error {
		r.Plain = bytes.Clone(r.Plain)
		out = append(out, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range pieces {
		switch q.kind {
		case imaging.Data:
			err = s.Write(q.b)
		case imaging.Zero:
			err = s.Zero(uint64(len(q.b)))
		case imaging.Free:
			err = s.Free(uint64(len(q.b)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	return out
}

// checkRuns proves the rules of the package comment on the runs of a disk.
func checkRuns(t rapid.TB, p imaging.Params, disk []byte, runs []imaging.Run) {
	t.Helper()
	at := uint64(0)
	for i, r := range runs {
		if r.Offset != at || r.Length == 0 {
			t.Fatalf("run %d = %d bytes at %d; want it at %d", i, r.Length, r.Offset, at)
		}
		at += r.Length
		last := i == len(runs)-1
		if r.Kind != imaging.Data {
			if i > 0 && runs[i-1].Kind == r.Kind && !(last && r.Length < imaging.BlockSize) {
				t.Fatalf("runs %d and %d of kind %d are not one", i-1, i, r.Kind)
			}
			continue
		}
		if !bytes.Equal(r.Plain, disk[r.Offset:at]) {
			t.Fatalf("run %d does not hold the disk's bytes", i)
		}
		checkChunk(t, p, r, last || runs[i+1].Kind != imaging.Data || runs[i+1].Length < imaging.BlockSize)
	}
	if at != uint64(len(disk)) {
		t.Fatalf("the runs end at %d; want %d", at, len(disk))
	}
}

// checkChunk proves that a chunk ends where it must and nowhere earlier; forced says that what follows ends it.
func checkChunk(t rapid.TB, p imaging.Params, r imaging.Run, forced bool) {
	t.Helper()
	mask := uint64(p.Avg/imaging.BlockSize) - 1
	for n := imaging.BlockSize; n <= len(r.Plain); n += imaging.BlockSize {
		b := r.Plain[n-imaging.BlockSize : n]
		if imaging.IsZero(b) {
			t.Fatalf("a zero block within the chunk at %d", r.Offset)
		}
		ends := p.End > 0 && n >= int(p.End) && bytes.Equal(b[imaging.BlockSize-8:], make([]byte, 8))
		boundary := ends || n >= int(p.Max) || (n >= int(p.Min) && xxhash.Sum64(b)&mask == 0)
		if boundary && n < len(r.Plain) {
			t.Fatalf("the chunk at %d goes on behind the boundary at %d", r.Offset, n)
		}
		if n == len(r.Plain) && !boundary && !forced {
			t.Fatalf("the chunk at %d ends without a reason after %d bytes", r.Offset, n)
		}
	}
}

func TestSplitKeepsItsRulesHoweverTheDiskIsPushed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom([]imaging.Params{imaging.DefaultParams(), {Min: 8192, Avg: 32768, Max: 131072}, {Min: 4096, Avg: 8192, Max: 16384}, {Min: 8192, Avg: 8192, Max: 16384, End: 8192}, {Min: 8192, Avg: 8192, Max: 8192}}).Draw(t, "params")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		var pieces, fine []piece
		var disk []byte
		for range rapid.IntRange(1, 8).Draw(t, "pieces") {
			k := imaging.Kind(1 + rng.IntN(3))
			b := make([]byte, imaging.BlockSize*rng.IntN(80))
			for i := 0; k == imaging.Data && i < len(b); i += imaging.BlockSize {
				if rng.IntN(12) > 0 {
					b[i+rng.IntN(imaging.BlockSize)] = byte(1 + rng.IntN(3))
				}
			}
			pieces, disk = append(pieces, piece{k, b}), append(disk, b...)
			for i := 0; i < len(b); i += imaging.BlockSize {
				fine = append(fine, piece{k, b[i : i+imaging.BlockSize]})
			}
		}
		if tail := rapid.IntRange(0, 7).Draw(t, "tail"); tail > 0 {
			q := piece{imaging.Kind(1 + rng.IntN(3)), bytes.Repeat([]byte{byte(rng.IntN(2))}, 512*tail)}
			pieces, fine, disk = append(pieces, q), append(fine, q), append(disk, q.b...)
		}
		runs := split(t, p, pieces)
		checkRuns(t, p, disk, runs)
		again := split(t, p, fine)
		if len(again) != len(runs) {
			t.Fatalf("pushed block by block: %d runs; want %d", len(again), len(runs))
		}
		for i := range runs {
			if runs[i].Offset != again[i].Offset || runs[i].Length != again[i].Length || runs[i].Kind != again[i].Kind {
				t.Fatalf("pushed block by block: run %d differs", i)
			}
		}
	})
}

// hashOnly are the parameters of manifests of version 1.
func hashOnly() imaging.Params { return imaging.Params{Min: 8 << 10, Avg: 32 << 10, Max: 128 << 10} }

// common cuts a file of 400 blocks behind a file of 13 and behind one of 1201 blocks, and counts the chunks of it that both have.
func common(t *testing.T, p imaging.Params) (same, all int) {
	t.Helper()
	file := make([]byte, 400*imaging.BlockSize)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(file)
	digests := func(before int) map[imaging.Digest]bool {
		other := make([]byte, before*imaging.BlockSize)
		rng.Read(other[:len(other)-100]) // a file system fills up the last block
		out := map[imaging.Digest]bool{}
		for _, r := range split(t, p, []piece{{imaging.Data, other}, {imaging.Data, file}}) {
			if r.Offset+r.Length > uint64(len(other)) {
				out[imaging.Sum(r.Plain)] = true
			}
		}
		return out
	}
	a, b := digests(13), digests(1201)
	for d := range a {
		if b[d] {
			same++
		}
	}
	return same, len(a)
}

func TestSplitFindsTheSameChunksWhereverAFileLies(t *testing.T) {
	if same, _ := common(t, hashOnly()); same < 35 { // of about 44
		t.Errorf("by hash alone %d chunks of the file are common; want at least 35", same)
	}
	if same, all := common(t, imaging.DefaultParams()); same != all {
		t.Errorf("%d of %d chunks of the file are common; want all: a file begins a chunk", same, all)
	}
}

func TestASmallFileIsAChunk(t *testing.T) {
	var disk []byte
	rng := rand.NewChaCha8([32]byte{3})
	sizes := []int{1, 3, 2, 7, 1, 5}
	for _, n := range sizes {
		b := make([]byte, n*imaging.BlockSize)
		rng.Read(b[:len(b)-8])
		disk = append(disk, b...)
	}
	runs := split(t, imaging.Params{Min: 128 << 10, Avg: 128 << 10, Max: 128 << 10, End: imaging.BlockSize}, []piece{{imaging.Data, disk}})
	if len(runs) != len(sizes) {
		t.Fatalf("%d chunks; want one for each of %d files", len(runs), len(sizes))
	}
	for i, n := range sizes {
		if runs[i].Length != uint64(n*imaging.BlockSize) {
			t.Errorf("chunk %d has %d bytes; want %d blocks", i, runs[i].Length, n)
		}
	}
}

func TestAveragesAreThoseOfTheParams(t *testing.T) {
	disk := make([]byte, 20000*imaging.BlockSize)
	rand.NewChaCha8([32]byte{2}).Read(disk)
	runs := split(t, hashOnly(), []piece{{imaging.Data, disk}})
	if mean := len(disk) / len(runs); mean < 28<<10 || mean > 40<<10 {
		t.Errorf("mean chunk = %d bytes; want about 32 KiB", mean)
	}
}

func TestNothingFollowsAPartialBlock(t *testing.T) {
	s, err := imaging.NewSplitter(imaging.DefaultParams(), func(imaging.Run) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(make([]byte, imaging.BlockSize+512)); err != nil {
		t.Fatal(err)
	}
	for name, push := range map[string]func() error{
		"bytes": func() error { return s.Write([]byte{1}) }, "zeros": func() error { return s.Zero(4096) }, "free": func() error { return s.Free(1) },
	} {
		if push() == nil {
			t.Errorf("%s behind a partial block were taken", name)
		}
	}
}
