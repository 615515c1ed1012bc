package deploy_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"ingot/imaging/job"
	"ingot/store"
)

// maybeFull lets the disk of the server be full now and then, for as long as it takes: from some page of its database on no
// write is taken, so that a transaction fails at any of its writes. When room is back, whoever asks again is answered.
func (w *wipeRun) maybeFull() {
	switch {
	case w.full && w.rnd.IntN(3) == 0:
		w.room()
	case !w.full && w.rnd.IntN(25) == 0:
		fi, err := os.Stat(filepath.Join(w.b.dir, "ingot.db"))
		must(w.t, err)
		const page = 4096
		pages := uint64(fi.Size()) / page
		at := uint64(2) // behind the two heads
		if w.rnd.IntN(2) == 0 {
			at += w.rnd.Uint64N(pages)
		}
		w.full = true
		w.limit(at * page)
	}
}

// room gives the disk its room back.
func (w *wipeRun) room() {
	if w.full {
		w.full = false
		w.limit(unix.RLIM_INFINITY)
	}
}

// limit is the length that no file of this process may have more of.
func (w *wipeRun) limit(n uint64) {
	var r unix.Rlimit
	must(w.t, unix.Getrlimit(unix.RLIMIT_FSIZE, &r))
	r.Cur = min(n, r.Max)
	must(w.t, unix.Setrlimit(unix.RLIMIT_FSIZE, &r))
}

// noRoom reports whether a request was refused for want of room, which a laptop hears as "ask again". At that moment nobody
// may read more than what is stored: done only with a Certificate, and nothing of the write that was refused.
func (w *wipeRun) noRoom(err error) bool {
	if !w.full || !strings.Contains(err.Error(), unix.EFBIG.Error()) { // bbolt tells of a failed growth as text only
		return false
	}
	w.refused++
	ctx := context.Background()
	d := w.b.device(w.device)
	list, err := w.b.s.Certificates(ctx, w.device)
	must(w.t, err)
	board, err := w.b.s.Board(ctx)
	must(w.t, err)
	clean := len(list) > 0
	for _, tile := range board.Tiles {
		if tile.Device == w.device && tile.Word == job.Wipe.Look(job.Done).Word && !clean {
			w.t.Errorf("%s: the board says %q without a certificate", w.device, tile.Word)
		}
	}
	if d.State == store.Ready && !clean {
		w.t.Errorf("%s is ready without a certificate while the disk is full", w.device)
	}
	if j := d.Job; j != nil && j.Wipe != nil {
		for _, x := range j.Wipe.Drives {
			if x.End == store.DriveClosed && !clean || j.State == job.Done && !clean {
				w.t.Errorf("%s: job %s, drive %s without a certificate", w.device, j.State, x.End)
			}
		}
	}
	return true
}
