package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"ingot/imaging/deploy"
	"ingot/store"
)

const (
	roomEvery  = 2 * time.Second
	roomFull   = 1 << 20 // fewer free bytes are a full disk
	roomEnough = 8 << 20 // so many end it
)

// room knows whether the disk under the data folder is full. While it is, nothing new is begun: no machine boots, for
// neither its start nor its Hello could be recorded, and no new address is given. What runs goes on as far as it
// needs no record. It ends by itself.
type room struct {
	dir     string
	db      *store.DB
	service *deploy.Service
	log     zerolog.Logger
	status  func(string)

	full  atomic.Bool
	since time.Time
}

// run looks at the room until ctx ends.
func (r *room) run(ctx context.Context) error {
	tick := time.NewTicker(roomEvery)
	defer tick.Stop()
	for {
		r.look(time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (r *room) look(now time.Time) {
	free, err := freeBytes(r.dir)
	if err != nil {
		return // it is looked at again; a write that fails tells more
	}
	switch full := r.full.Load(); {
	case !full && (r.db.Full() || free < roomFull):
		r.since = now
		r.full.Store(true)
		r.log.Error().Int64("free", free).Msgf("the disk of the server is full: make room in the file system of %s; until then no laptop boots and nothing new is recorded; what was recorded is safe", r.dir)
		r.status("the disk is full: no laptop boots until there is room")
	case full && free >= roomEnough:
		if err := r.service.Note("disk", fmt.Sprintf("The disk was full from %s to %s.", clockText(r.since), clockText(now))); err != nil {
			return // not enough yet
		}
		r.full.Store(false)
		r.log.Warn().Int64("free", free).Msg("there is room on the disk again: the daemon goes on")
		r.status("")
	}
}

// freeBytes is the room that a program may use in the file system of a folder.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("free room of %s: %w", dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}
