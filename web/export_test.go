package web

import (
	"net/http"

	"ingot/store"
)

// ShowFault lets a test see the page of a fault.
func (a *API) ShowFault(w http.ResponseWriter, r *http.Request, err error) { a.showFault(w, r, err) }

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
