package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"ingot/pxe"
	"ingot/store"
)

// bootDoctor says why starts stop. It knows what the boot server heard, if one runs in this process.
type bootDoctor struct {
	boots   atomic.Pointer[pxe.Server] // nil when no daemon runs
	bundle  string                     // DATA/boot
	started time.Time
}

// listens gives the doctor its ears.
func (d *bootDoctor) listens(s *pxe.Server) { d.boots.Store(s) }

// explain adds to a machine's timeline where its last start stopped, and why.
func (d *bootDoctor) explain(l *store.BootLog) {
	f := pxe.Findings{Events: pxeEvents(l.Events), Since: l.Since, Now: time.Now(), Clock: d.clock()}
	if boots := d.boots.Load(); boots != nil {
		f.Listening, f.Around = true, boots.Surroundings()
		if mac, err := pxe.ParseMAC(l.MAC); err == nil {
			f.Sight = boots.Sighting(mac)
		}
	}
	c := pxe.Diagnose(f)
	l.Cause, l.Code, l.Checks = c.String(), c.Code, append(l.Checks, c.Checks...)
	l.From = len(l.Events) - len(lastStart(l.Events))
}

// clock says what is wrong with the server's clock: it was moved while the daemon ran, or it stands before the day
// on which the boot bundle was built.
func (d *bootDoctor) clock() string {
	now := time.Now()
	moved := (now.Round(0).Sub(d.started.Round(0)) - now.Sub(d.started)).Round(time.Second)
	if moved.Abs() > time.Minute {
		return fmt.Sprintf("The server's clock was moved by %s while the daemon ran.", moved)
	}
	built, err := os.Stat(filepath.Join(d.bundle, "current", "bundle.json"))
	if err == nil && built.ModTime().Sub(now) > time.Hour {
		return fmt.Sprintf("The server's clock says %s, but its boot bundle was built at %s.", now.Format(time.DateTime), built.ModTime().Format(time.DateTime))
	}
	return ""
}

// pxeEvents reads events back from the database.
func pxeEvents(events []store.BootEvent) []pxe.Event {
	back := make([]pxe.Event, 0, len(events))
	for _, s := range events {
		e := pxe.Event{Time: s.Time, UUID: s.UUID, Arch: pxe.Arch(s.Arch), Loader: pxe.Loader(s.Loader), Leg: pxe.Leg(s.Leg),
			File: s.File, Text: s.Text, Bytes: s.Bytes, Total: s.Total, Err: s.Err, Waited: s.Waited, IP: addrOf(s.IP), Server: addrOf(s.Server)}
		if mac, err := pxe.ParseMAC(s.MAC); err == nil {
			e.MAC = mac
		}
		back = append(back, e)
	}
	return back
}

// addrOf reads an address; the invalid one when the text is none.
func addrOf(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a
}

// lastStart gives the events of the last start.
func lastStart(events []store.BootEvent) []store.BootEvent {
	if len(events) == 0 {
		return nil
	}
	return events[len(events)-len(pxe.LastStart(pxeEvents(events))):]
}
