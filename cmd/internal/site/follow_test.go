package site_test

import (
	"fmt"
	"testing"

	"ingot/cmd/internal/browser"
	"ingot/cmd/internal/simlaptop"
	"ingot/cmd/internal/site"
	"ingot/store"
)

// watched counts what changes in an element from now on, and keeps in mind what has the focus.
const watched = `(() => {
	globalThis.moved = 0;
	new MutationObserver(l => { globalThis.moved += l.length }).observe(document.querySelector(%q), {childList: true, subtree: true, characterData: true});
	globalThis.held = document.activeElement;
	return true;
})()`

// needed waits until the board has a sentence about who needs a person: on a small screen only the first one is seen.
func needed(tab *browser.Tab, sentence string) error {
	return tab.Wait(sentence, fmt.Sprintf(`document.querySelector("#needs").textContent.includes(%q)`, sentence))
}

// TestTheBoardLeavesAloneWhoStandsOnAButton: as long as nobody else needs a person nothing is put in place again, and then
// only what is new. Who stands on a button stays on it; a screen reader says nothing twice.
func TestTheBoardLeavesAloneWhoStandsOnAButton(t *testing.T) {
	ctx, s, v, tab := pages(t, simlaptop.Golden{}, store.Administrator)
	person(t, s, "berta", store.Administrator)
	must(t, s.Do(ctx, []string{"operator", "recover", "berta"}))
	all := waiting(t, s, 2, v, nil)
	must(t, tab.Open("/"))
	must(t, needed(tab, "2 new laptops show a code."))
	must(t, tab.Wait("the live board", `document.body.dataset.live > 0`))
	_, err := browser.Eval[bool](tab, `(() => { document.querySelector("#needs button").focus(); return true })()`)
	must(t, err)
	_, err = browser.Eval[bool](tab, fmt.Sprintf(watched, "#needs"))
	must(t, err)
	// The laptops say that they are still there, and the clock goes on.
	_, err = browser.Eval[bool](tab, `new Promise(done => setTimeout(() => done(true), 4000))`)
	must(t, err)
	if n, err := browser.Eval[int](tab, `globalThis.moved`); err != nil || n != 0 {
		t.Errorf("%d changes in who needs a person while nothing changed, %v", n, err)
	}
	third, err := s.Fleet(3, 1, v)
	must(t, err)
	stop, err := s.Waiting(ctx, third)
	t.Cleanup(stop)
	must(t, err)
	must(t, needed(tab, "3 new laptops show a code."))
	must(t, tab.Wait("the focus where it was", `document.activeElement === globalThis.held && globalThis.held.isConnected && globalThis.held.tagName === "BUTTON"`))
	// What it stood on goes away: the focus is on the next one, not at the top of the page.
	must(t, tab.Click(`#needs + button.more-needs`))
	_, err = browser.Eval[bool](tab, `(() => { document.querySelector("#needs a.button").focus(); return true })()`)
	must(t, err)
	for _, l := range append(all, third...) {
		must(t, s.Do(ctx, []string{"device", "adopt", l.Code}))
	}
	must(t, needed(tab, "3 laptops are ready and nobody said what for."))
	must(t, tab.Wait("the focus on what stands there now", `document.activeElement.matches("#needs a.button, #needs button")`))
}

// TestAListKeepsItsTicks while what it shows goes on, and asks nothing of the server when only others do.
func TestAListKeepsItsTicks(t *testing.T) {
	ctx, s, v, tab := pages(t, simlaptop.Golden{Payload: 6 << 20}, store.Technician)
	must(t, s.Do(ctx, []string{"role", "add", "sales", "--image", "sales", "--names", "LT-{serial:-4}"}))
	all := waiting(t, s, 3, v, func(l *site.Laptop) { l.Link = 1 << 20 })
	for _, l := range all[:2] {
		must(t, s.Do(ctx, []string{"device", "adopt", l.Code, "--role", "sales"}))
	}
	seer := person(t, s, "vera", store.Viewer)
	must(t, seer.Open("/devices?q=serial:"+all[0].Serial()))
	must(t, tab.Open("/devices?q=state:new"))
	const fetches = `performance.getEntriesByType("resource").filter(e => e.name.includes("/devices")).length`
	other := person(t, s, "carl", store.Technician)
	must(t, other.Open("/devices?q=is:here"))
	must(t, other.Click(`tr:nth-child(2) input[name=device]`))
	must(t, other.Sees("1 ticked"))
	_, err := browser.Eval[bool](other, `(() => { globalThis.held = document.activeElement; return true })()`)
	must(t, err)
	must(t, s.Do(ctx, []string{"deploy", all[0].Serial(), "--role", "sales"}, []string{"deploy", all[1].Serial(), "--role", "sales"}))
	must(t, other.Wait("progress in the list", `document.querySelector("#devices tbody").innerText.includes(" %")`))
	must(t, other.Wait("progress goes on in the list", `(() => { const v = document.querySelector("#devices tbody").innerText; globalThis.was ??= v; return globalThis.was !== v })()`))
	must(t, other.Wait("the tick, and the focus on it", `(() => {
		const ticked = document.querySelectorAll("#devices input[name=device]:checked");
		return ticked.length === 1 && document.activeElement === globalThis.held && ticked[0] === globalThis.held && document.querySelector("#ticked").textContent === "1 ticked";
	})()`))
	must(t, seer.Wait("a viewer's list that goes on", `document.querySelector("#devices tbody").innerText.includes(" %")`))
	if n, err := browser.Eval[int](tab, fetches); err != nil || n != 0 {
		t.Errorf("the list of others was fetched %d times, %v", n, err)
	}
}
