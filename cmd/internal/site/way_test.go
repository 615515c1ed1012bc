package site_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"ingot/cmd/internal/browser"
)

// links lists where the page that is open leads.
const links = `[...document.querySelectorAll("a[href], form[method=get], button[formaction]")].map(e => new URL(e.getAttribute("href") ?? e.getAttribute("formaction") ?? e.action, location.href))
	.filter(u => u.origin === location.origin).map(u => u.pathname + u.search)`

// TestEveryPageIsReachedFromTheBoard follows every link from the board on: what nobody finds is not there.
func TestEveryPageIsReachedFromTheBoard(t *testing.T) {
	_, tab := settle(t)
	mux := http.NewServeMux()
	left := map[string]bool{}
	for _, p := range allPages() {
		left[p] = true
		if p == "/" {
			p += "{$}"
		}
		mux.HandleFunc("GET "+p, func(http.ResponseWriter, *http.Request) {})
	}
	seen, next := map[string]bool{"/": true}, []string{"/"}
	most := map[string]int{} // of one pattern a few are enough
	for len(next) > 0 && len(left) > 0 {
		path := next[0]
		next = next[1:]
		req, err := http.NewRequest(http.MethodGet, path, nil)
		must(t, err)
		_, pattern := mux.Handler(req)
		pattern = strings.TrimSuffix(strings.TrimPrefix(pattern, "GET "), "{$}")
		if most[pattern]++; pattern == "" || most[pattern] > 8 {
			continue
		}
		must(t, tab.Open(path))
		if req.URL.RawQuery != "" || !slices.Contains([]string{"/labels/sheet", "/devices/act", "/images/{image}/diff"}, pattern) { // a form without what a person gives says so
			title, err := tab.Text("[role=alert] .code")
			must(t, err)
			if title != "" {
				t.Errorf("a link leads to %s, which says %s", path, title)
			}
		}
		delete(left, pattern)
		found, err := browser.Eval[[]string](tab, links)
		must(t, err)
		for _, l := range found {
			if !seen[l] && !strings.HasPrefix(l, "/api/") && !slices.Contains(next, l) {
				seen[l], next = true, append(next, l)
			}
		}
	}
	for p := range left {
		t.Errorf("no link leads to %s", p)
	}
}
