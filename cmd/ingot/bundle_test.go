package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"ingot/firmware"
)

// keepBundle lays a bundle of format 1 into a boot folder, with a stage 2 of its own, and returns its name.
func keepBundle(t *testing.T, dir, kernel, stage2 string) string {
	t.Helper()
	r := firmware.Record{Version: 1, KernelVersion: kernel}
	temp := t.TempDir()
	for _, name := range []string{firmware.Shim, firmware.Grub, firmware.Undionly, firmware.Kernel, firmware.Stage1, firmware.Stage2, firmware.HTTPBoot} {
		body := kernel + " " + name
		if name == firmware.Stage2 {
			body = stage2
		}
		sum := sha256.Sum256([]byte(body))
		r.Files = append(r.Files, firmware.Entry{Name: name, Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:])})
		if err := os.WriteFile(filepath.Join(temp, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	name := "bundle-" + hex.EncodeToString(sum[:8])
	if err := errors.Join(os.WriteFile(filepath.Join(temp, "bundle.json"), raw, 0o644), os.Rename(temp, filepath.Join(dir, name))); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestALaptopGetsTheDriversOfItsOwnKernel: one that started a moment before the switch goes on with the old ones.
func TestALaptopGetsTheDriversOfItsOwnKernel(t *testing.T) {
	b := &bundle{dir: t.TempDir()}
	keepBundle(t, b.dir, "6.1.0-1-amd64", "old drivers")
	now := keepBundle(t, b.dir, "6.1.0-2-amd64", "new drivers")
	if err := os.Symlink(now, filepath.Join(b.dir, "current")); err != nil {
		t.Fatal(err)
	}
	if b.Current() != now {
		t.Errorf("Current = %s; want %s", b.Current(), now)
	}
	for kernel, want := range map[string]string{"6.1.0-1-amd64": "old drivers", "6.1.0-2-amd64": "new drivers", "": "new drivers", "5.10-strange": "new drivers"} {
		f, err := b.Stage2(kernel)
		if err != nil {
			t.Fatal(err)
		}
		r, err := b.OpenStage2(f.SHA256)
		if err != nil {
			t.Fatalf("kernel %q: %v", kernel, err)
		}
		got, err := io.ReadAll(r)
		if errors.Join(err, r.Close()) != nil || string(got) != want {
			t.Errorf("kernel %q gets %q, %v; want %q", kernel, got, err, want)
		}
	}
	if _, err := b.OpenStage2(hex.EncodeToString(make([]byte, 32))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenStage2 of a stranger's digest = %v; want not exist", err)
	}
}
