package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"ingot/firmware"
	"ingot/imaging/job"
	"ingot/pxe"
)

// bundle serves the current boot bundle, and follows when another one was built while the daemon runs.
type bundle struct {
	dir string // DATA/boot

	mu     sync.Mutex
	target string // what "current" pointed to when open was opened
	open   *firmware.Bundle
}

// now gives the current bundle.
func (b *bundle) now() (*firmware.Bundle, error) {
	target, err := os.Readlink(filepath.Join(b.dir, "current"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("find boot bundle: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open != nil && b.target == target {
		return b.open, nil
	}
	opened, err := firmware.Open(b.dir)
	if errors.Is(err, firmware.ErrNoBundle) {
		return nil, errors.Join(os.ErrNotExist, job.Faultf(job.CodeDaemon, "There is no boot bundle: run \"ingot firmware build\"."))
	}
	if err != nil {
		return nil, err
	}
	b.open, b.target = opened, target
	return opened, nil
}

// Stage2 implements deploy.Boot.
func (b *bundle) Stage2() (job.File, error) {
	fw, err := b.now()
	if err != nil {
		return job.File{}, err
	}
	sum, n := fw.Stage2()
	return job.File{SHA256: sum, Size: n}, nil
}

// OpenStage2 implements deploy.Boot.
func (b *bundle) OpenStage2() (io.ReadSeekCloser, error) { return b.Open(firmware.Stage2) }

// bootFile is a bundle's file with its size as a method.
type bootFile struct{ *firmware.File }

// Size implements pxe.File.
func (f bootFile) Size() int64 { return f.File.Size }

// Open implements pxe.Files.
func (b *bundle) Open(name string) (pxe.File, error) {
	fw, err := b.now()
	if err != nil {
		return nil, err
	}
	f, err := fw.Open(name)
	if err != nil {
		return nil, err
	}
	return bootFile{f}, nil
}

// HTTPBootTemplate implements pxe.Files; without a bundle there is nothing to serve it from either.
func (b *bundle) HTTPBootTemplate() (offset, size int64) {
	fw, err := b.now()
	if err != nil {
		return 0, 0
	}
	at, n := fw.HTTPBootTemplate()
	return at, int64(n)
}
