package web

import (
	"context"
	"net/http"
	"strconv"

	"ingot/imaging/job"
	"ingot/store"
)

// operatorRoutes are those of who may come in. Links and rights are a person's affair: a program with a token could make
// itself an operator.
func (a *API) operatorRoutes(rs *routes) {
	rs.handle("GET /api/v1/me", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		who := ActorOf(r.Context())
		a.reply(w, Me{Name: who.Name, Right: who.Right, Token: who.Token, Only: list(who.Only)}, nil)
	})
	rs.handle("GET /api/v1/operators", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Access.Operators()
		a.reply(w, list(out), err)
	})
	rs.personal("POST /api/v1/operators", store.Administrator, act(a, func(_ context.Context, by string, in store.OperatorAdd) (store.OperatorLink, error) {
		return a.Access.AddOperator(by, in)
	}))
	rs.personal("POST /api/v1/operators/{name}", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		act(a, func(_ context.Context, by string, in store.OperatorSet) (store.OperatorView, error) {
			return a.Access.SetOperator(by, r.PathValue("name"), in)
		})(w, r)
	})
	rs.personal("POST /api/v1/operators/{name}/link", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Access.Recover(operatorOf(r), r.PathValue("name"), ActorOf(r.Context()).AtServer())
		a.reply(w, out, err)
	})
	rs.personal("POST /api/v1/operator-link", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Access.Recover(operatorOf(r), "", ActorOf(r.Context()).AtServer())
		a.reply(w, out, err)
	})
	rs.handle("GET /api/v1/access-policy", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Access.Policy()
		a.reply(w, out, err)
	})
	rs.personal("POST /api/v1/access-policy", store.Administrator, act(a, func(_ context.Context, by string, in PolicySet) (store.AccessPolicy, error) {
		return a.Access.SetPolicy(by, store.AccessPolicy{SecondPerson: in.SecondPerson})
	}))
	rs.handle("GET /api/v1/notices", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.Access.Notices()
		a.reply(w, list(out), err)
	})
	rs.personal("POST /api/v1/notices/{number}/seen", store.Technician, func(w http.ResponseWriter, r *http.Request) {
		a.reply(w, struct{}{}, a.endNotice(r))
	})
}

// Me is what somebody is told about himself.
type Me struct {
	Name  string      `json:"name"`
	Right store.Right `json:"right"`
	Token string      `json:"token,omitempty"`
	Only  []string    `json:"only"`
}

// PolicySet changes the access policy.
type PolicySet struct {
	SecondPerson bool `json:"second_person"`
}

// endNotice is for the board: whoever made a link at the server cannot take away there what tells the others of it.
func (a *API) endNotice(r *http.Request) error {
	if ActorOf(r.Context()).AtServer() {
		return job.Faultf(job.CodePolicy, "A notice is taken off the board by somebody who has signed in at the pages.")
	}
	n, err := strconv.ParseUint(r.PathValue("number"), 10, 64)
	if err != nil {
		return job.Faultf(job.CodeNotFound, "No notice %.20q.", r.PathValue("number"))
	}
	return a.Access.EndNotice(operatorOf(r), n)
}
