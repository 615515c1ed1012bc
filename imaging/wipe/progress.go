package wipe

import "time"

// Progress is what a screen and a board show.
type Progress struct {
	Phase     Phase         `json:"phase"`
	Technique Technique     `json:"technique"`
	Done      uint64        `json:"done"` // of Total, in no particular unit
	Total     uint64        `json:"total"`
	Left      time.Duration `json:"left"` // -1: unknown
}

// Phase is a word for people.
type Phase string

// The phases.
const (
	Looking  Phase = "looking"
	Wiping   Phase = "wiping"
	Checking Phase = "checking"
)

func (r *run) show(p Phase, done, total uint64, left time.Duration) {
	r.Show(Progress{Phase: p, Technique: r.step.Technique, Done: done, Total: total, Left: left})
}

// shown makes a step function that shows every 64th step and guesses the time left.
func (r *run) shown(p Phase) func(done, total int) {
	return func(done, total int) {
		if done%64 == 0 {
			r.show(p, uint64(done), uint64(total), left(r.Clock.Now().Sub(r.began), uint64(done), uint64(total)))
		}
	}
}

// left guesses from what was done so far.
func left(elapsed time.Duration, done, total uint64) time.Duration {
	if done == 0 || total <= done {
		return -1
	}
	return time.Duration(float64(elapsed) * float64(total-done) / float64(done))
}
