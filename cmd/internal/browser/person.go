package browser

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Open goes to a path of the site and waits until it is loaded.
func (t *Tab) Open(path string) error {
	ctx, cancel := t.limited()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(t.base+path)); err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	return t.focused()
}

// focused gives the browser the moment that it takes to put the focus where the page wants it: keys that come before are
// lost, as they would be to a person. A page may want it where it cannot be; that is no fault here.
func (t *Tab) focused() error {
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok, err := Eval[bool](t, `!document.querySelector("[autofocus]") || document.activeElement !== document.body`); err != nil || ok {
			return err
		}
	}
	return nil
}

// SetUp follows the one-time link with which somebody is let in, sets a password, and is signed in. What that took is
// not counted.
func (t *Tab) SetUp(link, name, password string) error {
	for _, step := range []func() error{
		func() error { return t.Open(link) },
		func() error { return t.Fill(`input[name="password"]`, password) },
		func() error { return t.Fill(`input[name="again"]`, password) },
		t.Enter,
		func() error { return t.Sees(name) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("%s does not get in: %w", name, err)
		}
	}
	t.Keys, t.Clicks, t.Scans = 0, 0, 0
	return nil
}

// NoScript lets the pages of this tab run no script from the next one on.
func (t *Tab) NoScript() error {
	ctx, cancel := t.limited()
	defer cancel()
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		return fmt.Errorf("switch scripts off: %w", err)
	}
	return nil
}

// Path is where the tab is now.
func (t *Tab) Path() (string, error) { return Eval[string](t, `location.pathname + location.search`) }

// Wait waits until an expression is true of the page.
func (t *Tab) Wait(what, expression string) error {
	for end := time.Now().Add(patience); ; {
		ok, err := Eval[bool](t, `Boolean(`+expression+`)`) // a page that is on its way to another gives an error
		if ok {
			return nil
		}
		if time.Now().After(end) {
			text, _ := t.Text("body") // only to say more about what is wrong already
			path, _ := t.Path()
			return errors.Join(fmt.Errorf("wait for %s on %s: %w; the page says %.1000q", what, path, errNever, text), err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Sees waits until a text stands on the page, where a person can see it.
func (t *Tab) Sees(text string) error {
	return t.Wait("the text "+text, `document.body && document.body.innerText.includes(`+strconv.Quote(text)+`)`)
}

// Has waits until there is an element.
func (t *Tab) Has(css string) error {
	return t.Wait("the element "+css, `document.querySelector(`+strconv.Quote(css)+`)`)
}

// Text is what a person reads in the first element that matches.
func (t *Tab) Text(css string) (string, error) {
	return Eval[string](t, `document.querySelector(`+strconv.Quote(css)+`)?.innerText ?? ""`)
}

// Count counts elements.
func (t *Tab) Count(css string) (int, error) {
	return Eval[int](t, `document.querySelectorAll(`+strconv.Quote(css)+`).length`)
}

// spot is the middle of a thing, if a press there would hit it.
type spot struct {
	X, Y float64
	Why  string
}

// find scrolls a thing into view and tells where to press. What is covered by another thing cannot be pressed.
const find = `(() => {
	const e = document.querySelector(%s);
	if (!e) return {Why: "it is not there"};
	if (e.disabled) return {Why: "it is disabled"};
	e.scrollIntoView({block: "center", behavior: "instant"});
	const r = e.getBoundingClientRect();
	if (!r.width || !r.height) return {Why: "it is not seen"};
	const x = r.left + r.width / 2, y = r.top + r.height / 2, hit = document.elementFromPoint(x, y);
	if (!hit || !(e.contains(hit) || hit.contains(e) && hit.tagName === "LABEL")) return {Why: "it is covered by " + hit?.outerHTML.slice(0, 100)};
	return {X: x, Y: y, Why: ""};
})()`

// Click presses the mouse on the first element that matches.
func (t *Tab) Click(css string) error {
	if err := t.Has(css); err != nil {
		return err
	}
	at, err := Eval[spot](t, fmt.Sprintf(find, strconv.Quote(css)))
	if err == nil && at.Why != "" {
		err = errors.New(at.Why)
	}
	if err != nil {
		return fmt.Errorf("click %s: %w", css, err)
	}
	ctx, cancel := t.limited()
	defer cancel()
	t.Clicks++
	if err := chromedp.Do(ctx, chromedp.MouseClickXY(at.X, at.Y)); err != nil {
		return fmt.Errorf("click %s: %w", css, err)
	}
	return nil
}

// Go presses the mouse on something that leads to another page, and waits for that.
func (t *Tab) Go(css string) error {
	if _, err := Eval[bool](t, `globalThis.ingotHere = true`); err != nil {
		return err
	}
	if err := t.Click(css); err != nil {
		return err
	}
	return t.arrived("after a click on " + css)
}

// arrived waits for a page other than the marked one.
func (t *Tab) arrived(when string) error {
	return t.Wait("another page "+when, `!globalThis.ingotHere && document.readyState === "complete"`)
}

// Type sends keys to what has the focus.
func (t *Tab) Type(keys string) error {
	t.Keys += len([]rune(keys))
	return t.keys(keys)
}

// keys presses and lets go of one key after another. A key that is pressed carries its character, as a real one's does: a
// page that takes the key for itself gets no character then.
func (t *Tab) keys(keys string) error {
	ctx, cancel := t.limited()
	defer cancel()
	for _, r := range keys {
		all := kb.Encode(r)
		down, up := *all[0], *all[len(all)-1]
		if len(all) == 3 {
			down.Text, down.UnmodifiedText = all[1].Text, all[1].UnmodifiedText
		}
		for _, e := range []input.DispatchKeyEventParams{down, up} {
			if _, err := chromedp.Call(ctx, input.DispatchKeyEvent, e); err != nil {
				return fmt.Errorf("type %q: %w", keys, err)
			}
		}
	}
	return nil
}

// Enter presses the Enter key and waits for the page that it leads to.
func (t *Tab) Enter() error {
	if _, err := Eval[bool](t, `globalThis.ingotHere = true`); err != nil {
		return err
	}
	if err := t.Type(kb.Enter); err != nil {
		return err
	}
	return t.arrived("after Enter")
}

// Scan does what a barcode scanner does: the characters, then Enter, to whatever has the focus.
func (t *Tab) Scan(code string) error {
	t.Scans++
	return t.keys(code + kb.Enter)
}

// Fill clears a field and types into it.
func (t *Tab) Fill(css, text string) error {
	if err := t.Has(css); err != nil {
		return err
	}
	if ok, err := Eval[bool](t, `(() => { const e = document.querySelector(`+strconv.Quote(css)+`); e.focus(); e.select?.(); return document.activeElement === e })()`); err != nil || !ok {
		return errors.Join(fmt.Errorf("fill %s: it does not take the focus", css), err)
	}
	if text == "" {
		text = kb.Backspace
	}
	return t.Type(text)
}

// Choose sets a list to one of its values, as a person who picks it.
func (t *Tab) Choose(css, value string) error {
	if err := t.Has(css); err != nil {
		return err
	}
	ok, err := Eval[bool](t, fmt.Sprintf(`(() => { const e = document.querySelector(%s); e.value = %s; e.dispatchEvent(new Event("change", {bubbles: true})); return e.value === %[2]s })()`, strconv.Quote(css), strconv.Quote(value)))
	if err == nil && !ok {
		err = errors.New("there is no such value")
	}
	if err != nil {
		return fmt.Errorf("choose %s in %s: %w", value, css, err)
	}
	return nil
}

// Size makes the window so large. Below 500 wide it is a phone.
func (t *Tab) Size(width, height int64) error {
	ctx, cancel := t.limited()
	defer cancel()
	_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 500})
	if err != nil {
		return fmt.Errorf("set the window to %d x %d: %w", width, height, err)
	}
	return nil
}

// Shot writes what the window shows to a PNG file.
func (t *Tab) Shot(file string) error {
	ctx, cancel := t.limited()
	defer cancel()
	got, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{})
	if err != nil {
		return fmt.Errorf("screenshot: %w", err)
	}
	return errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, got.Data, 0o644))
}
