package inspect

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/imaging"
)

// counted counts the bytes that are read of a volume.
type counted struct {
	*os.File
	size, read int64
}

func (c *counted) ReadAt(b []byte, off int64) (int, error) {
	c.read += int64(len(b))
	return c.File.ReadAt(b, off)
}
func (c *counted) Size() int64 { return c.size }
func (c *counted) Header() imaging.Header {
	return imaging.Header{Table: "none", SectorSize: 512, DiskSize: uint64(c.size)}
}

// TestALookEndsAtItsBudget: an image may make one look read for ever; a look reads so much and says so.
func TestALookEndsAtItsBudget(t *testing.T) {
	tree, path := t.TempDir(), filepath.Join(t.TempDir(), "volume")
	if err := os.MkdirAll(filepath.Join(tree, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "etc/os-release"), []byte("ID=x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-d", tree, path, "16M").CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4: %v: %s", err, out)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := &counted{File: f, size: 16 << 20}
	if _, err := Look(context.Background(), d, Options{}); err != nil {
		t.Fatal(err)
	}
	limit := d.read * 9 / 10
	d.read = 0
	r, err := Look(context.Background(), d, Options{limit: limit})
	if err != nil || d.read > limit {
		t.Errorf("%d bytes read, %v; want at most %d", d.read, err, limit)
	}
	last := r.Findings[len(r.Findings)-1]
	if last.Check != "look-inside" || last.Severity != Yellow || !strings.Contains(last.Fact, "too much to read") {
		t.Errorf("last finding %+v; want it told", last)
	}
}
