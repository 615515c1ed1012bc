package wipe

import "time"

// How long a sanitize is waited for.
const (
	startGrace  = 10 * time.Second    // a log may still show the old result just after the command was taken
	silentGrace = 2 * time.Minute     // a controller that resets itself comes back
	stallTime   = time.Hour           // without any progress, if the drive did not say that it takes longer
	longest     = 14 * 24 * time.Hour // whatever a drive says: some overwrite themselves for days, none for weeks
	pollFirst   = 100 * time.Millisecond
	pollMost    = 5 * time.Second
)

// standing is what a drive's record of a sanitize says, as far as it is about ours.
type standing int

const (
	standsOld     standing = iota // nothing, or an older result
	standsRunning                 // ours runs
	standsForeign                 // another one runs
	standsDone
	standsFailed
)

// reading is one look at the record.
type reading struct {
	standing standing
	progress uint16 // of 65536
	raw      string
}

// watch looks at the drive's record until it says how our run ended. It never gives up because a person does: the
// drive cannot be stopped. expected is the drive's own estimate, 0 for none.
func (r *run) watch(expected time.Duration, ask func() (reading, error)) *end {
	start := r.Clock.Now()
	moved, heard, known := start, start, start // known: when its record was last about our run
	expected = min(expected, longest/2)
	var last reading
	for wait := pollFirst; ; wait = min(wait*3/2, pollMost) {
		rd, err := ask()
		now := r.Clock.Now()
		if err != nil {
			r.at.raw("status", "%v", err)
			if now.Sub(heard) > silentGrace {
				return ended(Indeterminate, CauseNoAnswer, "the drive stopped answering: %v", err)
			}
			r.Clock.Sleep(wait)
			continue
		}
		heard = now
		if rd.standing != standsOld {
			known = now
		}
		if rd != last {
			r.at.raw("status", "%s", rd.raw)
			moved, last = now, rd
		}
		switch rd.standing {
		case standsDone:
			return nil
		case standsFailed:
			return ended(Failed, CauseDriveFailed, "the drive says that it failed: %s", rd.raw)
		case standsForeign:
			return ended(Indeterminate, CauseBusy, "another sanitize runs: %s", rd.raw)
		case standsRunning:
			r.show(Wiping, uint64(rd.progress), 1<<16, timeLeft(now.Sub(r.began), rd.progress, expected))
			switch {
			case now.Sub(moved) > max(stallTime, 2*expected):
				return ended(Indeterminate, CauseTimeout, "no progress since %s: %s", moved.UTC().Format(time.RFC3339), rd.raw)
			case now.Sub(start) > longest:
				return ended(Indeterminate, CauseTimeout, "it runs since %s: %s", start.UTC().Format(time.RFC3339), rd.raw)
			}
		default:
			if now.Sub(known) > startGrace {
				return ended(Indeterminate, CauseOldResult, "the drive's record is not about this run: %s", rd.raw)
			}
		}
		r.Clock.Sleep(wait)
	}
}

// timeLeft prefers what was measured to what the drive expected.
func timeLeft(elapsed time.Duration, progress uint16, expected time.Duration) time.Duration {
	if progress > 1<<16/50 {
		return left(elapsed, uint64(progress), 1<<16)
	}
	if expected > elapsed {
		return expected - elapsed
	}
	return -1
}
