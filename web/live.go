package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// live sends the board to every page that is open, as server-sent events. It is read and put into words once for all of
// them, at most every liveGap, so that 60 laptops that report each half second and 20 boards cost what one board costs.
//
//	event: snapshot   a whole boardView: the first of every connection
//	event: delta      what changed since: tiles that are new or different, those that are gone, the order, the head
//	event: beat       nothing, every 15 s: a page that hears none for twice as long connects anew
//
// A page that reads slower than the board changes is cut off when liveQueue events wait for it: it connects anew and
// begins with a snapshot. So nobody's slowness holds memory, and nothing that was missed stays missed. A connection lasts
// at most liveFor: then who asks is asked again.
type live struct {
	mu      sync.Mutex
	pages   map[*livePage]bool
	running bool
	last    boardView
	at      time.Time // of last
	meters  map[job.ID]fetchMeter
}

// livePage is one open page.
type livePage struct {
	who    string      // whose it is
	events chan []byte // closed when the page is too slow
}

// Bounds of the stream.
const (
	liveGap   = 300 * time.Millisecond // at least, between two readings
	liveTick  = time.Second            // at most: silence and the end of a window pass without any event
	liveBeat  = 15 * time.Second
	liveFor   = 5 * time.Minute
	liveQueue = 16
	livePages = 200
	liveShare = 40               // of one operator: nobody takes the board from the others
	liveWrite = 10 * time.Second // for one event to leave
)

// delta is what changed between two boards.
type delta struct {
	Tiles []tileView `json:"tiles,omitempty"`
	Gone  []string   `json:"gone,omitempty"`
	Order []string   `json:"order,omitempty"` // of all tiles, when it changed
	Head  *headView  `json:"head,omitempty"`
}

// deltaOf compares two boards; ok is false when nothing changed.
func deltaOf(was, is boardView) (d delta, ok bool) {
	old := make(map[string]tileView, len(was.Tiles))
	for _, t := range was.Tiles {
		old[t.ID] = t
	}
	for _, t := range is.Tiles {
		if o, known := old[t.ID]; !known || o != t {
			d.Tiles = append(d.Tiles, t)
		}
		delete(old, t.ID)
	}
	for id := range old {
		d.Gone = append(d.Gone, id)
	}
	slices.Sort(d.Gone)
	if ids := order(is); !slices.Equal(order(was), ids) {
		d.Order = ids
	}
	if !reflect.DeepEqual(was.Head, is.Head) {
		d.Head = &is.Head
	}
	return d, d.Tiles != nil || d.Gone != nil || d.Order != nil || d.Head != nil
}

func order(v boardView) []string {
	ids := make([]string, 0, len(v.Tiles))
	for _, t := range v.Tiles {
		ids = append(ids, t.ID)
	}
	return ids
}

// event writes one event of the stream.
func event(name string, data any) ([]byte, error) {
	b, err := json.Marshal(data) // one line: JSON escapes line ends
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, b), err
}

// fetchMeter smooths how fast the stored bytes of one job travel.
type fetchMeter struct {
	at    time.Time
	bytes uint64
	speed float64
}

// meter gives the bytes a second that each running job fetches, over at least a second.
func (l *live) meter(tiles []store.Tile, now time.Time) map[job.ID]float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	next, out := map[job.ID]fetchMeter{}, map[job.ID]float64{}
	for _, t := range tiles {
		if t.Job == "" || t.Colour != job.Blue {
			continue
		}
		m, known := l.meters[t.Job]
		switch dt := now.Sub(m.at).Seconds(); {
		case !known || t.Fetched < m.bytes:
			m = fetchMeter{at: now, bytes: t.Fetched}
		case dt >= 1:
			m = fetchMeter{now, t.Fetched, float64(t.Fetched-m.bytes) / dt}
		}
		next[t.Job], out[t.Job] = m, m.speed
	}
	l.meters = next
	return out
}

// fresh gives the board of a stream that runs.
func (l *live) fresh() (boardView, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last, l.running && time.Since(l.at) < liveTick
}

// join adds a page, and says whether it is the first: then somebody has to run the stream.
func (l *live) join(p *livePage) (first bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pages) >= livePages {
		return false, job.Faultf(job.CodeCrowd, "%d pages are open.", len(l.pages))
	}
	mine := 0
	for other := range l.pages {
		if other.who == p.who {
			mine++
		}
	}
	if mine >= liveShare {
		return false, job.Faultf(job.CodeCrowd, "%d pages of %s are open.", mine, p.who)
	}
	if l.pages == nil {
		l.pages = map[*livePage]bool{}
	}
	first = !l.running
	if !first { // what the others have seen is where this one begins
		b, err := event("snapshot", l.last)
		if err != nil {
			return false, err
		}
		p.events <- b
	}
	l.running, l.pages[p] = true, true
	return first, nil
}

func (l *live) leave(p *livePage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pages, p)
}

// publish sends what changed to every page.
func (l *live) publish(v boardView, first bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	name, data, changed := "snapshot", any(v), true
	if !first {
		name = "delta"
		data, changed = deltaOf(l.last, v)
	}
	l.last, l.at = v, time.Now()
	if !changed {
		return nil
	}
	b, err := event(name, data)
	if err != nil {
		return err
	}
	for p := range l.pages {
		select {
		case p.events <- b:
		default: // too slow: it begins anew
			close(p.events)
			delete(l.pages, p)
		}
	}
	return nil
}

// empty reports whether no page is open any more; then the stream has ended.
func (l *live) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = len(l.pages) > 0
	return !l.running
}

// runLive reads the board while pages are open, and ends with the last of them. A board that cannot be read is told once a
// tick; the pages keep what they show.
func (a *API) runLive() {
	for first := true; !a.live.empty(); {
		changed := a.Bench.Changes()
		v, err := a.readBoard(context.Background())
		if err == nil {
			err = a.live.publish(v, first)
			first = false
		}
		if err != nil {
			a.fault(err)
		}
		time.Sleep(liveGap)
		select {
		case <-changed:
		case <-time.After(liveTick - liveGap):
		}
	}
}

func (a *API) liveRoutes(rs *routes) { rs.handle("GET /live", store.Viewer, a.stream) }

// stream is one page's connection.
func (a *API) stream(w http.ResponseWriter, r *http.Request) {
	p := &livePage{who: operatorOf(r), events: make(chan []byte, liveQueue)}
	first := false
	_, err := a.board(r.Context()) // what cannot be read is refused in words, not followed in silence
	if err == nil {
		first, err = a.live.join(p)
	}
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	defer a.live.leave(p)
	if first {
		go a.runLive() // ends when the last page has left
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy in between passes each event on at once
	c := http.NewResponseController(w)
	send := func(b []byte) bool {
		_ = c.SetWriteDeadline(time.Now().Add(liveWrite)) // where it cannot be set, the listener's holds
		if _, err := w.Write(b); err != nil {
			return false
		}
		return c.Flush() == nil
	}
	if !send([]byte("retry: 1000\n\n")) {
		return
	}
	beat, end := time.NewTicker(liveBeat), time.NewTimer(liveFor)
	defer beat.Stop()
	defer end.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-end.C:
			return
		case b, open := <-p.events:
			if !open || !send(b) {
				return
			}
		case <-beat.C:
			if !send([]byte("event: beat\ndata: 0\n\n")) {
				return
			}
		}
	}
}
