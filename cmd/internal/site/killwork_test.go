package site_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/cmd/internal/simlaptop"
	"ingot/imaging/agent"
	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
)

// What the work of the kill test is counted as.
const (
	accepted = "versions accepted"
	captured = "captures accepted"
	imported = "imports accepted"
	resumed  = "captures that a kill cut off, and that went on to their end"
	moved    = "packs that gc wrote anew"
)

// Disks are made of pieces, most of them shared with others, so that gc finds packs that are needed in part.
const (
	piece   = 1 << 20
	payload = 6 * piece
	shared  = 24
)

// pieceOf is the piece of a seed.
func pieceOf(seed uint64) []byte {
	b := make([]byte, piece)
	var key [32]byte
	copy(key[:], fmt.Sprintf("piece %d", seed))
	rand.NewChaCha8(key).Read(b)
	return b
}

// findPayload finds where on the golden disk the payload lies, in one piece.
func findPayload(t *testing.T, gold []byte, g simlaptop.Golden) int {
	t.Helper()
	want := g.Bytes()
	at := bytes.Index(gold, want)
	if at < 0 {
		t.Fatal("the payload does not lie in one piece on the golden disk")
	}
	return at
}

// disk makes the next disk: the golden one with other pieces. Its label is known before it is sent, and its digest.
func (w *world) disk(kind string, rng *rand.Rand) (label string, disk []byte) {
	disk = bytes.Clone(w.gold)
	for at := 0; at < payload; at += piece {
		seed := rng.Uint64N(shared)
		if at == 0 {
			seed = shared + rng.Uint64N(1<<62)
		}
		copy(disk[w.at+at:], pieceOf(seed))
	}
	sum := sha256.Sum256(disk)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.labels++
	label = fmt.Sprintf("%s-%d", kind, w.labels)
	w.tried[label] = hex.EncodeToString(sum[:])
	return label, disk
}

// captures has one laptop after the other captured.
func (w *world) captures(ctx context.Context, rng *rand.Rand) {
	for !w.over.Load() && ctx.Err() == nil {
		w.bounded()
		if err := w.capture(ctx, rng); err != nil && ctx.Err() == nil {
			w.t.Errorf("a capture: %v", err)
			return
		}
	}
}

// capture takes a laptop from power-on to a version of its drive, or to a plain failure on its screen.
func (w *world) capture(ctx context.Context, rng *rand.Rand) error {
	label, disk := w.disk("capture", rng)
	var n int
	fmt.Sscanf(label, "capture-%d", &n)
	l, err := simlaptop.New(w.site.Dir, n, uint64(len(disk)))
	if err != nil {
		return err
	}
	defer os.Remove(l.Drive.Path)
	if err := os.WriteFile(l.Drive.Path, disk, 0o600); err != nil {
		return err
	}
	tap := &tap{w: w}
	l.Trip = func(t *http.Transport) http.RoundTripper { tap.Transport = t; return tap }
	r, err := l.PowerOn(w.site.Agents)
	if err != nil {
		return err
	}
	defer r.PullPlug()
	code, err := r.Code(ctx)
	if err != nil {
		return err
	}
	if err := w.order(ctx, l, "device", "adopt", code, "--name", l.Serial()); err != nil {
		return err
	}
	if err := w.order(ctx, l, "capture", l.Serial(), "--image", "captured", "--label", label, "--note", "made by a test"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := r.Until(ctx, "the end of its capture", func(v agent.View) bool { return v.Word == job.WordDone }); err != nil {
		if v := r.View(); v.Fault != "" && v.Next != "" { // it says what went wrong, and what to do
			w.count("captures that ended with "+string(v.Fault), 1)
			return nil
		}
		return err
	}
	if tap.cut {
		w.count(resumed, 1)
	}
	w.count(captured, 1)
	w.accept(r.View().Lines[0], label)
	return nil
}

// order gives one order about a laptop, as often as it takes: a kill may cut it off, and then it may have been heard.
func (w *world) order(ctx context.Context, l *simlaptop.Laptop, args ...string) error {
	for try := 1; ; try++ {
		err := w.site.Do(ctx, args)
		if err == nil {
			return nil
		}
		d, _ := w.site.Device(ctx, l.Serial()) // it may be down again
		if args[0] == "device" && d.State == store.Ready || args[0] == "capture" && d.Job != nil {
			return nil
		}
		if try == 5 {
			return err
		}
	}
}

// tap sees what a laptop asks.
type tap struct {
	*http.Transport
	w   *world
	cut bool // something that it sent for its capture was never answered
}

// RoundTrip notes the requests that bring the drive, and the one that makes it a version.
func (t *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	p := sending
	switch {
	case strings.HasSuffix(r.URL.Path, "/manifest"):
		p = recording
	case !strings.HasSuffix(r.URL.Path, "/chunks") && !strings.HasSuffix(r.URL.Path, "/want"):
		return t.Transport.RoundTrip(r)
	}
	leave := t.w.enter(p)
	res, err := t.Transport.RoundTrip(r)
	leave(err != nil)
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.cut = t.cut || err != nil
	return res, err
}

// imports imports one disk file after the other, with the command line.
func (w *world) imports(ctx context.Context, rng *rand.Rand) {
	for !w.over.Load() && ctx.Err() == nil {
		label, disk := w.disk("import", rng)
		file := filepath.Join(w.site.Dir, label+".raw")
		if err := os.WriteFile(file, disk, 0o600); err != nil {
			w.t.Error(err)
			return
		}
		if err := w.importOne(ctx, file, fmt.Sprint("imported", rng.IntN(2)), label); err != nil {
			w.t.Errorf("an import: %v", err)
			return
		}
		os.Remove(file)
		time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
		w.bounded()
	}
}

// bounded waits while there are so many versions that proving them would take the time of the test.
func (w *world) bounded() {
	for len(w.entries(false)) > 2*keep && !w.over.Load() {
		time.Sleep(10 * time.Millisecond)
	}
}

func (w *world) importOne(ctx context.Context, file, image, label string) error {
	w.gate.RLock()
	defer w.gate.RUnlock()
	leave := w.enter(importing)
	var got []store.Version
	err := w.site.Read(ctx, &got, "image", "import", file, "--image", image, "--label", label, "--note", "made by a test")
	leave(err != nil)
	switch {
	case err == nil:
		w.count(imported, 1)
		w.accept(got[0].Ref().String(), label)
	case w.wasCut():
		return nil
	}
	return err
}

// wasCut tells a request that a kill cut off from one that failed. The daemon is not started again while its asker still
// holds the gate.
func (w *world) wasCut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.down
}

// clears runs gc all the time.
func (w *world) clears(ctx context.Context, rng *rand.Rand) {
	for !w.over.Load() && ctx.Err() == nil {
		w.gate.RLock()
		got, err := w.clear(ctx)
		if err != nil && !w.wasCut() {
			w.t.Errorf("gc: %v", err)
		}
		w.gate.RUnlock()
		w.count(moved, got.NewPacks)
		w.count("packs that gc removed", got.Packs)
		time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
	}
}

// clear is one gc, phase by phase.
func (w *world) clear(ctx context.Context) (out store.Swept, err error) {
	body, err := w.post(ctx, "images/gc", store.Sweep{})
	if err != nil {
		return out, err
	}
	defer body.Close()
	leave, last := func(bool) {}, ""
	for dec := json.NewDecoder(body); ; {
		var l web.Line[store.Work, store.Swept]
		err := dec.Decode(&l)
		if l.Step == nil || l.Step.Phase != last {
			leave(err != nil)
			leave = func(bool) {}
		}
		switch {
		case err != nil:
			return out, job.Faultf(job.CodeDaemon, "gc: %v.", err)
		case l.Fault != nil:
			return out, l.Fault
		case l.Done != nil:
			return *l.Done, nil
		case l.Step != nil && l.Step.Phase != last:
			last = l.Step.Phase
			leave = w.enter(phase("gc: " + last))
		}
	}
}

// keep is how many versions are left with their content.
const keep = 6

// lives leads versions through their lives: they are released and retired, and the oldest given up.
func (w *world) lives(ctx context.Context, rng *rand.Rand) {
	for !w.over.Load() && ctx.Err() == nil {
		w.gate.RLock()
		living := w.entries(false)
		if act := w.nextAct(living, rng); act != nil && !w.wasCut() {
			if err := act(ctx); err != nil {
				w.t.Error(err)
			}
		}
		w.gate.RUnlock()
		if len(living) <= keep || w.wasCut() {
			time.Sleep(time.Duration(rng.IntN(30)) * time.Millisecond)
		}
	}
}

// nextAct chooses what happens to which version.
func (w *world) nextAct(living []*entry, rng *rand.Rand) func(context.Context) error {
	if len(living) == 0 {
		return nil
	}
	e, goes := living[rng.IntN(len(living))], len(living) > keep
	if goes {
		e = living[rng.IntN(len(living)-keep)]
	}
	w.mu.Lock()
	is := e.is.state
	w.mu.Unlock()
	switch {
	case goes && (is == store.Retired || is == store.Draft && rng.IntN(3) == 0):
		return func(ctx context.Context) error { return w.act(ctx, deleting, "delete", e, state{is, true}) }
	case is == store.Draft:
		return func(ctx context.Context) error {
			return w.act(ctx, releasing, "release", e, state{state: store.Released})
		}
	case is == store.Released:
		return func(ctx context.Context) error { return w.act(ctx, retiring, "retire", e, state{state: store.Retired}) }
	}
	return nil
}

// act does one thing to a version. When no answer comes it was done, or it was not.
func (w *world) act(ctx context.Context, p phase, what string, e *entry, to state) error {
	w.mu.Lock()
	e.perhaps = &to
	w.mu.Unlock()
	leave := w.enter(p)
	body, err := w.post(ctx, "images/"+what, store.VersionOrder{Version: e.ref, Reason: "a test", Override: "a test"})
	if err == nil {
		_, err = new(bytes.Buffer).ReadFrom(body)
		err = errors.Join(err, body.Close())
	}
	leave(err != nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		e.is, e.perhaps = to, nil
		w.tallies[what+" done"]++
	case !w.down:
		return fmt.Errorf("%s %s: %w", what, e.ref, err)
	}
	return nil
}

// post asks the daemon for one act over its socket, as the command line does.
func (w *world) post(ctx context.Context, path string, in any) (io.ReadCloser, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(w.site.Data, "ingot.sock"))
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://ingot/api/v1/"+path, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, job.Faultf(job.CodeDaemon, "%v.", err)
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer res.Body.Close()
	var no job.Refusal
	if err := json.NewDecoder(res.Body).Decode(&no); err != nil {
		return nil, job.Faultf(job.CodeDaemon, "%v.", err)
	}
	return nil, &no.Fault
}
