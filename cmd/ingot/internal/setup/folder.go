package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrStrange says that a folder holds something that is not Ingot's.
var ErrStrange = errors.New("it holds something that is not Ingot's")

// Claim makes the data folder, or takes one over, for a user: the service must be able to open every file in it. The
// group may enter and list nothing; nobody else may enter. A folder with other things in it is not touched.
func Claim(dir string, uid, gid int) error {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := os.MkdirAll(dir, 0o710); err != nil {
			return fmt.Errorf("make data folder: %w", err)
		}
	case err != nil:
		return fmt.Errorf("data folder: %w", err)
	case len(entries) > 0 && !ours(entries):
		return fmt.Errorf("data folder %s: %w", dir, ErrStrange)
	}
	if err := os.Chmod(dir, 0o710); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}

// ours reports whether a folder was Ingot's before: each of its folders begins with the lock or the boot bundle.
func ours(entries []fs.DirEntry) bool {
	for _, e := range entries {
		switch e.Name() {
		case "ingot.lock", "ingot.db", "boot":
			return true
		}
	}
	return false
}
