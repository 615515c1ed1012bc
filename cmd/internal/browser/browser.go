// Package browser drives Debian's Chromium, headless, as a person does: it types keys into what has the focus and
// presses the mouse where a thing is seen. It counts both, so that a test can say how many an act took.
//
// The idea: what a page does with a hostile string, without a mouse, on a phone, or when a strict policy forbids a
// script, only a browser knows. So the tests of the pages look from there. A Tab also keeps what a person does not see:
// errors of scripts, what the content security policy blocked, dialogs that opened, and requests to anywhere else.
//
//	b, err := browser.Start(ctx)
//	defer b.Close()
//	tab, err := b.Tab(ctx, "https://127.0.0.1:443")
//	err = tab.Open("/devices")
//	err = tab.Scan("PF3ABCDE")                  // keys and Enter, as a barcode scanner sends them
//	err = tab.Sees("done")
//	faults, err := tab.Axe()                    // what axe-core has to say
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"ingot/cmd/internal/lab"
)

// Program is what Debian calls the browser.
const Program = "chromium"

// patience is how long a page may take to show what is waited for, on two busy processors.
const patience = 20 * time.Second

// Missing says what a browser test lacks on this host, or nil.
func Missing() error {
	if _, err := exec.LookPath(Program); err != nil {
		return fmt.Errorf("%s is missing: scripts/install browser", Program)
	}
	if _, err := os.Stat(axeFile()); err != nil {
		return fmt.Errorf("axe-core is missing (%s): scripts/install browser", axeFile())
	}
	return nil
}

// Browser is one Chromium with tabs that share nothing.
type Browser struct {
	ctx    context.Context
	cancel []context.CancelFunc
}

// Start starts the browser. It trusts every certificate: the site's is its own.
func Start(ctx context.Context) (*Browser, error) {
	path, err := exec.LookPath(Program)
	if err != nil {
		return nil, fmt.Errorf("%s is missing: scripts/install browser", Program)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.IgnoreCertErrors, chromedp.DisableGPU,
		chromedp.Flag("lang", "en"), chromedp.Flag("disable-dev-shm-usage", true))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium's own sandbox refuses root
	}
	b := &Browser{}
	var cancel context.CancelFunc
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	b.cancel = append(b.cancel, cancel)
	b.ctx, cancel = chromedp.NewContext(ctx)
	b.cancel = append(b.cancel, cancel)
	if err := chromedp.Do(b.ctx); err != nil {
		b.Close()
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return b, nil
}

// Close ends the browser.
func (b *Browser) Close() {
	for i := len(b.cancel) - 1; i >= 0; i-- {
		b.cancel[i]()
	}
}

// Tab is one tab, with cookies of its own: another person at another computer.
type Tab struct {
	Clicks int // of the mouse
	Scans  int // of a barcode scanner
	Keys   int // of the keyboard, without those of scans

	base string
	ctx  context.Context
	end  context.CancelFunc

	mu    sync.Mutex
	odd   []string // what a person does not see and a test must know
	asked []string // every URL
}

// Tab opens a tab on the site at base.
func (b *Browser) Tab(base string) (*Tab, error) {
	t := &Tab{base: base}
	t.ctx, t.end = chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	if err := chromedp.Do(t.ctx, t.watch()); err != nil {
		t.end()
		return nil, fmt.Errorf("open a tab: %w", err)
	}
	return t, t.Size(1366, 768)
}

// Close closes the tab.
func (t *Tab) Close() { t.end() }

// watch listens to what goes wrong without being seen.
func (t *Tab) watch() chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		follow(t, runtime.ExceptionThrown, func(e runtime.EventExceptionThrown) string {
			text := e.ExceptionDetails.Text
			if x := e.ExceptionDetails.Exception; x != nil {
				text += " " + x.Description
			}
			return "a script failed: " + text
		})
		follow(t, page.JavascriptDialogOpening, func(e page.EventJavascriptDialogOpening) string {
			go chromedp.Call(t.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true}) // it holds the page
			return "a dialog opened: " + e.Message
		})
		follow(t, network.RequestWillBeSent, func(e network.EventRequestWillBeSent) string {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.asked = append(t.asked, e.Request.URL)
			return ""
		})
		follow(t, log.EntryAdded, func(e log.EventEntryAdded) string {
			if !strings.Contains(e.Entry.Text, "Content Security Policy") {
				return "" // an answer of 404, which the page shows
			}
			return "blocked: " + e.Entry.Text
		})
		if _, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, log.Enable, cdp.Empty{})
		return err
	})
}

// follow notes each event of a kind that f has words for, until the tab is closed.
func follow[E any](t *Tab, kind cdp.Event[E], f func(E) string) {
	events := chromedp.Events(t.ctx, kind)
	go func() { // ends with the tab
		for e, err := range events {
			if err != nil {
				return
			}
			if text := f(e); text != "" {
				t.note(text)
			}
		}
	}()
}

func (t *Tab) note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.odd = append(t.odd, text)
}

// Odd is everything since the last call that no person sees: failed scripts, dialogs, what the policy blocked.
func (t *Tab) Odd() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	odd := t.odd
	t.odd = nil
	return odd
}

// Asked lists every address that the tab has asked for.
func (t *Tab) Asked() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.asked...)
}

// limited bounds one step.
func (t *Tab) limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.ctx, patience)
}

// Eval evaluates an expression in the page; a promise is waited for.
func Eval[T any](t *Tab, expression string) (T, error) {
	ctx, cancel := t.limited()
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, func(p *runtime.EvaluateParams) { p.AwaitPromise = new(true) }))
	if err != nil {
		err = fmt.Errorf("ask the page: %w", err)
	}
	return v, err
}

var errNever = errors.New("it never became so")

// AxeVersion is what judges the pages; scripts/install fetches it.
const AxeVersion = "4.14.1"

func axeFile() string {
	cache, err := lab.CacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "axe-core-"+AxeVersion, "axe.min.js")
}
