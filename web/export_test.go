package web

import "net/http"

// ShowFault lets a test see the page of a fault.
func (a *API) ShowFault(w http.ResponseWriter, r *http.Request, err error) { a.showFault(w, r, err) }
