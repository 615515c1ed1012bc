package library_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"ingot/imaging"
	"ingot/imaging/capture"
	"ingot/imaging/diskfile"
	"ingot/store"
)

// TestTheSameDiskHealsAVersionOfAnOlderCut: a version that was cut as manifests of version 1 were lacks a chunk, or all of
// them after a restore without the images' data. The import of its disk fills them in, and is that version; while nothing
// is lacking, an import is cut as everything is today.
func TestTheSameDiskHealsAVersionOfAnOlderCut(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, pack string){
		"a flipped bit": func(t *testing.T, pack string) {
			b, err := os.ReadFile(pack)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 4
			if err := os.WriteFile(pack, b, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"no pack": func(t *testing.T, pack string) {
			if err := os.Remove(pack); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, path, ctx := t.TempDir(), disk(t), context.Background()
			l := mustLibraryIn(t, dir)
			file, err := diskfile.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			batch := l.Store.NewBatch()
			old, err := capture.Run(ctx, file, capture.Sink{Chunks: batch, Manifests: l.Store}, capture.Options{Params: imaging.Params{Min: 8 << 10, Avg: 32 << 10, Max: 128 << 10}})
			if err != nil {
				t.Fatal(err)
			}
			file.Close()
			h := old.Header
			v := store.Version{Image: "sales", Label: "old", By: "anna", Source: "disk.raw", State: store.Draft, Manifest: old.Manifest, DiskSize: h.DiskSize, SectorSize: h.SectorSize, Table: h.Table}
			if err := l.DB.Update(func(tx *store.Tx) error { _, _, err := tx.AddVersion(v); return err }); err != nil {
				t.Fatal(err)
			}
			packs, err := filepath.Glob(filepath.Join(dir, "packs", "*.pack"))
			if err != nil || len(packs) != 1 {
				t.Fatalf("packs %v, %v", packs, err)
			}
			harm(t, packs[0])
			if c, err := l.Check(ctx, store.Check{ReadData: true}, quiet); err != nil || len(c.Damage) == 0 {
				t.Fatalf("check %+v, %v; want damage", c, err)
			}
			got, err := l.Import(ctx, "anna", store.Import{File: path, Image: "sales"}, quiet)
			if err != nil || !got.Known || got.Version.Number != 1 {
				t.Fatalf("the import is %+v, %v; want sales@1", got.Version.Ref(), err)
			}
			if err := l.Store.Whole(ctx, old.Manifest); err != nil {
				t.Errorf("after the import: %v", err)
			}
			next, err := l.Import(ctx, "anna", store.Import{File: path, Image: "sales"}, quiet)
			if err != nil || next.Known || next.Version.Number != 2 {
				t.Errorf("once nothing is lacking: %+v, known %v, %v; want sales@2", next.Version.Ref(), next.Known, err)
			}
		})
	}
}
