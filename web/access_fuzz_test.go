package web_test

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"ingot/store"
	"ingot/web"
)

// FuzzNext holds that whatever a link says, a sign-in leads to a path of this site.
func FuzzNext(f *testing.F) {
	for _, s := range []string{"/devices?q=a", "//evil.example", "/\\evil.example", "https:evil", "/%2f/evil", "/a/../../b", "\t//x", "/\x00", "/x#y", "?x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, next string) {
		got := web.LocalPath(next)
		base, _ := url.Parse("https://ingot.example/sign-in")
		to, err := base.Parse(got)
		if err != nil || to.Host != "ingot.example" || to.Scheme != "https" || !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\r\n\t\x00") || path.Clean(to.Path) != to.Path {
			t.Errorf("next %q leads to %q (%v, %v)", next, got, to, err)
		}
	})
}

// FuzzToken holds that what a program shows is taken apart as it was put together, or not at all.
func FuzzToken(f *testing.F) {
	f.Add(store.TokenText("ci", store.NewSecret()))
	f.Add("ingot..")
	f.Add("ingot.a.b.c")
	f.Fuzz(func(t *testing.T, text string) {
		if name, secret, ok := store.CutAPIToken(text); ok && (store.TokenText(name, secret) != text || !store.IsSecret(secret) || store.CheckLabel("a token", name) != nil) {
			t.Errorf("%q is name %q, secret %q", text, name, secret)
		}
	})
}
