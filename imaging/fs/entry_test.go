package fs_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/imaging/fs"
)

// treeHashes reads every file below an entry, and holds what Place says against what ReadAt gives.
func treeHashes(t *testing.T, r io.ReaderAt, e fs.Entry, at string, into map[string]string) {
	t.Helper()
	all, err := e.List()
	if err != nil {
		t.Fatalf("list %s: %v", at, err)
	}
	for _, c := range all {
		path := filepath.Join(at, c.Name)
		switch c.Mode {
		case fs.Dir:
			treeHashes(t, r, c, path, into)
		case fs.Regular:
			f, err := c.Open()
			if err != nil {
				t.Fatal(err)
			}
			h := sha256.New()
			if _, err := io.Copy(h, io.NewSectionReader(f, 0, c.Size)); err != nil {
				t.Fatalf("read %s: %v", path, err)
			}
			into[path] = fmt.Sprintf("%x", h.Sum(nil))
			checkPlaces(t, r, f, path)
			if c.Changed < 1_500_000_000 {
				t.Errorf("%s was changed at %d; want a time of this century", path, c.Changed)
			}
		}
	}
}

// checkPlaces reads a file through its places in the volume.
func checkPlaces(t *testing.T, r io.ReaderAt, f *fs.File, path string) {
	t.Helper()
	size := f.Stat().Size
	for off := int64(0); off < size; {
		at, run, err := f.Place(off)
		if err != nil || run <= 0 {
			t.Fatalf("Place(%d) of %s = %d, %d, %v", off, path, at, run, err)
		}
		run = min(run, size-off)
		got, want := make([]byte, run), make([]byte, run)
		if _, err := f.ReadAt(want, off); err != nil {
			t.Fatal(err)
		}
		if at >= 0 {
			if _, err := r.ReadAt(got, at); err != nil {
				t.Fatal(err)
			}
		}
		if at != fs.NotPlaced && !bytes.Equal(got, want) {
			t.Fatalf("%s at %d lies elsewhere than Place says (%d)", path, off, at)
		}
		off += run
	}
}

func TestNTFSFilesAreReadAsTheKernelsDriverReadsThem(t *testing.T) {
	for _, kind := range []string{"as Windows makes it", "clusters of one sector", "sectors of 4096, large clusters"} {
		t.Run(kind, func(t *testing.T) {
			path := ntfsVolume(t, ntfsKinds[kind].size, ntfsKinds[kind].args...)
			var want map[string]string
			mounted(t, path, func(dir string) {
				age(t, dir, 11, 700)
				for i := range 400 { // a folder with blocks of an index
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("A Long Name %d.txt", i)), []byte(strings.Repeat("x", i*7)), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				hole, err := os.Create(filepath.Join(dir, "hole"))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := hole.WriteAt([]byte("behind a hole"), 2*mib); err != nil {
					t.Fatal(err)
				}
				hole.Close()
				want = hashes(t, dir)
			})
			f, size := open(t, path)
			v, err := fs.Open(f, size)
			if err != nil {
				t.Fatal(err)
			}
			root, err := v.Root()
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			treeHashes(t, f, root, "", got)
			for p, h := range want {
				if got[p] != h {
					t.Errorf("%s differs", p)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d files; want %d", len(got), len(want))
			}
			if s, err := v.Stat("/a long NAME 399.TXT"); err != nil || s.Size != 399*7 || s.Name != "A Long Name 399.txt" {
				t.Errorf("a name in other letters = %+v, %v", s, err)
			}
			if _, err := v.ReadFile("/A Long Name 400.txt", 10); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a file that is not there: %v; want ErrNotExist", err)
			}
			if _, err := v.ReadFile("/$MFT", 1); err == nil {
				t.Error("the $MFT was read whole")
			}
		})
	}
}

func TestExtFilesAreWhereTheirPlacesSay(t *testing.T) {
	dir := tree(t)
	for _, features := range []string{"", "^extents,^64bit,^flex_bg"} {
		path := blank(t, 40*mib)
		run(t, "", "mkfs.ext4", "-q", "-F", "-O", features, "-d", dir, path)
		f, size := open(t, path)
		v, err := fs.Open(f, size)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{"/usr/bin/big", "/etc/fstab"} {
			file, err := v.OpenFile(p)
			if err != nil {
				t.Fatal(err)
			}
			checkPlaces(t, f, file, p)
			if c := file.Stat().Changed; c < 1_500_000_000 {
				t.Errorf("%s was changed at %d", p, c)
			}
		}
	}
}

func TestAFileIsOpenedByItsPathOnly(t *testing.T) {
	path := blank(t, 20*mib)
	run(t, "", "mkfs.ext4", "-q", "-F", "-d", tree(t), path)
	f, size := open(t, path)
	v, err := fs.Open(f, size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.OpenFile("/etc"); err == nil {
		t.Error("a folder was opened as a file")
	}
	if _, err := v.OpenFile("/gone"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a dead link: %v; want ErrNotExist", err)
	}
	if l, err := v.Entries("/var/many"); err != nil || len(l) != 900 {
		t.Errorf("%d entries, %v; want 900", len(l), err)
	}
	all, err := v.Entries("/")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if to, err := e.Link(); e.Name == "out" && (err != nil || to != "../../../../etc/fstab") {
			t.Errorf("link = %q, %v", to, err)
		}
	}
	file, err := v.OpenFile("/etc/os-release")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := file.ReadAt(make([]byte, 100), 10); err != io.EOF || int64(n) != file.Stat().Size-10 {
		t.Errorf("a read over the end = %d, %v; want what is there and io.EOF", n, err)
	}
}
