package library_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/imaging/library"
	"ingot/store"
)

// kills is how often the test below kills; "make kill-200" runs it with 200.
var kills = flag.Int("kills", 15, "how often TestAKillAtAnyMomentLeavesTheLibraryWhole kills")

// victimData names the data folder of a child process that works on it until it is killed.
const victimData = "INGOT_TEST_LIBRARY"

// TestLibraryVictim is not a test by itself: it is the child of the next one. It imports, captures without an end,
// drops versions and clears the store, all at once, and says what it was promised.
func TestLibraryVictim(t *testing.T) {
	dir := os.Getenv(victimData)
	if dir == "" {
		t.Skip("runs only as a child of TestAKillAtAnyMomentLeavesTheLibraryWhole")
	}
	l := mustLibraryIn(t, dir)
	l.Listen(func(err error) { t.Error(err) })
	fmt.Println("ready")
	var wg sync.WaitGroup
	for _, work := range []func(*testing.T, *library.Library, *rand.Rand){victimImports, victimImports, victimCaptures, victimDrops, victimClears} {
		wg.Go(func() {
			for rng := rand.New(rand.NewPCG(rand.Uint64(), 1)); ; {
				work(t, l, rng)
			}
		})
	}
	wg.Wait()
}

// pieces makes a disk of pieces that other disks share, and some of its own.
func pieces(rng *rand.Rand) []byte {
	var b []byte
	for range 3 + rng.IntN(6) {
		seed := rng.Uint64N(40)
		if rng.IntN(3) == 0 {
			seed = rng.Uint64()
		}
		piece := make([]byte, imaging.BlockSize*(4+int(seed%20)))
		p := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24), byte(seed >> 32)})
		p.Read(piece)
		b = append(b, piece...)
	}
	return b
}

func victimImports(t *testing.T, l *library.Library, rng *rand.Rand) {
	path := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(path, pieces(rng), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := l.Import(context.Background(), "anna", store.Import{File: path, Image: fmt.Sprint("image", rng.IntN(3)), Note: "a build", Grow: -1, Release: rng.IntN(2) == 0}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(path)
	fmt.Printf("accepted %s %s\n", got.Version.Ref(), got.Version.Manifest)
}

// victimCaptures stores chunks as a laptop sends them, asks for others, and ends in one way or another, at most with a
// manifest that no record names.
func victimCaptures(t *testing.T, l *library.Library, rng *rand.Rand) {
	b := l.Store.NewBatch()
	defer b.Abort()
	disk := pieces(rng)
	f, err := l.Store.CreateManifest()
	if err != nil {
		t.Fatal(err)
	}
	w, err := imaging.NewManifestWriter(f, imaging.Header{DiskSize: uint64(len(disk)), SectorSize: 512, Table: "none", Params: imaging.DefaultParams()})
	if err != nil {
		t.Fatal(err)
	}
	const step = 2 * imaging.BlockSize
	for at := 0; at < len(disk); at += step {
		plain := disk[at:min(at+step, len(disk))]
		d := imaging.Sum(plain)
		held, err := b.Has(d)
		if err == nil && !held {
			_, err = b.Put(plain)
		}
		if err == nil {
			err = w.Append(imaging.Extent{Offset: uint64(at), Length: uint64(len(plain)), Kind: imaging.Data, Digest: d})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.Finish()
	if rng.IntN(3) == 0 {
		err = errors.Join(err, l.Store.DropManifest(f))
	} else {
		var d imaging.Digest
		if err = errors.Join(err, b.Commit()); err == nil {
			d, err = l.Store.PutManifest(f)
			l.Store.Named(d)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// victimDrops releases a version, retires it and gives its content up, when there are more than a few.
func victimDrops(t *testing.T, l *library.Library, rng *rand.Rand) {
	time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
	all, err := l.Images(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(v store.VersionView) bool { return v.Deleted })
	if len(all) < 4 {
		return
	}
	v := all[rng.IntN(len(all))]
	fmt.Printf("dropping %s\n", v.Ref())
	o := store.VersionOrder{Version: v.Ref().String(), Reason: "replaced", Override: "a test"}
	acts := []func(context.Context, string, store.VersionOrder) (store.VersionView, error){l.Release, l.Retire, l.Delete}
	switch v.State {
	case store.Released:
		acts = acts[1:]
	case store.Retired:
		acts = acts[2:]
	}
	for _, act := range acts {
		if _, err := act(context.Background(), "anna", o); err != nil {
			t.Fatalf("%s: %v", v.Word(), err)
		}
	}
}

func victimClears(t *testing.T, l *library.Library, _ *rand.Rand) {
	got, err := l.Sweep(context.Background(), "anna", store.Sweep{}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("cleared %d %d\n", got.Packs, got.NewPacks)
}

// TestAKillAtAnyMomentLeavesTheLibraryWhole kills a process again and again while it imports, captures, drops and
// clears with rewriting, and proves everything after each: every byte, every record, every version that was accepted,
// and nothing half there.
func TestAKillAtAnyMomentLeavesTheLibraryWhole(t *testing.T) {
	dir := t.TempDir()
	s := &story{accepted: map[string]string{}, dropping: map[string]bool{}}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 7))
	for round := 1; round <= *kills; round++ {
		s.kill(t, dir, time.Duration(rng.IntN(1500))*time.Millisecond)
		s.prove(t, dir, round)
		if t.Failed() {
			return
		}
	}
	if *kills >= 100 && (s.cleared == 0 || s.rewritten == 0 || len(s.accepted) < 20) {
		t.Errorf("%d packs removed, %d written anew, %d versions accepted: some of it never happened", s.cleared, s.rewritten, len(s.accepted))
	}
	t.Logf("%d kills: %d versions accepted, %d dropped, %d clearings removed %d packs and wrote %d anew; the library was whole after each",
		*kills, len(s.accepted), len(s.dropping), s.clearings, s.cleared, s.rewritten)
}

// story is what the killed processes said.
type story struct {
	accepted map[string]string // version -> manifest
	dropping map[string]bool   // perhaps dropped

	clearings, cleared, rewritten int
}

// kill starts a child and kills it some time after it began to work.
func (s *story) kill(t *testing.T, dir string, after time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestLibraryVictim$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), victimData+"="+dir, "TMPDIR="+t.TempDir())
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for sc := bufio.NewScanner(out); sc.Scan(); {
		var a, b string
		var n, m int
		switch line := sc.Text(); {
		case line == "ready":
			time.AfterFunc(after, func() { cmd.Process.Kill() })
		case strings.HasPrefix(line, "accepted"):
			fmt.Sscanf(line, "accepted %s %s", &a, &b)
			s.accepted[a] = b
		case strings.HasPrefix(line, "dropping"):
			fmt.Sscanf(line, "dropping %s", &a)
			s.dropping[a] = true
		case strings.HasPrefix(line, "cleared"):
			fmt.Sscanf(line, "cleared %d %d", &n, &m)
			s.clearings, s.cleared, s.rewritten = s.clearings+1, s.cleared+n, s.rewritten+m
		default:
			said.WriteString(line + "\n")
		}
	}
	var ended *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &ended) || ended.Exited() {
		t.Fatalf("the child was not killed, it ended by itself: %v\n%s", err, said.String())
	}
}

// prove opens what the killed process left.
func (s *story) prove(t *testing.T, dir string, round int) {
	t.Helper()
	db, err := store.Open(filepath.Join(dir, "ingot.db"), store.Options{})
	if err != nil {
		t.Fatalf("after kill %d: %v", round, err)
	}
	defer db.Close()
	chunks, err := chunkstore.Open(dir)
	if err != nil {
		t.Fatalf("after kill %d: %v", round, err)
	}
	defer chunks.Close()
	l := &library.Library{DB: db, Store: chunks}
	c, err := l.Check(t.Context(), store.Check{ReadData: true}, quiet)
	if err != nil || len(c.Damage) > 0 {
		t.Errorf("after kill %d: check --read-data: %v, %v", round, c.Damage, err)
	}
	all, err := l.Images(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]string{}
	for _, v := range all {
		there[v.Ref().String()] = v.Manifest.String()
		if v.Deleted {
			if !s.dropping[v.Ref().String()] {
				t.Errorf("after kill %d: the content of %s was given up, and nobody asked for that", round, v.Ref())
			}
			continue
		}
		if err := chunks.Whole(t.Context(), v.Manifest); err != nil {
			t.Errorf("after kill %d: %s: %v", round, v.Ref(), err)
		}
	}
	for ref, manifest := range s.accepted {
		if there[ref] != manifest {
			t.Errorf("after kill %d: %s was accepted with %s and is now %q", round, ref, manifest, there[ref])
		}
	}
	s.half(t, db, dir, round)
}

// half finds what is half there: a number that no version has, and temporary files.
func (s *story) half(t *testing.T, db *store.DB, dir string, round int) {
	t.Helper()
	err := db.View(func(tx *store.Tx) error {
		images, err := tx.Images()
		for _, i := range images {
			versions, e := tx.Versions(i.Name)
			if err = errors.Join(err, e); len(versions) != i.Last {
				t.Errorf("after kill %d: image %s counts %d versions and has %d", round, i.Name, i.Last, len(versions))
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", "tmp-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("after kill %d: %v is left, %v", round, left, err)
	}
}
