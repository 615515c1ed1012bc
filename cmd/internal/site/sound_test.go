package site_test

import (
	"strings"
	"testing"

	"ingot/cmd/internal/browser"
	"ingot/cmd/internal/simlaptop"
	"ingot/store"
)

// listening puts an ear in the place of the loudspeaker: it notes the pitch of each tone, and each row that flashes.
const listening = `(() => {
	globalThis.tones = [];
	globalThis.flashes = 0;
	globalThis.AudioContext = class {
		currentTime = 0;
		createOscillator() { const o = {frequency: {value: 0}, connect: (x) => x, start() { globalThis.tones.push(o.frequency.value) }, stop() {}}; return o }
		createGain() { return {gain: {value: 0}, connect: (x) => x} }
	};
	document.querySelector("#scans").addEventListener("animationstart", () => { globalThis.flashes++ });
	return true;
})()`

// TestAScanIsHeardAndSeen: a high beep and a flash for what is done, a low one for what wants a look, and for a sticker that
// was scanned already no second row and no second beep.
func TestAScanIsHeardAndSeen(t *testing.T) {
	_, s, v, tab := pages(t, simlaptop.Golden{}, store.Technician)
	l := waiting(t, s, 1, v, nil)[0]
	must(t, tab.Open("/scan"))
	_, err := browser.Eval[bool](tab, listening)
	must(t, err)
	must(t, tab.Scan(l.Serial()))
	must(t, tab.Wait("a high beep and a flash", `globalThis.tones.length === 1 && globalThis.tones[0] > 1000 && globalThis.flashes > 0`))
	must(t, tab.Scan("NOBODY1"))
	must(t, tab.Wait("a low beep", `globalThis.tones.length === 2 && globalThis.tones[1] < 500`))
	must(t, tab.Scan(strings.ToLower(l.Serial())))
	must(t, tab.Sees("was scanned already"))
	if rows, err := tab.Count("#scans li"); err != nil || rows != 2 {
		t.Errorf("%d rows, %v; want 2", rows, err)
	}
	if tones, err := browser.Eval[int](tab, `globalThis.tones.length`); err != nil || tones != 2 {
		t.Errorf("%d beeps, %v; want 2", tones, err)
	}
}

// TestTheBoardComesBackAfterASleep: a computer that slept holds a connection that only looks alive. The board asks for a
// new one by itself, and shows what came to be meanwhile.
func TestTheBoardComesBackAfterASleep(t *testing.T) {
	_, s, v, tab := pages(t, simlaptop.Golden{}, store.Viewer)
	must(t, tab.Open("/"))
	must(t, tab.Wait("the live board", `document.body.dataset.live > 0`))
	_, err := browser.Eval[bool](tab, `(() => {
		const now = Date.now;
		Date.now = () => now() + 40000;
		return true;
	})()`)
	must(t, err)
	opened := func() (n int) {
		for _, u := range tab.Asked() {
			if strings.HasSuffix(u, "/live") {
				n++
			}
		}
		return n
	}
	before := opened()
	must(t, tab.Wait("a second snapshot", `performance.getEntriesByType("resource").filter(e => e.name.endsWith("/live")).length > 1 || document.body.dataset.live > 1`))
	waiting(t, s, 1, v, nil)
	must(t, tab.Wait("what came meanwhile", `document.querySelectorAll(".tile").length === 1 && document.querySelector("#offline").hidden`))
	if after := opened(); after <= before {
		t.Errorf("the page asked %d times for its stream, and %d times before it slept", after, before)
	}
}
