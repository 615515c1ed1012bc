package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// CacheDir is where the lab keeps what is dear to make: ${XDG_CACHE_HOME:-~/.cache}/ingot.
func CacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	return filepath.Join(base, "ingot"), nil
}

// Workspace is a folder for one run of the lab. It is locked while its owner lives.
type Workspace struct {
	Dir  string
	lock *os.File
}

// NewWorkspace makes a folder under root and removes those of runs that ended without clearing up.
func NewWorkspace(root string) (*Workspace, error) {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	old, err := filepath.Glob(filepath.Join(root, "run-*"))
	if err != nil {
		return nil, err
	}
	for _, dir := range old {
		if err := removeIfOwnerless(dir); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp(root, "run-")
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	return &Workspace{Dir: dir, lock: lock}, nil
}

// Close removes the folder with all that is in it.
func (w *Workspace) Close() error {
	err := os.RemoveAll(w.Dir)
	return errors.Join(err, w.lock.Close())
}

func removeIfOwnerless(dir string) error {
	lock, err := lockDir(dir)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil // another run is using it
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	return os.RemoveAll(dir)
}

// lockDir takes the folder's lock without waiting. The kernel lets go of it when the process ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}
