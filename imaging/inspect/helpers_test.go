package inspect_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/inspect"
)

// file is a disk without a table that lies in a file.
type file struct {
	*os.File
	h imaging.Header
}

func (f file) Header() imaging.Header { return f.h }
func (f file) Size() int64            { return int64(f.h.DiskSize) }

func openFile(t testing.TB, path string) file {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return file{f, imaging.Header{DiskSize: uint64(fi.Size()), SectorSize: 512, Table: "none"}}
}

// tool runs a program; the test is skipped where it is missing.
func tool(t testing.TB, pkg, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is missing: install Debian's package %s", name, pkg)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

// files writes a folder of texts. A text that begins with "-> " is a link.
func files(t testing.TB, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		err := error(nil)
		if to, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(to, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// ext4 makes a real volume of a folder.
func ext4(t testing.TB, dir string) file {
	t.Helper()
	path := filepath.Join(t.TempDir(), "volume")
	tool(t, "e2fsprogs", "mkfs.ext4", "-q", "-F", "-d", dir, path, "24M")
	return openFile(t, path)
}

func look(t testing.TB, d inspect.Disk, need ...inspect.Need) inspect.Report {
	t.Helper()
	r, err := inspect.Look(context.Background(), d, inspect.Options{Now: time.Now(), MustHave: need})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// of gives the findings of one check.
func of(r inspect.Report, check string) (out []inspect.Finding) {
	for _, f := range r.Findings {
		if f.Check == check {
			out = append(out, f)
		}
	}
	return out
}

// worst is the weightiest severity of a check, and its words.
func worst(r inspect.Report, check string) (s inspect.Severity, words string) {
	for _, f := range of(r, check) {
		words += f.Fact + " " + f.Next + "\n"
		if s == "" || f.Severity == inspect.Red || f.Severity == inspect.Yellow && s == inspect.Green {
			s = f.Severity
		}
	}
	return s, words
}
