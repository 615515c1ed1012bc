package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
)

// sent is one event of the stream, as far as a test looks at it.
type sent struct {
	name string
	at   time.Time
	data struct {
		Tiles []struct{ ID, Label, Word, Share string }
		Gone  []string
		Head  *struct{ Done, Running int }
	}
	board struct {
		Tiles []struct{ ID, Label, Word, Share string }
		Head  struct{ Done, Running int }
	}
}

// follow opens the stream as a page does; events end when the stream does.
func (p *person) follow(ctx context.Context) (<-chan sent, int) {
	p.f.t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", p.f.base+"/live", nil)
	must(p.f.t, err)
	r.Header.Set("X-Test-Operator", p.name)
	r.Header.Set("X-Test-Right", string(p.right))
	res, err := http.DefaultClient.Do(r)
	must(p.f.t, err)
	out := make(chan sent, 1000)
	go func() { // ends with the stream
		defer close(out)
		defer res.Body.Close()
		var e sent
		for sc := bufio.NewScanner(res.Body); sc.Scan(); {
			if name, ok := strings.CutPrefix(sc.Text(), "event: "); ok {
				e = sent{name: name, at: time.Now()}
			}
			if data, ok := strings.CutPrefix(sc.Text(), "data: "); ok && e.name != "" {
				if json.Unmarshal([]byte(data), &e.data) == nil {
					json.Unmarshal([]byte(data), &e.board)
				}
				out <- e
			}
		}
	}()
	return out, res.StatusCode
}

// wait gives the first event that fulfils a condition.
func wait(t *testing.T, events <-chan sent, what string, ok func(sent) bool) sent {
	t.Helper()
	end := time.After(5 * time.Second)
	for {
		select {
		case e, open := <-events:
			if !open {
				t.Fatalf("%s: the stream ended", what)
			}
			if ok(e) {
				return e
			}
		case <-end:
			t.Fatalf("%s: nothing within 5 s", what)
		}
	}
}

// says reports whether an event tells a word of a laptop.
func says(label, word string) func(sent) bool {
	return func(e sent) bool {
		for _, t := range e.data.Tiles {
			if t.Label == label && t.Word == word {
				return true
			}
		}
		return false
	}
}

// TestTheBoardFollowsALaptopWithinASecond: a whole board first, then what changed, each within a second of the report.
func TestTheBoardFollowsALaptopWithinASecond(t *testing.T) {
	f := newFloor(t)
	l := f.adopted("PF3AAAA1")
	ctx, end := context.WithCancel(context.Background())
	defer end()
	events, status := f.person("vera", store.Viewer).follow(ctx)
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	if e := wait(t, events, "the beginning", func(sent) bool { return true }); e.name != "snapshot" || !says("LT-F3AAAA1", job.WordWaiting)(e) {
		t.Fatalf("it begins with %+v", e)
	}
	_, err := f.s.Deploy(context.Background(), "anna", store.Order{Device: "PF3AAAA1", Role: "sales"})
	must(t, err)
	l.take()
	for _, c := range []struct {
		state job.State
		word  string
	}{{job.Claimed, "checking the laptop"}, {job.Writing, "writing"}, {job.Flushed, "checking"}, {job.Personalised, "naming"}} {
		begun := time.Now()
		l.reach(c.state)
		if e := wait(t, events, string(c.state), says("LT-F3AAAA1", c.word)); e.name != "delta" || e.at.Sub(begun) > time.Second {
			t.Errorf("%s came as %s after %s; want a delta within 1 s", c.state, e.name, e.at.Sub(begun))
		}
	}
	l.finish()
	e := wait(t, events, "done", says("LT-F3AAAA1", job.WordDone))
	if e.data.Head == nil || e.data.Head.Done != 1 || e.data.Head.Running != 0 {
		t.Errorf("the head says %+v; want 1 done", e.data.Head)
	}
}

// counting counts how often the board is read.
type counting struct {
	*deploy.Service
	reads atomic.Int64
}

func (c *counting) Board(ctx context.Context) (store.Board, error) {
	c.reads.Add(1)
	return c.Service.Board(ctx)
}

// TestTwentyBoardsCostWhatOneCosts, whatever sixty laptops report.
func TestTwentyBoardsCostWhatOneCosts(t *testing.T) {
	f := newFloor(t)
	c := &counting{Service: f.s}
	f.api.Bench = c
	l := f.adopted("PF3AAAA1")
	_, err := f.s.Deploy(context.Background(), "anna", store.Order{Device: "PF3AAAA1", Role: "sales"})
	must(t, err)
	l.take()
	l.reach(job.Writing)
	ctx, end := context.WithCancel(context.Background())
	var pages []<-chan sent
	for range 20 {
		events, _ := f.person("vera", store.Viewer).follow(ctx)
		wait(t, events, "the beginning", func(e sent) bool { return e.name == "snapshot" })
		pages = append(pages, events)
	}
	c.reads.Store(0)
	begun := time.Now()
	for i := range 1200 { // a report every 2 ms, as of more laptops than a bench holds
		l.tell(job.Progress{Phase: "writing", DoneBytes: uint64(i), TotalBytes: 1200, BytesPerSec: 1e8})
		time.Sleep(time.Until(begun.Add(time.Duration(i) * 2 * time.Millisecond)))
	}
	passed := time.Since(begun)
	if n, most := c.reads.Load(), int64(passed/(300*time.Millisecond))+2; n > most || n == 0 {
		t.Errorf("the board was read %d times in %s for 20 pages; want at most %d", n, passed, most)
	}
	for _, events := range pages {
		wait(t, events, "the last report", func(e sent) bool { return len(e.data.Tiles) > 0 && e.data.Tiles[0].Share == "99 %" })
	}
	end()
	c.reads.Store(0)
	time.Sleep(1500 * time.Millisecond) // the stream has seen that nobody looks
	before := c.reads.Load()
	time.Sleep(1200 * time.Millisecond)
	if n := c.reads.Load() - before; n != 0 {
		t.Errorf("nobody looks, and the board was read %d times", n)
	}
}

// TestAPageComesBackAfterARestart: the stream ends with the daemon; the next one begins with the whole board, as it is then.
func TestAPageComesBackAfterARestart(t *testing.T) {
	f := newFloor(t)
	f.adopted("PF3AAAA1")
	p := f.person("vera", store.Viewer)
	events, _ := p.follow(context.Background())
	wait(t, events, "the beginning", func(e sent) bool { return e.name == "snapshot" })
	_, err := f.s.Deploy(context.Background(), "anna", store.Order{Device: "PF3AAAA1", Role: "sales"})
	must(t, err)
	f.stop()
	for range events { // it ends
	}
	f.start()
	events, _ = p.follow(context.Background())
	wait(t, events, "after the restart", func(e sent) bool { return e.name == "snapshot" && says("LT-F3AAAA1", job.WordWaiting)(e) })
}

// TestAPageThatReadsTooSlowlyIsCutOff: nothing is kept for it, and the others notice nothing.
func TestAPageThatReadsTooSlowlyIsCutOff(t *testing.T) {
	var l web.LiveBoard
	slow, err := l.Join("anna")
	must(t, err)
	quick, err := l.Join("bo")
	must(t, err)
	got := 0
	for i := range 100 {
		must(t, l.Publish(i))
		select {
		case <-quick:
			got++
		default:
			t.Fatalf("the quick page got nothing at %d", i)
		}
	}
	kept := 0
	for range slow {
		kept++ // and then it is closed
	}
	if got != 100 || kept > 17 {
		t.Errorf("the quick page got %d of 100; %d events were kept for the slow one, want at most 17", got, kept)
	}
}

// TestThereIsAnEndToOpenPages: for all together, and for one before he has taken the others' room.
func TestThereIsAnEndToOpenPages(t *testing.T) {
	var l web.LiveBoard
	open := func(who string, n int) {
		t.Helper()
		for i := range n {
			if _, err := l.Join(who); err != nil {
				t.Fatalf("page %d of %s: %v", i+1, who, err)
			}
		}
	}
	refused := func(who, what string) {
		t.Helper()
		if _, err := l.Join(who); job.FaultOf(err).Code != job.CodeCrowd {
			t.Errorf("%s: %v; want %s", what, err, job.CodeCrowd)
		}
	}
	open("anna", 40)
	refused("anna", "page 41 of one operator")
	for _, who := range []string{"bo", "cora", "dora", "emil"} {
		open(who, 40)
	}
	refused("fritz", "page 201")
}

// TestWhatLimitsTheBench: a cause is named only when it was measured.
func TestWhatLimitsTheBench(t *testing.T) {
	tiles := func(n, link int) (out []store.Tile) {
		for i := range n {
			out = append(out, store.Tile{Job: job.ID(rune('a' + i)), Colour: job.Blue, Rate: 1e8, Link: link})
		}
		return out
	}
	gigabit := uint64(125e6)
	for name, c := range map[string]struct {
		load  web.Load
		tiles []store.Tile
		fetch float64
		want  string
	}{
		"nothing runs":                  {web.Load{CPU: 1, Sending: gigabit, Adapter: gigabit}, nil, 0, ""},
		"busy processors":               {web.Load{CPU: 0.95, Sending: 1e7, Adapter: gigabit}, tiles(3, 1000), 1e7, "processors"},
		"a full adapter":                {web.Load{CPU: 0.3, Sending: 110e6, Adapter: gigabit}, tiles(3, 1000), 4e7, "1 Gbit/s adapter"},
		"laptops on 100 Mbit/s":         {web.Load{CPU: 0.1, Sending: 3e7, Adapter: 10 * gigabit}, tiles(3, 100), 11e6, "cables of 3 laptops"},
		"neither":                       {web.Load{CPU: 0.1, Sending: 3e7, Adapter: gigabit}, tiles(3, 1000), 1e7, "drives"},
		"nobody measured the server":    {web.Load{CPU: -1}, tiles(3, 1000), 1e7, ""},
		"a link that tells no speed":    {web.Load{CPU: 0.1, Sending: 1e6, Adapter: gigabit}, tiles(2, 0), 1e7, ""},
		"an adapter of unknown speed":   {web.Load{CPU: 0.1, Sending: 3e9}, tiles(2, 1000), 1e7, ""},
		"2.5 Gbit/s is written as such": {web.Load{CPU: 0.1, Sending: 300e6, Adapter: 312.5e6}, tiles(2, 1000), 1e7, "2.5 Gbit/s"},
	} {
		got := web.LimitOf(c.load, c.tiles, c.fetch)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q; want %q", name, got, c.want)
		}
	}
}
