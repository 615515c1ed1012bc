package web

import (
	"net/http"
	"time"
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

// SetNow gives a certificate another clock.
func (c *Certificate) SetNow(now func() time.Time) { c.now = now }

// LocalPath is where a sign-in leads.
func LocalPath(next string) string { return localPath(next) }
