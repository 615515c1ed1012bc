package deploy_test

import (
	"context"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// tile gives a laptop's tile, or nil.
func (b *bench) tile(device string) *store.Tile {
	b.t.Helper()
	board, err := b.s.Board(context.Background())
	must(b.t, err)
	for _, t := range board.Tiles {
		if t.Device == device {
			return &t
		}
	}
	return nil
}

func (b *bench) counts() store.BoardCounts {
	b.t.Helper()
	board, err := b.s.Board(context.Background())
	must(b.t, err)
	return board.Counts
}

// wantTile checks how a laptop stands on the board.
func wantTile(t *testing.T, what string, got *store.Tile, word string, colour job.Colour, act store.BoardAct) {
	t.Helper()
	if got == nil {
		t.Errorf("%s: no tile; want %q", what, word)
		return
	}
	if got.Word != word || got.Colour != colour || got.Act != act {
		t.Errorf("%s: %q, %s, %q; want %q, %s, %q", what, got.Word, got.Colour, got.Act, word, colour, act)
	}
}

// TestTheBoardShowsALaptopFromItsCodeToItsEnd: at each point the word that its screen shows, and what a person does now.
func TestTheBoardShowsALaptopFromItsCodeToItsEnd(t *testing.T) {
	b := newBench(t)
	l := b.laptop("ABC1234")
	l.boot()
	code := l.sayHello().Code
	id := b.device("ABC1234").ID
	l.next()
	wantTile(t, "a new one", b.tile(id), "waiting", job.Yellow, store.ActAdopt)
	if got := b.tile(id); got.Code != code || !got.Here {
		t.Errorf("its code is %q, here %v; want %q", got.Code, got.Here, code)
	}
	_, err := b.s.Adopt(context.Background(), "anna", store.Adoption{Code: code, Name: "SALES-01"})
	must(t, err)
	wantTile(t, "adopted", b.tile(id), "waiting", job.Yellow, store.ActOrder)
	b.order("SALES-01")
	wantTile(t, "ordered, and here", b.tile(id), "starting", job.Grey, store.ActNone)
	j := l.work()
	l.reach(j, job.Claimed)
	wantTile(t, "claimed", b.tile(id), "checking the laptop", job.Blue, store.ActNone)
	if got := b.tile(id).SafeTo; got != job.UnplugAllowed {
		t.Errorf("before the first write: %q", got)
	}
	_, err = l.c.Progress(context.Background(), j.ID, job.Progress{Phase: "checking the laptop", SecondsLeft: -1, Say: "plug in: The battery is low."})
	must(t, err)
	wantTile(t, "it wants its charger", b.tile(id), "plug in", job.Yellow, store.ActHelp)
	_, err = l.c.Progress(context.Background(), j.ID, job.Progress{Phase: "writing", DoneBytes: 1 << 20, TotalBytes: 4 << 20, BytesPerSec: 1e8, SecondsLeft: 7})
	must(t, err)
	for _, s := range []job.State{job.Invalidated, job.Writing} {
		l.seq++
		_, err := l.c.State(context.Background(), j.ID, job.StateEvent{Seq: l.seq, State: s})
		must(t, err)
	}
	wantTile(t, "writing", b.tile(id), "writing", job.Blue, store.ActNone)
	if got := b.tile(id); got.Percent != 25 || got.Rate != 1e8 || got.Left != 7 || got.SafeTo != job.KeepPlugged || got.What != "sales@1" {
		t.Errorf("writing: %+v", got)
	}
	b.clk.pass(40 * time.Second)
	wantTile(t, "silent", b.tile(id), "not heard", job.Yellow, store.ActHelp)
	_, err = l.c.Progress(context.Background(), j.ID, job.Progress{Phase: "writing", DoneBytes: 2 << 20, TotalBytes: 4 << 20})
	must(t, err)
	for _, s := range []job.State{job.Flushed, job.Verified, job.Personalised, job.Committing, job.Committed} {
		l.seq++
		_, err := l.c.State(context.Background(), j.ID, job.StateEvent{Seq: l.seq, State: s})
		must(t, err)
	}
	wantTile(t, "committed", b.tile(id), "finishing", job.Blue, store.ActNone)
	_, err = l.c.Result(context.Background(), j.ID, result(j))
	must(t, err)
	wantTile(t, "done", b.tile(id), "done", job.Green, store.ActNone)
	if c := b.counts(); c != (store.BoardCounts{Done: 1}) {
		t.Errorf("counts %+v; want 1 done", c)
	}
	b.stop()
	b.start()
	wantTile(t, "after a restart", b.tile(id), "done", job.Green, store.ActNone)
	b.clk.pass(16 * time.Minute)
	if got, c := b.tile(id), b.counts(); got != nil || c.Done != 1 {
		t.Errorf("a quarter of an hour later: tile %+v, counts %+v; want no tile and 1 done", got, c)
	}
	b.clk.pass(13 * time.Hour)
	if c := b.counts(); c.Done != 0 {
		t.Errorf("the next day: counts %+v", c)
	}
}

// TestTheBoardKeepsWhatWantsAPerson until somebody did something about it.
func TestTheBoardKeepsWhatWantsAPerson(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "SALES-01")
	id := b.device("ABC1234").ID
	b.order("SALES-01")
	b.clk.pass(2 * time.Minute)
	wantTile(t, "ordered, and off", b.tile(id), "waiting", job.Grey, store.ActSwitch)
	if c := b.counts(); c.Waiting != 1 || c.Away != 1 {
		t.Errorf("counts %+v; want 1 waiting that is away", c)
	}
	l.boot()
	l.sayHello()
	j := l.work()
	l.reach(j, job.Writing)
	r := result(j)
	r.State, r.Fault = job.Failed, job.Faultf(job.CodeDriveWrite, "At byte 7.")
	_, err := l.c.Result(context.Background(), j.ID, r)
	must(t, err)
	b.clk.pass(2 * time.Hour)
	wantTile(t, "failed", b.tile(id), "failed", job.Red, store.ActAgain)
	if got := b.tile(id); got.Fault != job.CodeDriveWrite || got.Say != "The drive refused to take data. At byte 7." || got.Next == "" {
		t.Errorf("failed: %+v", got)
	}
	_, err = b.s.Lose(context.Background(), "anna", "SALES-01", store.Loss{Tell: "the porter"})
	must(t, err)
	if got := b.tile(id); got != nil {
		t.Errorf("lost, and away: %+v; want no tile", got)
	}
	l.boot()
	l.sayHello()
	wantTile(t, "a lost one that starts", b.tile(id), "lost", job.Red, store.ActAlarm)
	if got := b.tile(id); got.Next != "Tell the porter." {
		t.Errorf("alarm: %+v", got)
	}
}

// TestTheBoardOfAJobThatIsUnproven: it says so in its word.
func TestTheBoardOfAJobThatIsUnproven(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "SALES-01")
	b.order("SALES-01")
	j := l.work()
	l.reach(j, job.Committed)
	r := result(j)
	r.Proof.Content = nil
	_, err := l.c.Result(context.Background(), j.ID, r)
	wantCode(t, "done without its proof", err, job.CodeIndeterminate)
	wantTile(t, "unproven", b.tile(b.device("SALES-01").ID), "unproven: start it again", job.Red, store.ActAgain)
	if d := b.device("SALES-01"); !d.InUse {
		t.Error("its system may start, and nobody is asked to save what is on it")
	}
}

// TestHistoryTellsOneDeviceAlone: its jobs, what it received and who did what, the newest first.
func TestHistoryTellsOneDeviceAlone(t *testing.T) {
	b := newBench(t)
	for _, s := range []string{"ABC1234", "XYZ98765"} {
		l := b.adopted(s, "N-"+s)
		b.order("N-" + s)
		j := l.work()
		l.reach(j, job.Committed)
		_, err := l.c.Result(context.Background(), j.ID, result(j))
		must(t, err)
		b.clk.pass(time.Minute)
	}
	h, err := b.s.History(context.Background(), "N-ABC1234")
	must(t, err)
	if len(h.Jobs) != 1 || len(h.Deployments) != 1 || h.Deployments[0].Name != "N-ABC1234" || len(h.Events) < 3 || h.Events[0].Act != "done" || h.Events[len(h.Events)-1].Act != "adopt" {
		t.Errorf("%d jobs, %d deployments, events %+v", len(h.Jobs), len(h.Deployments), h.Events)
	}
}
