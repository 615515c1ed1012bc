package agent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"ingot/imaging/job"
)

// reportEvery is the beat of screen and progress.
const reportEvery = 500 * time.Millisecond

// reporter keeps screen, daemon and serial console informed of one deployment, and hears the wish to cancel.
type reporter struct {
	d      *deployment
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	seq   uint64
	over  bool // from committing on: the disk is finished, not cancelled
	state job.State
	asks  *notice   // shown instead of the state, while it waits for a person
	acked time.Time // the daemon's last word that the job is still wanted
	meter meter
	tenth uint64 // of the bar, last told on the console
}

func newReporter(d *deployment, cancel context.CancelCauseFunc) *reporter {
	return &reporter{d: d, cancel: cancel, acked: d.received}
}

// notice is what stands on the screen while the laptop waits for a person.
type notice struct {
	word, sentence, next string
	fault                job.Code
	lines                []string
}

// ask shows a notice; nil goes back to the state.
func (r *reporter) ask(n *notice) {
	r.mu.Lock()
	r.asks = n
	r.mu.Unlock()
	r.show(time.Now())
}

// confirmed is when the daemon last said that the job is still wanted.
func (r *reporter) confirmed() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acked
}

var errStop = job.Faultf(job.CodeCancelled, "")

// enter reports a state. A wish to cancel that comes with the acknowledgement means that the state was not
// taken.
func (r *reporter) enter(ctx context.Context, s job.State) error {
	r.mu.Lock()
	r.seq++
	r.over = r.over || !r.d.job.Kind.MayFollow(s, job.Cancelled)
	e := job.StateEvent{Seq: r.seq, State: s}
	if s == job.Invalidated || s == job.Reading {
		e.Found = &r.d.found
	}
	r.mu.Unlock()
	ack, err := r.d.agent.Daemon.State(ctx, r.d.job.ID, e)
	if err != nil {
		return fmt.Errorf("report %s: %w", s, err)
	}
	if ack.Seq != e.Seq {
		return job.Faultf(job.CodeProtocol, "The server acknowledged event %d, not %d.", ack.Seq, e.Seq)
	}
	if ack.Cancel {
		return errStop
	}
	r.mu.Lock()
	r.state = s
	r.mu.Unlock()
	r.show(time.Now())
	return nil
}

// start begins the beat; the returned function ends it and waits for it.
func (r *reporter) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	latest := make(chan job.Progress, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(reportEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				p := r.show(now)
				select { // a daemon that is slow gets the newest, not all
				case <-latest:
				default:
				}
				latest <- p
			}
		}
	})
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case p := <-latest:
				r.send(ctx, p)
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

// send reports progress. That it got lost is no matter, except that a wish to cancel came with the answer.
func (r *reporter) send(ctx context.Context, p job.Progress) {
	ack, err := r.d.agent.Daemon.Progress(ctx, r.d.job.ID, p)
	if err != nil {
		r.d.agent.Log.Debug().Err(err).Msg("progress was not reported")
		return
	}
	r.mu.Lock()
	may := !r.over
	if !ack.Cancel {
		r.acked = time.Now()
	}
	r.mu.Unlock()
	if ack.Cancel && may {
		r.cancel(errStop)
	}
}

// show draws the present state and returns it as Progress.
func (r *reporter) show(now time.Time) job.Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.d
	look := d.job.Kind.Look(r.state)
	p := job.Progress{Phase: look.Word, SecondsLeft: -1, FetchedBytes: d.progress.Fetched.Load()}
	v := View{Word: look.Word, Colour: look.Colour, Name: d.job.DeviceName, Bar: -1, Left: -1, SafeTo: look.SafeTo, Lines: []string{subject(d.job)}}
	if n := r.asks; n != nil {
		v.Word, v.Colour, v.Sentence, v.Next, v.Fault, v.Lines = n.word, Yellow, n.sentence, n.next, n.fault, append(v.Lines, n.lines...)
		p.Say = n.word + ": " + n.sentence
	}
	if r.state == job.Writing || r.state == job.Flushed {
		h := d.manifest.Header()
		p.TotalBytes = h.DataBytes + h.ZeroBytes
		p.DoneBytes = (d.progress.Done.Load() + d.progress.Proven.Load()) / 2 // written is half of the way, proven the other
		p.BytesPerSec = r.meter.rate(now, p.DoneBytes)
		p.SecondsLeft = left(p)
		v.Bar, v.Rate, v.Left = fraction(p.DoneBytes, p.TotalBytes), p.BytesPerSec, time.Duration(p.SecondsLeft)*time.Second
		r.tell(p)
	}
	if c := d.source.progress.Load(); c != nil && r.state == job.Reading {
		p.DoneBytes, p.TotalBytes, p.BytesPerSec, p.SecondsLeft = c.Done, c.Total, uint64(c.BytesPerSec), c.SecondsLeft
		v.Bar, v.Rate, v.Left = fraction(p.DoneBytes, p.TotalBytes), p.BytesPerSec, time.Duration(p.SecondsLeft)*time.Second
		r.tell(p)
	}
	if r.state == job.WipeBegun {
		d.wipes.show(&p, &v)
	}
	if up := d.source.upload.Load(); up != nil {
		p.FetchedBytes = up.Sent.Load()
	}
	d.agent.show(v)
	return p
}

// subject is what a job is about, in a few words.
func subject(j job.Job) string {
	if j.Kind == job.Wipe && j.Wipe != nil {
		return fmt.Sprintf("wipe, drives: %d", len(j.Wipe.Drives))
	}
	if j.Kind == job.Capture {
		return fmt.Sprintf("drive %s into %s", j.Target.Serial, j.Image.Name)
	}
	return j.Image.String()
}

// tell puts each tenth of the way on the serial console.
func (r *reporter) tell(p job.Progress) {
	if t := uint64(10 * fraction(p.DoneBytes, p.TotalBytes)); t > r.tenth {
		r.tenth = t
		r.d.agent.Say(fmt.Sprintf("%s %d%%", r.d.job.Kind.Look(r.state).Word, 10*t))
	}
}

func fraction(done, total uint64) float64 {
	if total == 0 {
		return 1
	}
	return min(1, float64(done)/float64(total))
}

// left is the time that the rest takes at the present rate, in seconds; -1 when there is no rate.
func left(p job.Progress) int {
	if p.BytesPerSec == 0 || p.DoneBytes > p.TotalBytes {
		return -1
	}
	return int(min((p.TotalBytes-p.DoneBytes)/p.BytesPerSec, 1<<30))
}

// meter smooths a rate over about five seconds.
type meter struct {
	at    time.Time
	done  uint64
	speed float64
}

func (m *meter) rate(now time.Time, done uint64) uint64 {
	dt := now.Sub(m.at).Seconds()
	if m.at.IsZero() || done < m.done {
		m.at, m.done = now, done
		return 0
	}
	if dt < 0.2 {
		return uint64(m.speed)
	}
	speed := float64(done-m.done) / dt
	if m.speed == 0 {
		m.speed = speed
	} else {
		k := min(1, dt/5)
		m.speed += k * (speed - m.speed)
	}
	m.at, m.done = now, done
	return uint64(m.speed)
}
