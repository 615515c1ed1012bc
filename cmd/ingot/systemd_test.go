package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/pxe"
)

// asManager listens as systemd does.
func asManager(t *testing.T, watchdog time.Duration) (hear func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", fmt.Sprint(watchdog.Microseconds()))
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	return func() string {
		b := make([]byte, 1000)
		if err := c.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, _, err := c.ReadFrom(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return ""
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func TestTheServiceManagerIsTold(t *testing.T) {
	hear := asManager(t, 0)
	m := findManager()
	m.tell("READY=1")
	m.status("answering laptops")
	if a, b := hear(), hear(); a != "READY=1" || b != "STATUS=answering laptops" {
		t.Errorf("heard %q and %q", a, b)
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if m := findManager(); m != nil {
		t.Errorf("without a manager there is %v", m)
	}
	(*manager)(nil).status("nobody hears this")
	(*manager)(nil).starting()()
}

// TestADaemonThatDoesNotAnswerItselfIsSilent: a check that fails or hangs keeps the sign of life back, and the log
// says why.
func TestADaemonThatDoesNotAnswerItselfIsSilent(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for name, c := range map[string]struct {
		within time.Duration // how soon the manager wants a sign of life; a third of it is what the check has
		check  func(context.Context) error
		want   string
	}{
		"it answers": {time.Hour, func(context.Context) error { return nil }, "WATCHDOG=1"},
		"it fails":   {time.Hour, func(context.Context) error { return errors.New("the database is stuck") }, ""},
		"it hangs":   {100 * time.Millisecond, func(context.Context) error { <-release; return nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			hear := asManager(t, c.within)
			m := findManager()
			log := &toldLog{written: make(chan struct{})}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- m.watchdog(zerolog.New(log), c.check)(ctx) }()
			got := ""
			if c.want != "" {
				for got == "" && t.Context().Err() == nil {
					got = hear()
				}
			} else {
				<-log.written // it has looked, and said so
				got = hear()
			}
			cancel()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("heard %q; want %q", got, c.want)
			}
			if said := strings.Contains(log.String(), "does not answer itself"); said == (c.want != "") {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// toldLog is a log that tells when something stands in it. It is read when its writer has ended.
type toldLog struct {
	bytes.Buffer
	once    sync.Once
	written chan struct{}
}

// Write implements io.Writer.
func (f *toldLog) Write(b []byte) (int, error) {
	n, err := f.Buffer.Write(b)
	f.once.Do(func() { close(f.written) })
	return n, err
}

// TestTheJournalStampsItsLinesItself: priority in front, no second time.
func TestTheJournalStampsItsLinesItself(t *testing.T) {
	var out bytes.Buffer
	log := zerolog.New(journal{&out})
	log.Info().Str("data", "/var/lib/ingot").Msg("ingot is ready")
	log.Warn().Msg("interface usb0 is gone")
	log.Error().Err(errors.New("no\nroom")).Msg("lease could not be stored")
	log.Debug().Msg("packet")
	want := "<6>ingot is ready data=/var/lib/ingot\n<4>interface usb0 is gone\n<3>lease could not be stored error=\"no\\nroom\"\n<7>packet\n"
	if out.String() != want {
		t.Errorf("lines\n%s\nwant\n%s", &out, want)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "stream"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", st.Dev, st.Ino))
	if !intoJournal(f) || intoJournal(os.Stdout) || intoJournal(&out) {
		t.Error("the journal's own stream is not told from others")
	}
}

func TestWhatTheServiceShowsOfItself(t *testing.T) {
	var last string
	s := &state{tell: func(w string) { last = w }}
	s.stands([]pxe.Stand{{Interface: "usb0", Addr: netip.MustParseAddr("10.0.0.5")}, {Interface: "enp3s0"}})
	if want := "answering laptops on usb0 (10.0.0.5); waiting for interface enp3s0"; last != want {
		t.Errorf("%q; want %q", last, want)
	}
	s.disk("the disk is full")
	s.stands(nil)
	if last != "the disk is full" {
		t.Errorf("%q; want the disk", last)
	}
	s.disk("")
	if last != "no interface is configured: nobody is answered" {
		t.Errorf("%q; want where laptops are answered", last)
	}
}

func TestHowTheLastDaemonEnded(t *testing.T) {
	dir := t.TempDir()
	if readLife(dir) != nil {
		t.Error("a sign of life in an empty folder")
	}
	var log bytes.Buffer
	at := time.Date(2026, 11, 25, 19, 0, 0, 0, time.UTC)
	l := &life{path: filepath.Join(dir, lifeName), boot: "one", clk: newSteadyClock((&clocks{reading{at, time.Hour}}).read, nil, "one"), log: zerolog.New(&log)}
	for _, c := range []struct {
		clean bool
		boot  string
		want  string
	}{
		{true, "one", ""},
		{true, "two", ""},
		{false, "one", "The daemon was killed or failed; it was last alive at 2026-11-25 19:00:00 UTC."},
		{false, "two", "The server stopped without ending the daemon: a power cut, a reset or a crash; it was last alive at 2026-11-25 19:00:00 UTC."},
	} {
		l.write(c.clean)
		if got := endOf(readLife(dir), c.boot); got != c.want {
			t.Errorf("clean %v, boot %s: %q; want %q", c.clean, c.boot, got, c.want)
		}
	}
	if s := readLife(dir); s == nil || s.Up != time.Hour {
		t.Errorf("the sign is %+v", s)
	}
	if st, err := os.Stat(l.path); err != nil || st.Size() != lifeSize {
		t.Errorf("the file: %v, %v; want always %d bytes, written in place", st, err, lifeSize)
	}
	// What a power cut left half-written is no sign, and no hindrance.
	if err := os.WriteFile(l.path, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if readLife(dir) != nil {
		t.Error("zeros were read as a sign of life")
	}
	if log.Len() > 0 {
		t.Errorf("log: %s", &log)
	}
}
