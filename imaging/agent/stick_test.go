package agent_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging/agent"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/job/client"
	"ingot/store"
)

// onCable is a laptop that knows its network adapters.
type onCable struct{ *laptop }

// Describe implements agent.Machine.
func (l onCable) Describe(ctx context.Context) (job.Hello, error) {
	h, err := l.laptop.Describe(ctx)
	h.Links = []job.Link{{Name: "eth0", MAC: "52:54:00:00:00:09"}, {Name: "eth1", MAC: "52:54:00:00:00:01", Boot: true}}
	return h, err
}

// bootStick starts the laptop from a stick: no token, a new key.
func (l *laptop) bootStick(base string, pin job.KeyID) (wait func() error) {
	l.b.t.Helper()
	c, err := client.New(base, pin)
	must(l.b.t, err)
	a := &agent.Agent{Daemon: c, Images: l.b.img, Machine: onCable{l}, Drives: l, Personaliser: l, Firmware: l, Power: l, Screen: l,
		Bundle: "bundle-00000000000000aa", Say: func(s string) { l.said <- s }, Log: zerolog.Nop(), Linger: time.Millisecond}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(l.b.t.Context())
	go func() {
		done <- a.Run(ctx)
		c.Close()
	}()
	return func() error { defer cancel(); return <-done }
}

func TestAStickBringsALaptopToItsImage(t *testing.T) {
	b := newBench(t, newGolden(t, 8))
	l := b.laptop(8)
	wait := l.bootStick(b.base, b.pin)
	l.hears("started from a stick")
	j := l.order()
	l.hears("done")
	if err := wait(); err != nil || l.ended != "reset" {
		t.Fatalf("Run = %v, ended by %q", err, l.ended)
	}
	l.holds()
	got, err := b.service.Job(context.Background(), j.ID)
	must(t, err)
	if got.State != job.Done || got.Bundle != "bundle-00000000000000aa" {
		t.Errorf("the job is %s, started with %q", got.State, got.Bundle)
	}
	if logs, err := b.service.BootLogs(context.Background(), "52:54:00:00:00:01"); err != nil || logs[0].Events[0].Leg != "stick" {
		t.Errorf("the boot log of the adapter that reached the daemon is %+v, %v", logs, err)
	}
}

// TestAStickStartsNobodyOnAClosedBench: the person reads why and what to do, and the laptop goes back to its own system;
// one that has none is switched off, since a reset would bring it back to the stick.
func TestAStickStartsNobodyOnAClosedBench(t *testing.T) {
	b := newBench(t, newGolden(t, 8))
	_, err := b.service.OpenBench(context.Background(), "anna", store.Bench{})
	must(t, err)
	for ended, own := range map[string]error{"reset": nil, "off": errors.New("no entry")} {
		l := b.laptop(8)
		l.noSystem = own
		wait := l.bootStick(b.base, b.pin)
		said := l.hears("refused ")
		if err := wait(); err != nil || l.ended != ended {
			t.Errorf("own system: %v: Run = %v, ended by %q; want %q", own, err, l.ended, ended)
		}
		if !strings.HasPrefix(said, "refused E650 ") || !strings.Contains(said, "ingot bench open 4h") {
			t.Errorf("the console says %q", said)
		}
		if v := l.lastView(); v.Colour != agent.Yellow || v.Fault != job.CodeBenchClosed || !strings.Contains(v.Next, "ingot bench open 4h") {
			t.Errorf("the screen shows %+v", v)
		}
		for _, x := range l.bytes() {
			if x != 0 {
				t.Fatal("the drive was written")
			}
		}
	}
	if d, err := b.service.Devices(context.Background()); err != nil || len(d) > 0 {
		t.Errorf("refused laptops left %+v, %v", d, err)
	}
}

// TestAnOldStickSaysSo meets a daemon of another protocol.
func TestAnOldStickSaysSo(t *testing.T) {
	b := newBench(t, newGolden(t, 8))
	key, err := deploy.LoadListener(t.TempDir() + "/key")
	must(t, err)
	ln, err := key.Listen("127.0.0.1:0")
	must(t, err)
	s := &httptest.Server{Listener: ln, Config: key.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"version":99}`) }))}
	s.Start()
	defer s.Close()
	l := b.laptop(8)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c, err := client.New("https://"+ln.Addr().String(), key.Pin())
	must(t, err)
	defer c.Close()
	a := &agent.Agent{Daemon: c, Images: b.img, Machine: onCable{l}, Drives: l, Personaliser: l, Firmware: l, Power: l, Screen: l, Say: func(s string) { l.said <- s }, Log: zerolog.Nop()}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	if said := <-l.said; !strings.HasPrefix(said, "failed E652 ") {
		t.Errorf("the console says %q", said)
	}
	stop()
	<-done
}
