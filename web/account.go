package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
)

// accountRoutes are the pages on which operators look after themselves, and administrators after all of them.
func (a *API) accountRoutes(rs *routes) {
	rs.personal("GET /account", store.Viewer, func(w http.ResponseWriter, r *http.Request) { a.showAccount(w, r, nil) })
	rs.personal("POST /account/password", store.Viewer, a.changePassword)
	rs.personal("POST /account/sessions/{id}/end", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		name := operatorOf(r)
		a.then(w, r, "/account", a.Access.EndSession(name, r.PathValue("id"), name))
	})
	rs.personal("GET /operators", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		a.showOperators(w, r, store.OperatorLink{}, nil)
	})
	rs.personal("POST /operators", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		link, err := a.Access.AddOperator(operatorOf(r), store.OperatorAdd{Name: r.PostFormValue("name"), Right: store.Right(r.PostFormValue("right"))})
		a.showOperators(w, r, link, err)
	})
	rs.personal("POST /operators/{name}", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		set, err := operatorSetOf(r)
		if err == nil {
			_, err = a.Access.SetOperator(operatorOf(r), r.PathValue("name"), set)
		}
		a.then(w, r, "/operators", err)
	})
	rs.personal("POST /operators/{name}/link", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		link, err := a.Access.Recover(operatorOf(r), r.PathValue("name"), ActorOf(r.Context()).AtServer())
		a.showOperators(w, r, link, err)
	})
	rs.personal("GET /tokens", store.Viewer, func(w http.ResponseWriter, r *http.Request) { a.showTokens(w, r, store.TokenMade{}, nil) })
	rs.personal("POST /tokens", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		days, err := strconv.Atoi(r.PostFormValue("days"))
		if err != nil {
			a.showTokens(w, r, store.TokenMade{}, job.Faultf(job.CodeBadRequest, "%.20q is no number of days.", r.PostFormValue("days")))
			return
		}
		made, err := a.addToken(ActorOf(r.Context()), store.TokenAdd{Name: r.PostFormValue("name"), Right: store.Right(r.PostFormValue("right")), Only: r.PostForm["only"], Days: days})
		a.showTokens(w, r, made, err)
	})
	rs.personal("POST /tokens/{name}/remove", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		a.then(w, r, "/tokens", a.removeToken(ActorOf(r.Context()), r.PathValue("name")))
	})
	rs.handle("GET /rights", store.Viewer, a.showRights)
	rs.personal("POST /rights", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		_, err := a.Access.SetPolicy(operatorOf(r), store.AccessPolicy{SecondPerson: r.PostFormValue("second_person") != ""})
		a.then(w, r, "/rights", err)
	})
	rs.personal("POST /notices/{number}/seen", store.Technician, func(w http.ResponseWriter, r *http.Request) { a.then(w, r, "/", a.endNotice(r)) })
}

// then leads the browser on behind an act, or shows what went wrong.
func (a *API) then(w http.ResponseWriter, r *http.Request, next string, err error) {
	if err != nil {
		a.fail(w, r, err)
		return
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

type accountData struct {
	Sessions []store.SessionView
	Local    bool // has a password of its own
}

func (a *API) showAccount(w http.ResponseWriter, r *http.Request, err error) {
	who := ActorOf(r.Context())
	p := page{Title: "Your account", Area: "account"}
	sessions, err2 := a.Access.Sessions(who.Name, who.Session)
	p.Data = accountData{Sessions: sessions, Local: a.Access.HasPassword(who.Name)}
	if err == nil {
		err = err2
	}
	if err != nil {
		p.Fault = a.fault(err)
	}
	a.show(w, r, "account", p)
}

func (a *API) changePassword(w http.ResponseWriter, r *http.Request) {
	next := r.PostFormValue("new")
	if r.PostFormValue("again") != next {
		a.showAccount(w, r, job.Faultf(job.CodeBadRequest, "The two passwords are not the same."))
		return
	}
	cookie, err := a.Access.ChangePassword(r.Context(), clientOf(r), operatorOf(r), r.PostFormValue("password"), next)
	if err != nil {
		a.showAccount(w, r, err)
		return
	}
	setCookie(w, cookieName, cookie, 0, http.SameSiteStrictMode)
	http.Redirect(w, r, "/account", http.StatusSeeOther)
}

type operatorsData struct {
	Operators []store.OperatorView
	Rights    []store.Right
	Made      store.OperatorLink // shown once
}

func (a *API) showOperators(w http.ResponseWriter, r *http.Request, made store.OperatorLink, err error) {
	p := page{Title: "Operators", Area: "settings"}
	all, err2 := a.Access.Operators()
	p.Data = operatorsData{Operators: all, Rights: store.Rights, Made: made}
	if err == nil {
		err = err2
	}
	if err != nil {
		p.Fault = a.fault(err)
	}
	a.show(w, r, "operators", p)
}

// operatorSetOf reads the one button that was pressed in an operator's row.
func operatorSetOf(r *http.Request) (s store.OperatorSet, err error) {
	yes, no := true, false
	switch do := r.PostFormValue("do"); do {
	case "right":
		right := store.Right(r.PostFormValue("right"))
		s.Right = &right
	case "disable":
		s.Disabled = &yes
	case "enable":
		s.Disabled = &no
	case "unlock":
		s.Unlock = true
	case "sign-out":
		s.SignOut = true
	default:
		err = job.Faultf(job.CodeBadRequest, "%.20q is nothing that is done with an operator.", do)
	}
	return s, err
}

type tokensData struct {
	Tokens []store.TokenView
	Rights []store.Right // that the looker may give
	Areas  []string
	Made   store.TokenMade // shown once
	Days   int
}

func (a *API) showTokens(w http.ResponseWriter, r *http.Request, made store.TokenMade, err error) {
	who := ActorOf(r.Context())
	p := page{Title: "API tokens", Area: "settings"}
	all, err2 := a.tokensOf(who)
	d := tokensData{Tokens: all, Areas: a.areas(), Made: made, Days: int(store.TokenLife.Hours() / 24)}
	for _, right := range store.Rights {
		if who.Right.Covers(right) {
			d.Rights = append(d.Rights, right)
		}
	}
	p.Data = d
	if err == nil {
		err = err2
	}
	if err != nil {
		p.Fault = a.fault(err)
	}
	a.show(w, r, "tokens", p)
}

type rightsData struct {
	Policy store.AccessPolicy
	Admin  bool
	Rows   []rightRow
}

// rightRow says who may ask for one route.
type rightRow struct {
	What string
	May  []bool // in the order of store.Rights
	Who  string // besides: "everybody", "no programs"
}

func (a *API) showRights(w http.ResponseWriter, r *http.Request) {
	p := page{Title: "Rights", Area: "settings"}
	policy, err := a.Access.Policy()
	if err != nil {
		p.Fault = a.fault(err)
	}
	p.Data = rightsData{Policy: policy, Admin: ActorOf(r.Context()).Right.Covers(store.Administrator), Rows: rightRows(a.Routes())}
	a.show(w, r, "rights", p)
}

// rightRows is the table of rights, made from the routes themselves.
func rightRows(all []Route) []rightRow {
	var rows []rightRow
	for _, route := range all {
		row := rightRow{What: route.Method + " " + route.Path}
		for _, right := range store.Rights {
			row.May = append(row.May, route.Open || right.Covers(route.Right))
		}
		if route.Open {
			row.Who = "everybody"
		} else if route.Person {
			row.Who = "no programs"
		}
		rows = append(rows, row)
	}
	path := func(r rightRow) string { _, p, _ := strings.Cut(r.What, " "); return p }
	slices.SortStableFunc(rows, func(x, y rightRow) int { return strings.Compare(path(x), path(y)) })
	return rows
}
