package chunkstore_test

import (
	"errors"
	"testing"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
)

// TestWholeKnowsOfEachChange: what was found is remembered while nothing changes, and no longer.
func TestWholeKnowsOfEachChange(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	mine, others := named(t, s, noise(1, 100))[0], named(t, s, noise(2, 100))[0]
	expect := func(when string, d imaging.Digest, whole bool) {
		t.Helper()
		for range 2 { // found, then remembered
			if err := s.Whole(t.Context(), d); (err == nil) != whole || err != nil && !errors.Is(err, chunkstore.ErrMissing) {
				t.Errorf("%s: Whole = %v; want whole %v", when, err, whole)
			}
		}
	}
	var mend []func()
	for i, pack := range files(t, dir, "packs", "") {
		_, m := hurt(t, pack, 3)
		mend = append(mend, m)
		check(t, s, chunkstore.CheckOptions{ReadData: true})
		if a, b := s.Whole(t.Context(), mine), s.Whole(t.Context(), others); i == 0 && (a == nil) == (b == nil) {
			t.Errorf("one damaged: Whole = %v and %v; want one of them whole", a, b)
		}
	}
	expect("both damaged", mine, false)
	expect("both damaged", others, false)
	mend[0]()
	check(t, s, chunkstore.CheckOptions{ReadData: true})
	if a, b := s.Whole(t.Context(), mine), s.Whole(t.Context(), others); (a == nil) == (b == nil) {
		t.Errorf("one mended: Whole = %v and %v; want one of them whole", a, b)
	}
	mend[1]()
	check(t, s, chunkstore.CheckOptions{ReadData: true})
	expect("both mended", mine, true)
	hurt(t, files(t, dir, "packs", "")[0], 4)
	check(t, s, chunkstore.CheckOptions{ReadData: true})
	if a, b := s.Whole(t.Context(), mine), s.Whole(t.Context(), others); (a == nil) == (b == nil) {
		t.Errorf("damaged again: Whole = %v and %v; want one of them whole", a, b)
	}
	for _, disk := range [][]byte{noise(1, 100), noise(2, 100)} {
		importDisk(t, s, disk)
	}
	expect("imported again", mine, true)
	expect("imported again", others, true)
}

// TestWholeAskedWhileAnImageHealsIsNotHeldToAnOldAnswer: a pack is known before the index shows what is in it, and what
// was found between the two is not remembered for ever.
func TestWholeAskedWhileAnImageHealsIsNotHeldToAnOldAnswer(t *testing.T) {
	for seed := range uint64(20) {
		dir := t.TempDir()
		s := openStore(t, dir)
		disk := noise(seed, 60)
		d := named(t, s, disk)[0]
		for _, pack := range files(t, dir, "packs", "") {
			hurt(t, pack, 1)
		}
		check(t, s, chunkstore.CheckOptions{ReadData: true})
		stop, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			for {
				select {
				case <-stop:
					return
				default:
					s.Whole(t.Context(), d) // either answer is right while it heals
				}
			}
		}()
		importDisk(t, s, disk)
		close(stop)
		<-ended
		if err := s.Whole(t.Context(), d); err != nil {
			t.Fatalf("round %d: imported again, and Whole = %v", seed, err)
		}
	}
}

// TestADyingDiskIsBounded: a pack of which everything is damaged is distrusted as a whole, and its places do not fill
// the memory one by one.
func TestADyingDiskIsBounded(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	d := named(t, s, noise(3, 12_000))[0]
	pack := files(t, dir, "packs", "")[0]
	heads := packHeads(t, pack)
	for n := range heads {
		hurt(t, pack, n)
	}
	check(t, s, chunkstore.CheckOptions{ReadData: true})
	for _, reopened := range []bool{false, true} {
		if n := s.Locked(); len(heads) < 1200 || n > 1001 {
			t.Errorf("reopened %v: %d damaged chunks, %d kept in mind; want at most 1001", reopened, len(heads), n)
		}
		for _, h := range heads {
			if _, err := s.Frame(h.digest); job.FaultOf(err).Code != job.CodeLocked {
				t.Fatalf("reopened %v: a chunk of a distrusted pack: %v; want %s", reopened, err, job.CodeLocked)
			}
		}
		if err := s.Whole(t.Context(), d); job.FaultOf(err).Code != job.CodeLocked {
			t.Errorf("reopened %v: Whole = %v", reopened, err)
		}
		s.Close()
		s = openStore(t, dir)
	}
}
