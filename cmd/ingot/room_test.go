package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging/job"
	"ingot/imaging/nstest"
	"ingot/pxe"
	"ingot/store"
)

// TestAFullDiskIsTold, once, stops what could not be recorded, loses no boot event, and ends by itself.
func TestAFullDiskIsTold(t *testing.T) {
	if !nstest.Inside(t, syscall.CLONE_NEWNS) {
		return
	}
	dir := nstest.SmallDisk(t, "12m")
	var log bytes.Buffer
	h, err := openHouse(config{Data: filepath.Join(dir, "data")}, zerolog.Nop(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	if _, err := h.service.OpenBench(t.Context(), "anna", store.Bench{OpenUntil: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	status := "at first"
	r := &room{dir: h.cfg.Data, db: h.db, service: h.service, log: zerolog.New(&log), status: func(w string) { status = w }}
	d := director{h.service, r.full.Load, zerolog.Nop()}
	machine := pxe.Machine{MAC: pxe.MAC{2, 0, 0, 0, 0, 1}}
	says := func(when string, action pxe.Action, why string) {
		t.Helper()
		r.look(time.Now())
		if got := d.Decide(t.Context(), machine); got.Action != action || !strings.Contains(got.Why, why) {
			t.Errorf("%s: Decide = %+v; want %s, %q", when, got, action, why)
		}
	}
	events := newRecorder(h.db, zerolog.New(&log))
	says("with room", pxe.Boot, "open bench")

	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	f.Close()
	const met = 2000
	for i := range met {
		events.Record(pxe.Event{Time: time.Now(), MAC: pxe.MAC{2, 0, 0, 1, byte(i >> 8), byte(i)}, Leg: pxe.LegDiscover, Text: strings.Repeat("x", 200)})
	}
	events.flush()
	if len(events.late) != met || !h.db.Full() {
		t.Fatalf("%d of %d events wait, full %v; the disk was to be full", len(events.late), met, h.db.Full())
	}
	says("without room", pxe.Refuse, job.CodeFull.Words().Sentence)
	says("without room, later", pxe.Refuse, job.CodeFull.Words().Sentence)
	events.flush()
	if n := strings.Count(log.String(), "the disk of the server is full"); n != 1 || !strings.Contains(status, "full") {
		t.Errorf("told %d times, status %q; want once:\n%s", n, status, &log)
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	says("with room again", pxe.Boot, "open bench")
	events.flush()
	if n := strings.Count(log.String(), "there is room on the disk again"); n != 1 || status != "" {
		t.Errorf("told %d times, status %q; want once:\n%s", n, status, &log)
	}
	err = h.db.View(func(tx *store.Tx) error {
		logs, err := tx.BootLogs("")
		if len(logs) != 1000 { // as many machines as a boot log remembers
			t.Errorf("the boot log knows %d machines", len(logs))
		}
		if err != nil {
			return err
		}
		trail, err := tx.AuditTrail("server", 10)
		if len(trail) != 1 || !strings.HasPrefix(trail[0].Text, "The disk was full from ") {
			t.Errorf("audit %v", trail)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
