package browser

import (
	"fmt"
	"os"
	"strings"
)

// Fault is one thing that axe-core found.
type Fault struct {
	Rule   string
	Impact string
	Help   string
	Where  []string // selectors
}

// String is for a test's words.
func (f Fault) String() string {
	return fmt.Sprintf("%s (%s): %s: %s", f.Rule, f.Impact, f.Help, strings.Join(f.Where, ", "))
}

// judge runs every rule of axe and gives what violates one. Rules that axe itself calls experimental are left out.
const judge = `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v => ({
	Rule: v.id, Impact: v.impact ?? "", Help: v.help, Where: v.nodes.slice(0, 5).map(n => n.target.join(" "))})))`

// Axe lets axe-core judge the page as it is now.
func (t *Tab) Axe() ([]Fault, error) {
	text, err := os.ReadFile(axeFile())
	if err != nil {
		return nil, fmt.Errorf("axe-core is missing: scripts/install browser: %w", err)
	}
	if _, err := Eval[bool](t, string(text)+"\n;true"); err != nil {
		return nil, fmt.Errorf("load axe-core: %w", err)
	}
	return Eval[[]Fault](t, judge)
}

// overflow lists what sticks out of the window to the right: a page that a person has to push sideways. What lies within
// something that scrolls by itself is in order.
const overflow = `(() => {
	const wide = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth <= wide) return [];
	const inner = e => { for (let p = e.parentElement; p && p !== document.body; p = p.parentElement) if (/auto|scroll|hidden|clip/.test(getComputedStyle(p).overflowX)) return true; return false; };
	return [...document.body.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > wide + 1 && !inner(e)).slice(0, 5)
		.map(e => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + (e.className ? "." + e.className : "") + " to " + Math.round(e.getBoundingClientRect().right) + " of " + wide + ": " + e.innerText?.slice(0, 40));
})()`

// Overflow lists what makes the page wider than the window.
func (t *Tab) Overflow() ([]string, error) { return Eval[[]string](t, overflow) }
