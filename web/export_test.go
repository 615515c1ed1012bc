package web

import (
	"net/http"
	"time"
)

// ShowFault lets a test see the page of a fault.
func (a *API) ShowFault(w http.ResponseWriter, r *http.Request, err error) { a.showFault(w, r, err) }

// SetNow gives a certificate another clock.
func (c *Certificate) SetNow(now func() time.Time) { c.now = now }

// LocalPath is where a sign-in leads.
func LocalPath(next string) string { return localPath(next) }
