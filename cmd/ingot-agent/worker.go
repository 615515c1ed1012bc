package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/rs/zerolog"

	"ingot/cmd/ingot-agent/internal/cmdline"
	"ingot/cmd/ingot-agent/internal/kmod"
	"ingot/cmd/ingot-agent/internal/link"
	"ingot/imaging/agent"
	"ingot/imaging/job"
	"ingot/imaging/job/client"
	"ingot/imaging/wipe"
)

// patience is how long the search for the network stays grey before the screen asks for help.
const patience = 10 * time.Second

// worker is the boot environment put together.
type worker struct {
	lines  *ring
	screen *display
	log    zerolog.Logger
	say    func(string)
}

// softMemory is the heap, in bytes, from which the worker collects garbage harder instead of growing: a laptop with
// 1 GB holds stage 2 and the kernel beside it. Buffers of the restore are some 100 MiB of it.
const softMemory = 200 << 20

// runWorker is everything after the first mounts. It returns only when it cannot go on.
func runWorker() int {
	debug.SetMemoryLimit(softMemory)
	lines := newRing(openSerial())
	w := &worker{lines: lines, screen: newDisplay(lines)}
	w.say = func(s string) { fmt.Fprintf(lines, "ingot: %s\n", s) }
	w.log = zerolog.New(plainWriter{lines}).Level(zerolog.InfoLevel)
	go w.screen.run()
	go w.screen.keys()
	w.say("agent " + version)
	if err := w.work(context.Background()); err != nil {
		w.fail(err)
		select {} // a person reads, then switches the laptop off
	}
	return 1
}

func (w *worker) work(ctx context.Context) error {
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("read the kernel command line: %w", err)
	}
	line, err := cmdline.Parse(string(text))
	if err != nil {
		return fmt.Errorf("%w: %w", job.Faultf(job.CodeProtocol, "The boot loader handed on a damaged line: %s.", job.Reason(err)), err)
	}
	if line.Debug {
		w.log = w.log.Level(zerolog.DebugLevel)
	}
	lap, err := w.hardware(line)
	if err != nil {
		return err
	}
	go func() {
		if err := lap.net.Run(ctx); err != nil {
			w.fail(job.Faultf(job.CodeProtocol, "The server's address is not usable: %s.", job.Reason(err)))
		}
	}()
	w.findServer(ctx, lap.net)
	if lap.daemon, err = client.New("https://"+lap.net.Address(), line.Pin); err != nil {
		return fmt.Errorf("%w: %w", job.Faultf(job.CodeProtocol, "The boot loader handed on a damaged line."), err)
	}
	lap.daemon.Kernel = filepath.Base(lap.loader.Dir)
	return w.agent(lap, line).Run(ctx)
}

// hardware loads the network's drivers and keeps loading as devices appear.
func (w *worker) hardware(line cmdline.Line) (*laptop, error) {
	dir, err := modulesDir()
	if err != nil {
		return nil, err
	}
	l := &laptop{whole: line.Stick, loader: &kmod.Loader{Dir: dir}, net: link.New("/sys", hostPort(line.URL), line.Pin, w.log),
		entries: &bootEntries{log: w.log}, say: w.say, log: w.log}
	l.net.Ask = line.Stick
	for _, u := range line.More {
		l.net.More = append(l.net.More, hostPort(u))
	}
	go w.lines.followKernel(func(line string) {
		if file, missing := link.MissingFirmware(line); missing {
			l.warn("A driver wanted the firmware file " + file + ", which the boot bundle lacks.")
		}
	})
	if err := l.loader.Refresh(); err != nil {
		return nil, fmt.Errorf("%w: %w", job.Faultf(job.CodeStage2, "Stage 1 holds no modules for this kernel, %s.", filepath.Base(dir)), err)
	}
	if err := followDevices(l.loader, w.log); err != nil {
		w.log.Warn().Err(err).Msg("devices that are plugged in later will not be seen")
	}
	l.coldplug()
	return l, nil
}

// hostPort is a URL's host with its port, also when that is the usual one.
func hostPort(u *url.URL) string { return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443")) }

// findServer shows what stands between the laptop and the daemon until nothing does.
func (w *worker) findServer(ctx context.Context, way *link.Manager) {
	start, said := time.Now(), job.Code("")
	for {
		v := agent.View{Word: "starting", Colour: agent.Grey, Bar: -1, Left: -1, SafeTo: agent.UnplugAllowed, Sentence: "Looking for the server."}
		code, fact := way.Status()
		if code != "" && time.Since(start) > patience {
			words := code.Words()
			v.Word, v.Colour, v.Sentence, v.Next, v.Lines = "waiting", agent.Yellow, words.Sentence, words.Next, append([]string{fact}, way.Warnings()...)
			if code != said {
				said = code
				w.say(fmt.Sprintf("waiting %s %s %s", code, words.Sentence, fact))
			}
		}
		w.screen.Show(v)
		select {
		case <-ctx.Done():
			return
		case <-way.Reached():
			w.screen.setNote(func() string { return linkNote(way) })
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// linkNote is the line that is added to the screen while the way to the daemon is gone.
func linkNote(way *link.Manager) string {
	code, fact := way.Status()
	if code == "" {
		return ""
	}
	return code.Words().Sentence + " " + fact + " It goes on by itself."
}

func (w *worker) agent(l *laptop, line cmdline.Line) *agent.Agent {
	return &agent.Agent{
		Daemon:       l.daemon,
		Images:       newImages(l.daemon),
		Library:      newImages(l.daemon),
		Machine:      l,
		Drives:       agent.Local{Sys: "/sys"},
		Personaliser: personaliser{self: "/proc/self/exe", log: w.log},
		Firmware:     l.entries,
		Power:        power{say: w.say},
		Screen:       w.screen,
		Token:        line.Token,
		Bundle:       line.Bundle,
		Say:          w.say,
		Log:          w.log,
		Stop:         w.screen.stop,
		Wiper:        agent.Local{Sys: "/sys"},
		Thaw:         thaw(),
	}
}

// sleepTime is how long the machine sleeps so that its drives lose their freeze lock, in seconds.
const sleepTime = 5

// thaw is how a frozen drive is thawed here; nil where the machine has no sleep that switches its drives off.
func thaw() func() error {
	if !wipe.CanSleep("/sys") {
		return nil
	}
	return func() error { return wipe.Sleep("/sys", sleepTime) }
}

// fail shows what ended the start.
func (w *worker) fail(err error) {
	f := job.FaultOf(err)
	words := f.Code.Words()
	w.log.Error().Err(err).Str("code", string(f.Code)).Msg("the start ended")
	w.say(fmt.Sprintf("failed %s %s %s", f.Code, words.Sentence, f.Fact))
	v := agent.View{Word: "failed", Colour: agent.Red, Bar: -1, Left: -1, Sentence: words.Sentence, Next: words.Next, Fault: f.Code, SafeTo: agent.UnplugAllowed}
	if f.Fact != "" {
		v.Lines = []string{f.Fact}
	}
	w.screen.Show(v)
}
