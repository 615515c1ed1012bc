package main

import (
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ingot/cmd/ingot-agent/internal/screen"
	"ingot/imaging/agent"
)

const (
	drawEvery = 250 * time.Millisecond
	kdSetMode = 0x4b3a // KDSETMODE (linux/kd.h)
	kdText    = 0
	kdGraphic = 1
)

// display shows the latest View: on the framebuffer when there is one, else as text on the VGA console. Show only
// keeps the View; one goroutine draws.
type display struct {
	log *ring

	mu      sync.Mutex
	view    agent.View
	showLog bool
	note    func() string // a line about the network, empty while all is well
	changed chan struct{} // holds one token while there is something new
	stop    chan struct{} // holds one token when Esc was pressed

	fb   *screen.Framebuffer
	name string // of the framebuffer's driver: another one may take over
	tty  *os.File
}

func newDisplay(log *ring) *display {
	d := &display{log: log, changed: make(chan struct{}, 1), stop: make(chan struct{}, 1)}
	d.view = agent.View{Word: "starting", Colour: agent.Grey, Bar: -1, Left: -1}
	if tty, err := os.OpenFile("/dev/tty0", os.O_RDWR|unix.O_NOCTTY, 0); err == nil {
		d.tty = tty
	}
	d.poke()
	return d
}

// Show implements agent.Screen.
func (d *display) Show(v agent.View) {
	d.mu.Lock()
	d.view = v
	d.mu.Unlock()
	d.poke()
}

// setNote adds a line of its own to every View, asked for anew at each drawing.
func (d *display) setNote(note func() string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.note = note
}

func (d *display) poke() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// run draws until the process ends, at most every drawEvery. Every two seconds it looks whether a framebuffer has
// appeared, and the log view is drawn anew.
func (d *display) run() {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-d.changed:
			d.draw()
		case <-tick.C:
			d.mu.Lock()
			again := d.showLog || d.note != nil
			d.mu.Unlock()
			if d.look() || again {
				d.draw()
			}
		}
		time.Sleep(drawEvery)
	}
}

// look opens the framebuffer, or reopens it when another driver has taken over, and reports a change.
func (d *display) look() bool {
	b, err := os.ReadFile("/sys/class/graphics/fb0/name")
	name := strings.TrimSpace(string(b))
	if err != nil || name == d.name {
		return false
	}
	fb, err := screen.OpenFramebuffer("/dev/fb0")
	if err != nil {
		return false
	}
	if d.fb != nil {
		_ = d.fb.Close() // the old driver's memory: nothing is lost with it
	}
	d.fb, d.name = fb, name
	d.mode(kdGraphic)
	return true
}

// mode keeps the kernel's console from writing over the picture.
func (d *display) mode(m int) {
	if d.tty != nil {
		_ = unix.IoctlSetInt(int(d.tty.Fd()), kdSetMode, m) // a machine without a console has no cursor either
	}
}

func (d *display) draw() {
	d.look()
	d.mu.Lock()
	v, showLog, note := d.view, d.showLog, d.note
	d.mu.Unlock()
	if note != nil && v.Colour != agent.Green { // a laptop that is done may be unplugged
		if line := note(); line != "" {
			v.Lines = append([]string{line}, v.Lines...)
		}
	}
	switch {
	case d.fb != nil && showLog:
		d.fb.Draw(screen.RenderLog(d.log.last(), d.fb.Width, d.fb.Height))
	case d.fb != nil:
		d.fb.Draw(screen.Render(v, d.fb.Width, d.fb.Height))
	case d.tty != nil:
		cols, rows := 80, 25
		if ws, err := unix.IoctlGetWinsize(int(d.tty.Fd()), unix.TIOCGWINSZ); err == nil && ws.Col > 0 && ws.Row > 0 {
			cols, rows = int(ws.Col), int(ws.Row)
		}
		text := screen.Text(v, cols, rows)
		if showLog {
			text = screen.TextLog(d.log.last(), cols, rows)
		}
		_, _ = io.WriteString(d.tty, text) // a console that takes nothing has no reader to tell
	}
}

// keys reads the keyboard until it ends: l or F2 turns the log view on and off, Esc stops a job that has not begun to
// write, every other key does nothing.
func (d *display) keys() {
	if d.tty == nil {
		return
	}
	fd := int(d.tty.Fd())
	if t, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
		t.Lflag &^= unix.ICANON | unix.ECHO | unix.ISIG
		t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
		if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
			return
		}
	}
	buf := make([]byte, 64)
	for {
		n, err := d.tty.Read(buf)
		if err != nil {
			return
		}
		switch string(buf[:n]) {
		case "l", "L", "\x1b[[B", "\x1b[12~":
			d.mu.Lock()
			d.showLog = !d.showLog
			d.mu.Unlock()
			d.poke()
		case "\x1b":
			select {
			case d.stop <- struct{}{}:
			default:
			}
		}
	}
}
