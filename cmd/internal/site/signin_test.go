package site_test

import (
	"strconv"
	"testing"

	"ingot/cmd/internal/browser"
	"ingot/cmd/internal/simlaptop"
	"ingot/cmd/internal/site"
	"ingot/imaging/job"
	"ingot/store"
)

// stranger is somebody at a browser who is not signed in.
func stranger(t *testing.T, s *site.Site) *browser.Tab {
	t.Helper()
	b, err := chromium()
	must(t, err)
	tab, err := b.Tab(s.Pages)
	must(t, err)
	t.Cleanup(tab.Close)
	return tab
}

func signIn(t *testing.T, tab *browser.Tab, name, password string) {
	t.Helper()
	must(t, tab.Fill(`input[name="name"]`, name))
	must(t, tab.Fill(`input[name="password"]`, password))
	must(t, tab.Enter())
}

// TestSigningInLeadsToWhatWasWanted, and signing out leaves nothing behind.
func TestSigningInLeadsToWhatWasWanted(t *testing.T) {
	ctx, s, _, tab := pages(t, simlaptop.Golden{}, store.Technician)
	other := stranger(t, s)
	must(t, other.Open("/devices?q=state:ready"))
	if path, err := other.Path(); err != nil || path[:8] != "/sign-in" {
		t.Fatalf("a stranger is at %s, %v", path, err)
	}
	signIn(t, other, "anna", "wrong horse battery")
	must(t, other.Sees(string(job.CodeSignIn)))
	signIn(t, other, "anna", site.Password)
	must(t, other.Sees("Devices"))
	if path, err := other.Path(); err != nil || path != "/devices?q=state:ready" {
		t.Errorf("she is at %s, %v; want what she had asked for", path, err)
	}
	must(t, other.Go(`form[action="/sign-out"] button`))
	must(t, other.Open("/devices"))
	must(t, other.Has(`form[action="/sign-in"]`))
	// Somebody who is let in no more is out at once, wherever he is.
	must(t, tab.Open("/"))
	must(t, tab.Sees("No laptop is at work"))
	must(t, s.Do(ctx, []string{"operator", "disable", "anna"}))
	must(t, tab.Open("/devices"))
	must(t, tab.Has(`form[action="/sign-in"]`))
	signIn(t, tab, "anna", site.Password)
	must(t, tab.Sees(string(job.CodeSignIn)))
	tab.Odd() // the board's stream was cut off
}

// TestANameIsLockedAfterWrongPasswords: the right one does not help then, the administrator does.
func TestANameIsLockedAfterWrongPasswords(t *testing.T) {
	ctx, s, _, _ := pages(t, simlaptop.Golden{}, store.Technician)
	tab := stranger(t, s)
	must(t, tab.Open("/sign-in"))
	for range store.MaxWrong {
		signIn(t, tab, "anna", "wrong horse battery")
	}
	signIn(t, tab, "anna", site.Password)
	must(t, tab.Sees(string(job.CodeLockedOut)))
	must(t, s.Do(ctx, []string{"operator", "set", "anna", "--unlock"}))
	signIn(t, tab, "anna", site.Password)
	must(t, tab.Sees("No laptop is at work"))
}

// TestAPageWhoseSessionHasEndedLeadsToTheSignIn: the board on the wall and the scan page do not wait for ever, and lead back
// to themselves.
func TestAPageWhoseSessionHasEndedLeadsToTheSignIn(t *testing.T) {
	ctx, s, _, tab := pages(t, simlaptop.Golden{}, store.Technician)
	for _, c := range []struct{ page, act string }{
		{"/", ""},
		{"/scan", `(() => { document.querySelector("#scan").value = "PF3XXXX9"; document.querySelector("#scanform").requestSubmit(); return true })()`},
	} {
		must(t, tab.Open(c.page))
		if c.act == "" {
			must(t, tab.Wait("the live board", `document.body.dataset.live > 0`))
		}
		must(t, s.Do(ctx, []string{"operator", "set", "anna", "--sign-out"}))
		if c.act != "" {
			_, err := browser.Eval[bool](tab, c.act)
			must(t, err)
		}
		must(t, tab.Wait("the sign-in, after "+c.page, `location.pathname === "/sign-in" && location.search === "?next=" + encodeURIComponent(`+strconv.Quote(c.page)+`)`))
		signIn(t, tab, "anna", site.Password)
		must(t, tab.Wait("the page again", `location.pathname === `+strconv.Quote(c.page)))
	}
}
