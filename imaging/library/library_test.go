package library_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/imaging/chunkstore"
	"ingot/imaging/library"
	"ingot/store"
)

func mustLibrary(t *testing.T) *library.Library { return mustLibraryIn(t, t.TempDir()) }

func mustLibraryIn(t *testing.T, dir string) *library.Library {
	t.Helper()
	db, err := store.Open(filepath.Join(dir, "ingot.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	chunks, err := chunkstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chunks.Close() })
	return &library.Library{DB: db, Store: chunks}
}

func quiet(store.Work) {}

// disk makes a raw disk with a GPT and one ext4 of real files, whose free space holds old data.
func disk(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.raw")
	old := bytes.Repeat([]byte("the former user's letters "), 64<<20/26+1)[:64<<20]
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	files := t.TempDir()
	if err := os.WriteFile(filepath.Join(files, "hello"), bytes.Repeat([]byte("hello "), 200_000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]string{
		{"sgdisk", "--zap-all", "--clear", "--new=1:2048:0", "--typecode=1:8304", path},
		{"mkfs.ext4", "-q", "-F", "-E", "offset=1048576,nodiscard", "-d", files, path, "60M"},
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", c, err, out)
		}
	}
	return path
}

func TestAnExportedImageHoldsTheDataAndNothingOfTheFreeSpace(t *testing.T) {
	l, path, ctx := mustLibrary(t), disk(t), context.Background()
	got, err := l.Import(ctx, "anna", store.Import{File: path, Image: "sales", Label: "one"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	v := got.Version
	if v.Number != 1 || v.FreeBytes == 0 || v.DataBytes == 0 || v.DataBytes+v.ZeroBytes+v.FreeBytes != v.DiskSize || v.Table != "gpt" || v.By != "anna" {
		t.Fatalf("imported %+v", v)
	}
	out := filepath.Join(t.TempDir(), "out.raw")
	x, err := l.Export(ctx, "anna", store.Export{Image: "sales", File: out}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if x.DataBytes != v.DataBytes || x.ZeroBytes != v.ZeroBytes || x.FreeBytes != v.FreeBytes {
		t.Errorf("exported %+v; want the version's bytes", x)
	}
	if out, err := exec.Command("sgdisk", "-v", out).CombinedOutput(); err != nil || !strings.Contains(string(out), "No problems found") {
		t.Errorf("sgdisk -v: %v: %s", err, out)
	}
	again, err := l.Import(ctx, "anna", store.Import{File: out, Image: "sales"}, quiet)
	if err != nil || !again.Known {
		t.Errorf("the export imported again: %+v, %v; want the version that it came from", again, err)
	}
	fs := filepath.Join(t.TempDir(), "fs")
	if out, err := exec.Command("dd", "if="+out, "of="+fs, "bs=1M", "skip=1", "status=none").CombinedOutput(); err != nil {
		t.Fatalf("dd: %v: %s", err, out)
	}
	if out, err := exec.Command("e2fsck", "-fn", fs).CombinedOutput(); err != nil {
		t.Errorf("e2fsck: %v: %s", err, out)
	}
	b, err := os.ReadFile(fs)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte("hello hello")) {
		t.Error("the export lacks the file")
	}
	if n := bytes.Count(b[:60<<20], []byte("former user")); n > 200_000 {
		t.Errorf("%d pieces of the free space were kept", n)
	}
}

func TestTheSameDiskIsStoredOnce(t *testing.T) {
	l, path, ctx := mustLibrary(t), disk(t), context.Background()
	if _, err := l.Import(ctx, "anna", store.Import{File: path, Image: "sales"}, quiet); err != nil {
		t.Fatal(err)
	}
	again, err := l.Import(ctx, "anna", store.Import{File: path, Image: "sales"}, quiet)
	if err != nil || !again.Known || again.Version.Number != 1 {
		t.Errorf("again: %+v, %v; want the version that is there", again, err)
	}
	other, err := l.Import(ctx, "anna", store.Import{File: path, Image: "lab"}, quiet)
	if err != nil || other.Known || other.Version.StoredBytes != 0 {
		t.Errorf("another image: %+v, %v; want a version that adds no bytes", other, err)
	}
	c, err := l.Check(ctx, store.Check{ReadData: true}, quiet)
	if err != nil || len(c.Damage) != 0 || c.Versions != 2 {
		t.Errorf("check %+v, %v", c, err)
	}
}

func TestACancelledImportLeavesNoVersion(t *testing.T) {
	l, path := mustLibrary(t), disk(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.Import(ctx, "anna", store.Import{File: path, Image: "sales"}, quiet); err == nil {
		t.Fatal("a cancelled import passed")
	}
	if all, err := l.Images(context.Background()); err != nil || len(all) != 0 {
		t.Errorf("%d versions, %v", len(all), err)
	}
}

// TestCheckNamesPackOffsetAndVersions flips one bit of a stored chunk and cuts a pack short: both are named, with
// every version that they hit.
func TestCheckNamesPackOffsetAndVersions(t *testing.T) {
	dir := t.TempDir()
	l, path, ctx := mustLibraryIn(t, dir), disk(t), context.Background()
	for _, name := range []string{"sales", "lab"} {
		if _, err := l.Import(ctx, "anna", store.Import{File: path, Image: name}, quiet); err != nil {
			t.Fatal(err)
		}
	}
	packs, err := filepath.Glob(filepath.Join(dir, "packs", "*.pack"))
	if err != nil || len(packs) == 0 {
		t.Fatalf("packs %v, %v", packs, err)
	}
	b, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	whole := bytes.Clone(b)
	for name, damage := range map[string]func() []byte{
		"a flipped bit": func() []byte { b := bytes.Clone(whole); b[len(b)/2] ^= 4; return b },
		"a cut pack":    func() []byte { return whole[:len(whole)/2] },
	} {
		if err := os.WriteFile(packs[0], damage(), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := l.Check(ctx, store.Check{ReadData: true}, quiet)
		if err != nil || len(c.Damage) == 0 {
			t.Fatalf("%s: check %+v, %v; want damage", name, c, err)
		}
		d := c.Damage[0]
		if !strings.Contains(d.What, filepath.Base(packs[0])) || strings.Join(d.Versions, " ") != "lab@1 sales@1" {
			t.Errorf("%s: %q hits %v; want the pack, lab@1 and sales@1", name, d.What, d.Versions)
		}
	}
}

// TestAVersionNeedsADriveOfItsDisksSize, though nothing lies at its end: a laptop refuses a smaller one, so the
// order for it must be refused too.
func TestAVersionNeedsADriveOfItsDisksSize(t *testing.T) {
	l, path := mustLibrary(t), filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 64<<20); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]string{{"sgdisk", "--new=1:2048:+16M", path}, {"mkfs.ext4", "-q", "-F", "-E", "offset=1048576", path, "16M"}} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", c, err, out)
		}
	}
	got, err := l.Import(context.Background(), "anna", store.Import{File: path, Image: "sales"}, quiet)
	if err != nil || got.Version.NeedBytes != 64<<20 {
		t.Errorf("needs %d bytes, %v; want %d", got.Version.NeedBytes, err, 64<<20)
	}
}

// TestAVersionSaysWhyNoLargerDriveIsTaken: the laptop refuses one that its root cannot grow to, so the order must
// know; growing nothing is the way out.
func TestAVersionSaysWhyNoLargerDriveIsTaken(t *testing.T) {
	l := mustLibrary(t)
	for _, c := range []struct {
		name, kind string
		in         store.Import
		grow, root int
		why        string
	}{
		{"ext4", "ext4", store.Import{}, 1, 1, ""},
		{"ext2", "ext2", store.Import{}, 1, 1, "Partition 1 holds ext2"},
		{"ext2 that stays as it is", "ext2", store.Import{Grow: -1}, 0, 1, ""},
		{"the root named", "ext4", store.Import{Root: 1}, 1, 1, ""},
	} {
		path := filepath.Join(t.TempDir(), "disk.raw")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 32<<20); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"sgdisk", "--new=1:2048:+16M", "--typecode=1:8304", path}, {"mkfs." + c.kind, "-q", "-F", "-E", "offset=1048576", path, "16M"}} {
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v: %s", args, err, out)
			}
		}
		c.in.File, c.in.Image = path, "sales"
		got, err := l.Import(context.Background(), "anna", c.in, quiet)
		v := got.Version
		if err != nil || v.GrowPart != c.grow || v.RootPart != c.root || (v.GrowWhy == "") != (c.why == "") || !strings.Contains(v.GrowWhy, c.why) {
			t.Errorf("%s: root %d grows %d, %q, %v; want root %d grows %d, %q", c.name, v.RootPart, v.GrowPart, v.GrowWhy, err, c.root, c.grow, c.why)
		}
	}
}
