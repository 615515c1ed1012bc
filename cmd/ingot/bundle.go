package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"ingot/firmware"
	"ingot/imaging/job"
	"ingot/pxe"
	"ingot/store"
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
func (b *bundle) Stage2(kernel string) (job.File, error) {
	fw, err := b.now()
	if err != nil {
		return job.File{}, err
	}
	if kernel != "" && kernel != fw.Record().KernelVersion {
		if old, err := firmware.OpenKernel(b.dir, kernel); err == nil {
			fw = old
		}
	}
	sum, n := fw.Stage2()
	return job.File{SHA256: sum, Size: n}, nil
}

// OpenStage2 implements deploy.Boot. It is looked for in the present bundle first, then in those that are kept for
// whoever started before the switch.
func (b *bundle) OpenStage2(sha256 string) (io.ReadSeekCloser, error) {
	fw, err := b.now()
	if err != nil {
		return nil, err
	}
	if sum, _ := fw.Stage2(); sum == sha256 {
		return fw.Open(firmware.Stage2)
	}
	held, err := firmware.List(b.dir)
	if err != nil {
		return nil, err
	}
	for _, h := range held {
		old, err := firmware.OpenNamed(b.dir, h.Name)
		if err != nil {
			continue
		}
		if sum, _ := old.Stage2(); sum == sha256 {
			return old.Open(firmware.Stage2)
		}
	}
	return nil, fmt.Errorf("stage 2 %.12s: %w", sha256, os.ErrNotExist)
}

// Current implements deploy.Boot.
func (b *bundle) Current() string {
	fw, err := b.now()
	if err != nil {
		return ""
	}
	return fw.Name()
}

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

// tidyEvery is how often the daemon removes bundles that nobody refers to any more.
const tidyEvery = 10 * time.Minute

// tidy removes them, now and then, until ctx ends.
func (b *bundle) tidy(every time.Duration, uses func(context.Context) ([]store.BundleUse, error), log zerolog.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			err := firmware.Prune(ctx, b.dir, func(ctx context.Context) ([]string, error) {
				all, err := uses(ctx)
				return namesOf(all), err
			})
			if err != nil && ctx.Err() == nil {
				log.Warn().Err(err).Msg("old boot bundles were not removed")
			}
		}
	}
}

func namesOf(uses []store.BundleUse) (out []string) {
	for _, u := range uses {
		out = append(out, u.Bundle)
	}
	return out
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
