package library

import (
	"ingot/store"
)

// phaseTeller turns counted bytes into progress of one phase with rate and time left, a few times a second.
func phaseTeller(phase string, tell func(store.Work)) func(done, total uint64) {
	p := teller(tell)
	return func(done, total uint64) { p(phase, done, total) }
}
