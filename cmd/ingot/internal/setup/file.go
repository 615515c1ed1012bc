package setup

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Write puts a file in its place whole or not at all, and keeps the one that was there as path.old. It reports
// whether anything changed.
func Write(path string, text []byte, mode os.FileMode) (changed bool, err error) {
	old, err := os.ReadFile(path)
	switch {
	case err == nil && bytes.Equal(old, text):
		return false, nil
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return false, fmt.Errorf("read %s: %w", path, err)
	}
	there := err == nil
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, fmt.Errorf("write %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return false, fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // after the rename there is nothing left to remove
	_, err = f.Write(text)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return false, fmt.Errorf("write %s: %w", path, err)
	}
	if there {
		if err := keep(path); err != nil {
			return false, err
		}
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return false, fmt.Errorf("write %s: %w", path, err)
	}
	return true, syncDir(filepath.Dir(path))
}

// keep gives the file a second name, so that at no time it has none.
func keep(path string) error {
	if err := os.Remove(path + ".old"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("keep %s: %w", path, err)
	}
	if err := os.Link(path, path+".old"); err != nil {
		return fmt.Errorf("keep %s: %w", path, err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return errors.Join(d.Sync(), d.Close())
}
