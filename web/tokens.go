package web

import (
	"net/http"
	"slices"

	"ingot/imaging/job"
	"ingot/store"
)

// tokenRoutes are those of programs that act in somebody's name. Everybody looks after his own; administrators see all.
func (a *API) tokenRoutes(rs *routes) {
	rs.handle("GET /api/v1/tokens", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		out, err := a.tokensOf(ActorOf(r.Context()))
		a.reply(w, list(out), err)
	})
	rs.personal("POST /api/v1/tokens", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		var in store.TokenAdd
		if err := readBody(r, &in); err != nil {
			a.reply(w, nil, err)
			return
		}
		out, err := a.addToken(ActorOf(r.Context()), in)
		a.reply(w, out, err)
	})
	rs.personal("DELETE /api/v1/tokens/{name}", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		a.reply(w, struct{}{}, a.removeToken(ActorOf(r.Context()), r.PathValue("name")))
	})
}

// tokensOf lists the tokens that somebody may see.
func (a *API) tokensOf(who Actor) ([]store.TokenView, error) {
	all, err := a.Access.Tokens()
	if err != nil || who.Right.Covers(store.Administrator) {
		return all, err
	}
	return slices.DeleteFunc(all, func(t store.TokenView) bool { return t.Owner != who.Name }), nil
}

// addToken makes a token that can do no more than its maker.
func (a *API) addToken(who Actor, in store.TokenAdd) (store.TokenMade, error) {
	if in.Right == "" {
		in.Right = store.Viewer
	}
	if slices.Contains(store.Rights, in.Right) && !who.Right.Covers(in.Right) {
		return store.TokenMade{}, job.Faultf(job.CodePolicy, "%s has the right %q only.", who.Name, who.Right)
	}
	areas := a.areas()
	if len(in.Only) > len(areas) {
		return store.TokenMade{}, job.Faultf(job.CodeBadRequest, "The API has %d areas, not %d.", len(areas), len(in.Only))
	}
	for _, area := range in.Only {
		if !slices.Contains(areas, area) {
			return store.TokenMade{}, job.Faultf(job.CodeBadRequest, "%.40q is no area of the API.", area)
		}
	}
	return a.Access.AddToken(who.Name, who.AtServer(), in)
}

// removeToken ends a token: one's own, or any as an administrator.
func (a *API) removeToken(who Actor, name string) error {
	mine, err := a.tokensOf(who)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(mine, func(t store.TokenView) bool { return t.Name == name }) {
		return job.Faultf(job.CodeNotFound, "No token %.60q.", name)
	}
	return a.Access.RemoveToken(who.Name, name)
}

// areas lists the areas of the API, for the scopes of tokens. The figures are there only while a daemon runs.
func (a *API) areas() []string {
	out := []string{"metrics"}
	for _, r := range a.Routes() {
		if !r.Open && !r.Person && r.Area() != "" && !slices.Contains(out, r.Area()) {
			out = append(out, r.Area())
		}
	}
	slices.Sort(out)
	return out
}
