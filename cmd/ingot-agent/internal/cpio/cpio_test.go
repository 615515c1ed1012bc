package cpio_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/cmd/ingot-agent/internal/cpio"
)

// entry writes one newc entry as the kernel documents it.
func entry(mode uint32, name, data string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	b.WriteString(name + "\x00")
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
	b.WriteString(data)
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
	return b.String()
}

var end = entry(0, "TRAILER!!!", "")

func unpack(t *testing.T, archive string) (string, int, error) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	n, err := cpio.Unpack(strings.NewReader(archive), root)
	return dir, n, err
}

func TestFoldersFilesAndLinksAreUnpacked(t *testing.T) {
	dir, n, err := unpack(t, entry(0o040755, ".", "")+entry(0o040755, "lib", "")+entry(0o100755, "lib/a", "hello")+
		entry(0o120777, "b", "lib/a")+entry(0o100644, "deep/er/c", "")+end)
	if err != nil || n != 5 {
		t.Fatalf("Unpack = %d, %v", n, err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "b"))
	if err != nil || string(got) != "hello" {
		t.Errorf("b reads %q, %v", got, err)
	}
	if fi, err := os.Stat(filepath.Join(dir, "lib/a")); err != nil || fi.Mode().Perm() != 0o755 {
		t.Errorf("lib/a is %v, %v", fi, err)
	}
}

func TestALaterEntryReplacesAFile(t *testing.T) {
	dir, _, err := unpack(t, entry(0o100644, "a", "one")+entry(0o100644, "a", "two")+end)
	got, _ := os.ReadFile(filepath.Join(dir, "a"))
	if err != nil || string(got) != "two" {
		t.Errorf("a reads %q, %v", got, err)
	}
}

func TestAnArchiveOfTheDistributionsCpioIsRead(t *testing.T) {
	tool, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("no cpio command here")
	}
	src := t.TempDir()
	if err := os.MkdirAll(filepath.Join(src, "x/y"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(src, "x/y/z"), bytes.Repeat([]byte("abc"), 10001), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tool, "-o", "-H", "newc", "--quiet")
	cmd.Dir, cmd.Stdin = src, strings.NewReader(".\nx\nx/y\nx/y/z\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	dir, _, err := unpack(t, string(out))
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(filepath.Join(dir, "x/y/z")); err != nil || fi.Size() != 30003 {
		t.Errorf("x/y/z is %v, %v", fi, err)
	}
}

func TestAHostileArchiveIsRefused(t *testing.T) {
	whole := entry(0o100644, "a", "hello world")
	cases := map[string]string{
		"no trailer":                     whole,
		"cut in a header":                whole[:50],
		"cut in a name":                  whole[:111],
		"cut in the data":                whole[:len(whole)-8],
		"empty":                          "",
		"a name that climbs":             entry(0o100644, "../a", "x") + end,
		"a name that climbs in between":  entry(0o100644, "a/../../b", "x") + end,
		"a device node":                  entry(0o020644, "null", "") + end,
		"a folder with data":             entry(0o040755, "d", "x") + end,
		"a file through a link outside":  entry(0o120777, "l", "/etc") + entry(0o100644, "l/pw", "x") + end,
		"a file through a link above":    entry(0o120777, "l", "..") + entry(0o100644, "l/pw", "x") + end,
		"a size beyond all bounds":       strings.Replace(whole, "0000000B", "7FFFFFFF", 1) + end,
		"a name beyond all bounds":       strings.Replace(whole, "00000002", "00FFFFFF", 1) + end,
		"a wrong magic":                  "070707" + whole[6:] + end,
		"a field that is no number":      whole[:6] + "ZZZZZZZZ" + whole[14:] + end,
		"a name with a zero byte inside": entry(0o100644, "a\x00b", "x") + end,
		"a file where a folder is":       entry(0o040755, "d/e", "") + entry(0o100644, "d", "x") + end,
	}
	for name, archive := range cases {
		dir, n, err := unpack(t, archive)
		if err == nil {
			t.Errorf("%s: Unpack = %d entries, no error", name, n)
		}
		if _, err := os.Lstat(filepath.Join(filepath.Dir(dir), "a")); err == nil {
			t.Errorf("%s: something was written outside the root", name)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte(entry(0o040755, "lib", "") + entry(0o100755, "lib/a", "hello") + entry(0o120777, "b", "lib/a") + end))
	f.Add([]byte(entry(0o120777, "l", "..") + entry(0o100644, "l/pw", "x") + end))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		outer := t.TempDir()
		inner := filepath.Join(outer, "in")
		if err := os.Mkdir(inner, 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(inner)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		_, _ = cpio.Unpack(bytes.NewReader(b), root)
		left, err := fs.ReadDir(os.DirFS(outer), ".")
		if err != nil || len(left) != 1 {
			t.Errorf("outside the root there is now %v (%v)", left, err)
		}
	})
}
