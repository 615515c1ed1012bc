package library_test

import (
	"bytes"
	"context"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/store"
)

// rawDisk writes a disk of noise, without a partition table.
func rawDisk(t testing.TB, seed int64, n int) string {
	t.Helper()
	b := make([]byte, n)
	rand.New(rand.NewSource(seed)).Read(b)
	path := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func importRaw(t testing.TB, l *library.Library, image, path string) store.Version {
	t.Helper()
	got, err := l.Import(context.Background(), "anna", store.Import{File: path, Image: image, Grow: -1}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return got.Version
}

// TestGCSparesEveryVersionAndTellsWhatItFreed: chunks that an import left behind go, and the act is in the audit trail.
func TestGCSparesEveryVersionAndTellsWhatItFreed(t *testing.T) {
	dir := t.TempDir()
	l, ctx := mustLibraryIn(t, dir), context.Background()
	v := importRaw(t, l, "sales", rawDisk(t, 1, 4<<20))
	b := l.Store.NewBatch() // a capture that is given up
	for i := range byte(20) {
		if _, err := b.Put(bytes.Repeat([]byte{i, 1, 2}, 9999)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Sweep(ctx, "anna", store.Sweep{}, quiet); err != nil || got.Packs != 0 {
		t.Errorf("gc beside the batch = %+v, %v; want it spared", got, err)
	}
	b.Abort()
	dry, err := l.Sweep(ctx, "anna", store.Sweep{DryRun: true}, quiet)
	if err != nil || dry.Packs != 1 || dry.FreedBytes <= 0 {
		t.Errorf("dry run = %+v, %v; want one pack", dry, err)
	}
	got, err := l.Sweep(ctx, "anna", store.Sweep{}, quiet)
	if err != nil || got.Packs != 1 || got.FreedBytes != dry.FreedBytes || got.Chunks == 0 {
		t.Errorf("gc = %+v, %v; want what the dry run told: %+v", got, err, dry)
	}
	c, err := l.Check(ctx, store.Check{ReadData: true}, quiet)
	if err != nil || len(c.Damage) != 0 || c.Versions != 1 {
		t.Errorf("check = %+v, %v", c, err)
	}
	out := filepath.Join(t.TempDir(), "out.raw")
	if _, err := l.Export(ctx, "anna", store.Export{Image: v.Ref().String(), File: out}, quiet); err != nil {
		t.Error(err)
	}
	if acts := trail(t, l); strings.Count(acts, "gc anna") != 1 {
		t.Errorf("the audit trail has %q; want the one gc that removed something", acts)
	}
}

func trail(t *testing.T, l *library.Library) string {
	t.Helper()
	var acts []string
	err := l.DB.View(func(tx *store.Tx) error {
		all, err := tx.AuditTrail("", 1000)
		for _, e := range all {
			acts = append(acts, e.Act+" "+e.Operator)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(acts, ", ")
}

// TestGCRemovesNothingWhenARecordIsDamaged: what that record needs is not known.
func TestGCRemovesNothingWhenARecordIsDamaged(t *testing.T) {
	dir := t.TempDir()
	db, err := store.Open(filepath.Join(dir, "ingot.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	chunks, err := chunkstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer chunks.Close()
	l := &library.Library{DB: db, Store: chunks}
	importRaw(t, l, "sales", rawDisk(t, 2, 1<<20))
	importRaw(t, l, "lab", rawDisk(t, 3, 1<<20))
	db.Close()
	path := filepath.Join(dir, "ingot.db")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(raw, []byte(`"image":"lab"`))
	raw[at+9] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if l.DB, err = store.Open(path, store.Options{}); err != nil {
		t.Fatal(err)
	}
	defer l.DB.Close()
	if _, err := l.Sweep(context.Background(), "anna", store.Sweep{}, quiet); job.FaultOf(err).Code != job.CodeSweep {
		t.Errorf("gc = %v; want %s", err, job.CodeSweep)
	}
	c, err := l.Check(context.Background(), store.Check{ReadData: true}, quiet)
	if err != nil || len(c.Damage) != 1 || !strings.Contains(c.Damage[0].What, "lab@1") || strings.Join(c.Damage[0].Versions, " ") != "lab@1" {
		t.Errorf("check = %+v, %v; want the record of lab@1 named", c, err)
	}
}

// TestTheScrubGoesRoundAndRemembersHowFarItIs, also over a restart.
func TestTheScrubGoesRoundAndRemembersHowFarItIs(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	open := func() (*library.Library, func()) {
		db, err := store.Open(filepath.Join(dir, "ingot.db"), store.Options{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		chunks, err := chunkstore.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		l := &library.Library{DB: db, Store: chunks}
		l.Listen(func(err error) { t.Error(err) })
		return l, func() { db.Close(); chunks.Close() }
	}
	l, end := open()
	for i := range int64(3) {
		importRaw(t, l, "sales", rawDisk(t, 10+i, 1<<20))
	}
	next := func(want int, last bool) {
		t.Helper()
		if _, err := l.ScrubNext(t.Context(), 1<<30); err != nil {
			t.Fatal(err)
		}
		k, err := l.Keeping(t.Context())
		if err != nil || k.Scrub.Done != want || k.Scrub.Last.IsZero() == last {
			t.Fatalf("kept %+v, %v; want %d packs done, ended %v", k, err, want, last)
		}
	}
	next(1, false)
	next(2, false)
	end()
	l, end = open()
	defer func() { end() }()
	next(3, false)
	next(3, true)
	if wait, err := l.ScrubNext(t.Context(), 1<<30); err != nil || wait == 0 {
		t.Errorf("behind a pass it waits %s, %v", wait, err)
	}
	now = now.AddDate(0, 0, 8)
	packs, err := filepath.Glob(filepath.Join(dir, "packs", "*"))
	if err != nil || len(packs) != 3 {
		t.Fatal(packs, err)
	}
	b, err := os.ReadFile(packs[1])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 8
	if err := os.WriteFile(packs[1], b, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, err := l.ScrubNext(t.Context(), 1<<30); err != nil {
			t.Fatal(err)
		}
	}
	k, err := l.Keeping(t.Context())
	if err != nil || k.Locked != 1 || k.Scrub.LastHad != 1 {
		t.Errorf("kept %+v, %v; want one place locked away", k, err)
	}
	if acts := trail(t, l); !strings.Contains(acts, "quarantine ingot") || !strings.Contains(acts, "scrub ingot") {
		t.Errorf("the audit trail has %q", acts)
	}
}
