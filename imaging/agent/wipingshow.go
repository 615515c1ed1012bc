package agent

import (
	"errors"
	"fmt"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
)

func (e *erasure) set(word, say string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.word, e.say = word, say
}

// show takes the engine's progress. It gives the tenth that was reached just now, 0 for none.
func (e *erasure) show(p wipe.Progress) (tenth uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.Phase != e.shown.Phase {
		e.told = 0
	}
	e.shown, e.word, e.say = p, string(p.Phase), p.Technique.Does()
	if p.Total == 0 {
		return 0
	}
	if n := uint64(10 * fraction(p.Done, p.Total)); n > e.told {
		e.told, tenth = n, n
	}
	return tenth
}

// tellOf puts each tenth of a drive's way on the console.
func (a *Agent) tellOf(e *erasure, tenth uint64) {
	if tenth > 0 {
		a.Say(fmt.Sprintf("drive %s %s %d%%", printable(e.target.Serial), e.progress().Phase, 10*tenth))
	}
}

func (e *erasure) finish(o wipe.Outcome, ack job.DriveAck) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.finished, e.outcome, e.cert, e.fault = true, o, ack.Certificate, ack.Fault
	if e.word, e.say = "done", "certificate "+ack.Certificate; ack.Certificate == "" {
		e.word, e.say = "failed", faultText(ack.Fault)
	}
}

// progress is what screen and board show of one drive. "Done" stands there only with a certificate.
func (e *erasure) progress() job.DriveProgress {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := job.DriveProgress{Serial: e.target.Serial, Phase: e.word, Say: e.say, DoneBytes: e.shown.Done, TotalBytes: e.shown.Total, SecondsLeft: -1}
	if e.shown.Left > 0 {
		p.SecondsLeft = int(e.shown.Left / time.Second)
	}
	if e.finished {
		p.DoneBytes, p.TotalBytes, p.SecondsLeft = 1, 1, 0
	}
	return p
}

// end is how the wipe ended by what the daemon has stored.
func (w *erasures) end() error {
	var open, failed []string
	for _, e := range w.drives {
		switch {
		case e.cert != "":
		case e.finished && (e.outcome == wipe.Refused || e.outcome == wipe.Failed), !e.finished && !e.begun && !e.target.Begun:
			failed = append(failed, e.target.Serial)
		default:
			open = append(open, e.target.Serial)
		}
	}
	switch {
	case len(open) > 0:
		return job.Faultf(job.CodeUnsettled, "Drives: %q.", append(open, failed...))
	case len(w.drives) == 1 && w.drives[0].fault != nil:
		return w.drives[0].fault
	case len(failed) > 0:
		return job.Faultf(job.CodeNotWiped, "Drives: %q.", failed)
	}
	return nil
}

// lines are the drives of a wipe as the screen lists them.
func (w *erasures) lines() (out []string) {
	for _, e := range w.drives {
		out = append(out, driveLine(e.progress(), e.isFinished()))
	}
	return out
}

// driveLine is one drive on the screen, in the words of its board.
func driveLine(p job.DriveProgress, finished bool) string {
	s := fmt.Sprintf("drive %s: %s", p.Serial, p.Phase)
	if p.TotalBytes > 0 && !finished {
		s += fmt.Sprintf(" %d %%", int(100*fraction(p.DoneBytes, p.TotalBytes)))
		if p.SecondsLeft > 0 {
			s += ", " + job.LeftWord(time.Duration(p.SecondsLeft)*time.Second)
		}
	}
	if p.Say != "" {
		s += ", " + p.Say
	}
	return s
}

func (e *erasure) isFinished() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.finished
}

// show adds the drives to what screen and board show: each by itself, and together the slowest.
func (w *erasures) show(p *job.Progress, v *View) {
	if len(w.drives) == 0 {
		return
	}
	least := 1.0
	for _, e := range w.drives {
		dp := e.progress()
		p.Drives = append(p.Drives, dp)
		p.SecondsLeft = max(p.SecondsLeft, dp.SecondsLeft)
		if dp.TotalBytes > 0 {
			least = min(least, fraction(dp.DoneBytes, dp.TotalBytes))
		} else {
			least = 0
		}
	}
	p.DoneBytes, p.TotalBytes = uint64(1000*least), 1000
	v.Bar, v.Left, v.Lines = least, time.Duration(p.SecondsLeft)*time.Second, append(v.Lines, w.lines()...)
}

func (w *erasures) close() (err error) {
	for _, e := range w.drives {
		if e.port != nil {
			err = errors.Join(err, e.port.Close())
		}
	}
	return err
}
