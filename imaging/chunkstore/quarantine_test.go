package chunkstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
)

// hurt flips a bit in the frame of a pack's n-th chunk, and gives its digest and what mends it.
func hurt(t testing.TB, pack string, n int) (d imaging.Digest, mend func()) {
	t.Helper()
	h := packHeads(t, pack)[n]
	at := h.at + imaging.ChunkHeadSize + 40
	flip(t, pack, at, 3)
	return h.digest, func() { flip(t, pack, at, 3) }
}

// TestWhatIsInQuarantineIsNeverServed: it stays there over a start, whatever its bytes are then, until every byte was
// read and proven.
func TestWhatIsInQuarantineIsNeverServed(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	d := named(t, s, noise(1, 100))[0]
	bad, mend := hurt(t, files(t, dir, "packs", "")[0], 3)
	if r := check(t, s, chunkstore.CheckOptions{ReadData: true}); len(r.Problems) != 1 || s.Locked() != 1 {
		t.Fatalf("Check = %v, %d locked", r.Problems, s.Locked())
	}
	mend() // a disk that gives the right bytes now and then is no disk to trust
	for _, reopened := range []bool{false, true} {
		if _, err := s.Frame(bad); job.FaultOf(err).Code != job.CodeLocked || !errors.Is(err, chunkstore.ErrMissing) {
			t.Errorf("reopened %v: Frame = %v; want %s", reopened, err, job.CodeLocked)
		}
		c := serve(t, s)
		m := openManifest(t, s, d)
		_, err := c.Fetch(t.Context(), d, all(m), func(uint64, []byte) error { return nil })
		if job.FaultOf(err).Code != job.CodeLocked {
			t.Errorf("reopened %v: the stream ends with %v; want %s", reopened, err, job.CodeLocked)
		}
		if err := s.Whole(t.Context(), d); job.FaultOf(err).Code != job.CodeLocked {
			t.Errorf("reopened %v: Whole = %v; want %s", reopened, err, job.CodeLocked)
		}
		s.Close()
		s = openStore(t, dir)
	}
	if r := check(t, s, chunkstore.CheckOptions{ReadData: true}); !r.OK() || s.Locked() != 0 {
		t.Errorf("Check of the mended pack = %v, %d locked", r.Problems, s.Locked())
	}
	if err := s.Whole(t.Context(), d); err != nil {
		t.Errorf("Whole = %v", err)
	}
}

func TestImportingAgainHealsAndGCClearsAway(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	var heard []string
	s.Observe(func(e chunkstore.Event) { heard = append(heard, fmt.Sprint(e.Kind, " ", len(e.Chunks))) })
	disk := noise(2, 100)
	d := named(t, s, disk)[0]
	pack := files(t, dir, "packs", "")[0]
	hurt(t, pack, 3)
	hurt(t, pack, 5)
	check(t, s, chunkstore.CheckOptions{ReadData: true})
	if got := sweep(t, s, chunkstore.SweepOptions{Wanted: want(d)}); got.Missing != 2 || got.Packs != 0 {
		t.Errorf("Sweep with lost chunks = %+v; want the damaged pack to stay", got)
	}
	if _, st := importDisk(t, s, disk); st.NewChunks != 2 {
		t.Errorf("imported again it stored %d chunks; want the two", st.NewChunks)
	}
	s.Named(d)
	if err := s.Whole(t.Context(), d); err != nil {
		t.Errorf("Whole = %v", err)
	}
	if got := sweep(t, s, chunkstore.SweepOptions{Wanted: want(d)}); got.Packs != 1 || got.NewPacks != 1 || s.Locked() != 0 {
		t.Errorf("Sweep = %+v, %d locked; want the damaged pack written anew", got, s.Locked())
	}
	whole(t, s, dir, map[imaging.Digest][]byte{d: disk})
	if !slices.Equal(heard, []string{"quarantine 2", "heal 2"}) {
		t.Errorf("told %q", heard)
	}
}

// peer is another server's store, with a lie in it.
type peer struct {
	s   *chunkstore.Store
	lie imaging.Digest
}

func (p peer) PeerChunks(_ context.Context, want []imaging.Digest, fn func(imaging.Digest, []byte) error) (left []imaging.Digest, err error) {
	for _, d := range want {
		plain, err := p.s.ReadChunk(d)
		if d == p.lie {
			plain = []byte("something else")
		}
		if err != nil {
			left = append(left, d)
		} else if err := fn(d, plain); err != nil {
			return left, err
		}
	}
	return left, nil
}

func TestAPeerHeals(t *testing.T) {
	dir := t.TempDir()
	s, other := openStore(t, dir), openStore(t, t.TempDir())
	disk := noise(3, 200)
	d := named(t, s, disk)[0]
	named(t, other, disk)
	pack := files(t, dir, "packs", "")[0]
	lie, _ := hurt(t, pack, 3)
	hurt(t, pack, 7)
	check(t, s, chunkstore.CheckOptions{ReadData: true})
	if h, err := s.Heal(t.Context(), peer{other, lie}); err != nil || h != (chunkstore.Healed{Chunks: 1, Left: 1}) {
		t.Errorf("Heal from a peer that lies once = %+v, %v", h, err)
	}
	if err := s.Whole(t.Context(), d); err == nil {
		t.Error("Whole passes without a chunk")
	}
	os.Remove(pack)
	check(t, s, chunkstore.CheckOptions{})
	if h, err := s.Heal(t.Context(), peer{s: other}); err != nil || h.Left != 0 || h.Chunks < 10 {
		t.Errorf("Heal of a lost pack = %+v, %v", h, err)
	}
	if !bytes.Equal(rebuild(t, s, d), disk) {
		t.Error("the disk differs")
	}
}

// TestADamagedListOfTheQuarantineIsFoundAgain: nothing is served by mistake without it, for each frame is checked.
func TestADamagedListOfTheQuarantineIsFoundAgain(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	named(t, s, noise(4, 100))
	bad, _ := hurt(t, files(t, dir, "packs", "")[0], 3)
	check(t, s, chunkstore.CheckOptions{ReadData: true})
	s.Close()
	flip(t, dir+"/quarantine", 5, 1)
	s = openStore(t, dir)
	if _, err := s.Frame(bad); err == nil || s.Locked() != 1 {
		t.Errorf("Frame = %v, %d locked; want it found damaged again", err, s.Locked())
	}
}

func TestAScrubReadsEveryPackAndLocksWhatIsDamaged(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	named(t, s, noise(5, 100), noise(8, 100))
	hurt(t, files(t, dir, "packs", "")[1], 2)
	found, read := 0, uint64(0)
	for _, d := range s.Packs() {
		r, err := s.Scrub(t.Context(), d, 64<<20)
		if err != nil {
			t.Fatal(err)
		}
		found, read = found+len(r.Problems), read+r.Bytes
	}
	if found != 1 || s.Locked() != 1 || read < 190*imaging.BlockSize {
		t.Errorf("%d problems in %d bytes, %d locked", found, read, s.Locked())
	}
}

func TestACheckMayReadSomeOfThePacks(t *testing.T) {
	s := openStore(t, t.TempDir())
	for i := range uint64(10) {
		named(t, s, noise(10+i, 10))
	}
	for percent, want := range map[int]int{0: 10, 1: 1, 30: 3, 100: 10} {
		if r := check(t, s, chunkstore.CheckOptions{ReadData: true, Percent: percent}); r.Read != want || !r.OK() {
			t.Errorf("%d%%: %d packs read, %v; want %d", percent, r.Read, r.Problems, want)
		}
	}
}

// TestAnyBitOfAPackOrManifestIsNamed flips random bits of the whole store.
func TestAnyBitOfAPackOrManifestIsNamed(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	named(t, s, diskBytes(40, 120), noise(41, 60))
	all := append(files(t, dir, "packs", ""), files(t, dir, "manifests", "")...)
	const flips = 1000
	for i := range flips {
		path := all[i%len(all)]
		size := fileSize(t, path)
		at := int64(uint64(i)*2654435761%uint64(size)) ^ int64(i&1)
		at = min(at, size-1)
		flip(t, path, at, i%8)
		r := check(t, s, chunkstore.CheckOptions{ReadData: true})
		if len(r.Problems) == 0 || !strings.HasSuffix(path, r.Problems[0].File) {
			t.Fatalf("bit %d of byte %d of %s: Check = %v", i%8, at, path, r.Problems)
		}
		flip(t, path, at, i%8)
		if i%100 == 0 {
			if r := check(t, s, chunkstore.CheckOptions{ReadData: true}); !r.OK() {
				t.Fatalf("Check of the mended store = %v", r.Problems)
			}
		}
	}
	t.Logf("%d flips, every one named", flips)
}
