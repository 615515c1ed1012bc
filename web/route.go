package web

import (
	"net/http"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
)

// Route is one thing that can be asked for, and the right that it needs.
type Route struct {
	Method string
	Path   string // a pattern of http.ServeMux
	Right  store.Right
}

// JSON reports whether the route is of the JSON API; else it is a page.
func (r Route) JSON() bool { return strings.HasPrefix(r.Path, "/api/") }

// routes is the one table of everything that can be asked for. There is no other way to register a handler, so that
// none is without its right.
type routes struct {
	api *API
	mux *http.ServeMux
	all []Route
}

// handle registers "METHOD /path" for those who have the right.
func (rs *routes) handle(pattern string, need store.Right, h http.HandlerFunc) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		panic("web: a route names its method: " + pattern)
	}
	route := Route{Method: method, Path: path, Right: need}
	rs.all = append(rs.all, route)
	rs.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		who := ActorOf(r.Context())
		if !who.Right.Covers(need) {
			err := job.Faultf(job.CodePolicy, "%s has the right %q; this needs %q.", who.Name, who.Right, need)
			if route.JSON() {
				rs.api.reply(w, nil, err)
			} else {
				rs.api.showFault(w, r, err)
			}
			return
		}
		h(w, r)
	})
}

// Routes lists everything that can be asked for.
func (a *API) Routes() []Route { return a.table().all }

// table registers everything.
func (a *API) table() *routes {
	rs := &routes{api: a, mux: http.NewServeMux()}
	if a.Shelf != nil {
		a.imageRoutes(rs)
		a.houseRoutes(rs)
		a.contentRoutes(rs)
	}
	if a.Exchange != nil {
		a.exchangeRoutes(rs)
	}
	a.deviceRoutes(rs)
	a.jobRoutes(rs)
	a.settingRoutes(rs)
	a.statusRoutes(rs)
	rs.mux.HandleFunc("/", a.notHere)
	return rs
}
