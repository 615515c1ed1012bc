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
	Path   string // a pattern of http.ServeMux; "/" is that path alone
	Right  store.Right
	Open   bool // to everybody, signed in or not; Right is empty
	Person bool // not to programs: every page, and what of the API would let a token make itself another
}

// JSON reports whether the route is of the JSON API; else it is a page.
func (r Route) JSON() bool { return strings.HasPrefix(r.Path, "/api/") }

// figures is the one path outside the API that is for programs; strangers get more (see open).
const figures = "/metrics"

// Area is the part of the API to which a route belongs, empty for a page; a token's scope names areas.
func (r Route) Area() string {
	if !r.JSON() && r.Path != figures {
		return ""
	}
	area, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.Path, "/api/v1"), "/"), "/")
	area, _, _ = strings.Cut(area, ".")
	return area
}

// routes is the one table of everything that can be asked for. There is no other way to register a handler, so that
// none is without its right.
type routes struct {
	api *API
	mux *http.ServeMux
	all []Route
}

// handle registers "METHOD /path" for those who have the right. A page is for persons: what it does has its path in the
// API, by which a token's scope is held.
func (rs *routes) handle(pattern string, need store.Right, h http.HandlerFunc) {
	rs.register(pattern, Route{Right: need}, h)
}

// personal registers what a program's token does not open, whatever its right.
func (rs *routes) personal(pattern string, need store.Right, h http.HandlerFunc) {
	rs.register(pattern, Route{Right: need, Person: true}, h)
}

// open registers what everybody may ask for who reaches the server. It is no place for anything but the way in.
func (rs *routes) open(pattern string, h http.HandlerFunc) {
	rs.register(pattern, Route{Open: true}, h)
}

func (rs *routes) register(pattern string, route Route, h http.HandlerFunc) {
	var ok bool
	if route.Method, route.Path, ok = strings.Cut(pattern, " "); !ok {
		panic("web: a route names its method: " + pattern)
	}
	route.Path = strings.TrimSuffix(route.Path, "{$}")
	route.Person = !route.Open && (route.Person || !route.JSON() && route.Path != figures)
	rs.all = append(rs.all, route)
	rs.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := route.allows(ActorOf(r.Context())); err != nil {
			rs.api.fail(w, r, err)
			return
		}
		h(w, r)
	})
}

// allows holds who asks against what the route needs.
func (r Route) allows(who Actor) error {
	switch {
	case r.Open:
		return nil
	case !who.Right.Covers(r.Right):
		return job.Faultf(job.CodePolicy, "%s has the right %q; this needs %q.", who.Name, who.Right, r.Right)
	case r.Person && who.Token != "":
		return job.Faultf(job.CodePolicy, "%s is a program; this is for a person.", who.Name)
	case !who.May(r.Area()):
		return job.Faultf(job.CodePolicy, "%s may ask for %s only.", who.Name, strings.Join(who.Only, ", "))
	}
	return nil
}

// fail answers with what went wrong: as the API does, or as a page.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		a.reply(w, nil, err)
	} else {
		a.showFault(w, r, err)
	}
}

// isOpen reports whether a request is for what everybody may ask for.
func (rs *routes) isOpen(r *http.Request) bool {
	_, pattern := rs.mux.Handler(r)
	method, path, _ := strings.Cut(pattern, " ")
	for _, route := range rs.all {
		if route.Open && route.Method == method && route.Path == path {
			return true
		}
	}
	return false
}

// Routes lists everything that can be asked for. Nobody changes it.
func (a *API) Routes() []Route {
	if known := a.known.Load(); known != nil {
		return *known
	}
	return a.table().all
}

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
	if a.Wiper != nil {
		a.wipeRoutes(rs)
	}
	if a.Backups != nil {
		a.backupRoutes(rs)
	}
	if a.Push != nil {
		a.pushRoutes(rs)
	}
	if a.Reports != nil {
		a.reportRoutes(rs)
		a.licenceRoutes(rs)
		a.receiptRoutes(rs)
		a.labelRoutes(rs)
	}
	a.deviceRoutes(rs)
	a.jobRoutes(rs)
	a.settingRoutes(rs)
	a.statusRoutes(rs)
	a.pageRoutes(rs)
	a.documentRoutes(rs)
	if a.Metrics != nil {
		rs.handle("GET "+figures, store.Viewer, a.Metrics.Handler().ServeHTTP)
	}
	if a.Health != nil {
		rs.open("GET /healthz", a.Health.ServeHTTP)
	}
	if a.Access != nil {
		a.signInRoutes(rs)
		a.operatorRoutes(rs)
		a.tokenRoutes(rs)
	}
	rs.mux.HandleFunc("/", a.notHere)
	return rs
}
