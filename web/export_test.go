package web

import (
	"net/http"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// ShowFault lets a test see the page of a fault.
func (a *API) ShowFault(w http.ResponseWriter, r *http.Request, err error) { a.showFault(w, r, err) }

// Described gives the patterns that the API's document has a row for, each with a value of its answer's type.
func Described() map[string]any {
	out := map[string]any{}
	for pattern, op := range operations() {
		out[pattern] = op.out
	}
	return out
}

// BoundExport lets a test meet the bound of an export.
func BoundExport(t testing.TB, n int) {
	records, papers := maxRecords, maxPapers
	maxRecords, maxPapers = n, n
	t.Cleanup(func() { maxRecords, maxPapers = records, papers })
}

// SetNow gives a certificate another clock.
func (c *Certificate) SetNow(now func() time.Time) { c.now = now }

// LocalPath is where a sign-in leads.
func LocalPath(next string) string { return localPath(next) }

// Matches lets a test search.
func Matches(query string, d store.DeviceView) (bool, error) {
	q, err := parseSearch(query)
	return err == nil && q.match(d), err
}

// Written is a search read and written out.
func Written(query string) (string, error) {
	q, err := parseSearch(query)
	return q.String(), err
}

// LiveBoard lets a test be the pages of a stream and what fills it.
type LiveBoard struct{ l live }

// Join opens a page of somebody.
func (b *LiveBoard) Join(who string) (<-chan []byte, error) {
	p := &livePage{who: who, events: make(chan []byte, liveQueue)}
	first, err := b.l.join(p)
	if err == nil && !first {
		<-p.events // the snapshot
	}
	return p.events, err
}

// Publish sends a board with one number on it.
func (b *LiveBoard) Publish(n int) error {
	return b.l.publish(boardView{Head: headView{Done: n + 1}}, false)
}

// LimitOf names what limits laptops that all fetch equally fast.
func LimitOf(load Load, tiles []store.Tile, each float64) string {
	fetch := map[job.ID]float64{}
	for _, t := range tiles {
		fetch[t.Job] = each
	}
	return limitOf(load, tiles, fetch)
}
