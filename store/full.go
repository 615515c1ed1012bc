package store

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"ingot/imaging/job"
)

// full turns "no space" into the words for it and leaves other errors alone. bbolt tells the reason of a failed
// growth as text only.
func full(err error) error {
	if err == nil {
		return nil
	}
	for _, no := range []error{unix.ENOSPC, unix.EDQUOT} {
		if errors.Is(err, no) || strings.Contains(err.Error(), no.Error()) {
			return fmt.Errorf("%w: %w", err, job.Faultf(job.CodeFull, ""))
		}
	}
	return err
}

// Full reports whether the last write found no room. Nothing of it was kept, and what was there before is whole; the
// next write that finds room ends it.
func (db *DB) Full() bool { return db.full.Load() }

// Probe takes the right to write and gives it back: it ends only while transactions come and go as they should.
// Nothing is written.
func (db *DB) Probe() error {
	tx, err := db.b.Begin(true)
	if err != nil {
		return fmt.Errorf("probe the database: %w", err)
	}
	return tx.Rollback()
}
