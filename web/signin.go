package web

import (
	"net/http"

	"ingot/imaging/job"
	"ingot/store"
)

// flowCookie keeps a sign-in through an OpenID provider while the browser is there. It must come back with a request
// that begins elsewhere, so it is laxer than a session's.
const flowCookie = "__Host-ingot-flow"

// wayIn is what the pages show that are open to everybody.
type wayIn struct {
	Next     string // where the browser wanted to go
	Name     string
	Provider bool // an OpenID provider vouches too
	Secret   string
	First    bool // the first administrator is made
}

// signInRoutes are the way in: what is open here, is open to every stranger.
func (a *API) signInRoutes(rs *routes) {
	rs.open("GET /sign-in", func(w http.ResponseWriter, r *http.Request) {
		next := localPath(r.URL.Query().Get("next"))
		if ActorOf(r.Context()).Session != "" {
			http.Redirect(w, r, next, http.StatusSeeOther)
			return
		}
		a.showSignIn(w, r, wayIn{Next: next}, nil)
	})
	rs.open("POST /sign-in", a.signIn)
	rs.personal("POST /sign-out", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		if err := a.Access.SignOut(grantOf(r.Context())); err != nil && job.FaultOf(err).Code != job.CodeNotFound {
			a.fail(w, r, err)
			return
		}
		w.Header().Set("Clear-Site-Data", `"cache"`) // whoever sits here next sees nothing by the button "back"
		setCookie(w, cookieName, "", -1, http.SameSiteStrictMode)
		http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
	})
	rs.open("GET /setup/{secret}", a.setupPage)
	rs.open("POST /setup/{secret}", a.useLink)
	rs.open("GET /sign-in/oidc", a.beginVouched)
	rs.open("GET /sign-in/oidc/callback", a.finishVouched)
	a.accountRoutes(rs)
}

func (a *API) showSignIn(w http.ResponseWriter, r *http.Request, in wayIn, err error) {
	in.Provider = a.Access.HasProvider()
	p := page{Title: "Sign in", Data: in}
	if err != nil {
		p.Fault = a.fault(err)
	}
	a.show(w, r, "sign-in", p)
}

// setCookie sets a cookie that no script reads and that comes back to this host only; age in seconds, 0 while the
// browser runs, less than 0 to forget it.
func setCookie(w http.ResponseWriter, name, value string, age int, site http.SameSite) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, MaxAge: age, SameSite: site})
}

func (a *API) signIn(w http.ResponseWriter, r *http.Request) {
	in := wayIn{Name: r.PostFormValue("name"), Next: localPath(r.PostFormValue("next"))}
	cookie, err := a.Access.SignIn(r.Context(), clientOf(r), in.Name, r.PostFormValue("password"))
	if err != nil {
		a.showSignIn(w, r, in, err)
		return
	}
	setCookie(w, cookieName, cookie, 0, http.SameSiteStrictMode)
	http.Redirect(w, r, in.Next, http.StatusSeeOther)
}

// setupPage asks for the password that a link sets. Looking at it does not spend the link.
func (a *API) setupPage(w http.ResponseWriter, r *http.Request) {
	name, err := a.Access.Link(clientOf(r), r.PathValue("secret"))
	if err != nil {
		a.showSignIn(w, r, wayIn{Next: "/"}, err)
		return
	}
	a.showSetup(w, r, wayIn{Name: name, Secret: r.PathValue("secret"), First: name == ""}, nil)
}

func (a *API) showSetup(w http.ResponseWriter, r *http.Request, in wayIn, err error) {
	p := page{Title: "Set your password", Data: in}
	if in.First {
		p.Title = "The first administrator"
	}
	if err != nil {
		p.Fault = a.fault(err)
	}
	a.show(w, r, "setup", p)
}

func (a *API) useLink(w http.ResponseWriter, r *http.Request) {
	secret := r.PathValue("secret")
	name, err := a.Access.Link(clientOf(r), secret)
	if err != nil {
		a.showSignIn(w, r, wayIn{Next: "/"}, err)
		return
	}
	in := wayIn{Name: name, Secret: secret, First: name == ""}
	if in.First {
		in.Name = r.PostFormValue("name")
	}
	password := r.PostFormValue("password")
	if r.PostFormValue("again") != password {
		a.showSetup(w, r, in, job.Faultf(job.CodeBadRequest, "The two passwords are not the same."))
		return
	}
	cookie, err := a.Access.UseLink(r.Context(), clientOf(r), secret, in.Name, password)
	if err != nil {
		a.showSetup(w, r, in, err)
		return
	}
	setCookie(w, cookieName, cookie, 0, http.SameSiteStrictMode)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *API) beginVouched(w http.ResponseWriter, r *http.Request) {
	next := localPath(r.URL.Query().Get("next"))
	to, kept, err := a.Access.BeginVouched(r.Context(), clientOf(r), next)
	if err != nil {
		a.showSignIn(w, r, wayIn{Next: next}, err)
		return
	}
	setCookie(w, flowCookie, kept, 600, http.SameSiteLaxMode)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// finishVouched takes the provider's answer. The browser comes from another site, and would not show its new cookie to a
// redirect; so it gets a page that goes on by itself.
func (a *API) finishVouched(w http.ResponseWriter, r *http.Request) {
	cookie, next, err := a.Access.FinishVouched(r.Context(), clientOf(r), cookieOf(r, flowCookie), r.URL.Query())
	setCookie(w, flowCookie, "", -1, http.SameSiteLaxMode)
	if err != nil {
		a.showSignIn(w, r, wayIn{Next: "/"}, err)
		return
	}
	setCookie(w, cookieName, cookie, 0, http.SameSiteStrictMode)
	w.Header().Set("Refresh", "0; url="+next)
	a.show(w, r, "signed-in", page{Title: "Signed in", Data: wayIn{Next: next}})
}
