package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// wipeProgress is how far a wipe is: its parts are no bytes of an image.
func wipeProgress(p job.Progress) string {
	s := fmt.Sprintf("%s %d%%", p.Phase, p.DoneBytes*100/p.TotalBytes)
	if p.SecondsLeft > 0 {
		s += ", " + job.LeftWord(time.Duration(p.SecondsLeft)*time.Second)
	}
	return s
}

// wipeRows tells what a wipe is of, who agreed, and what became of each drive.
func wipeRows(row func(string, string, ...any), j store.JobView) {
	w := *j.Wipe
	row("Wipe", "of %s under policy %s, version %d; when clean: %s", store.Drives(len(w.Drives)), w.Policy.Name, w.Policy.Version, w.Order.Goal())
	switch {
	case w.Second != "":
		row("Agreed", "%s, %s", w.Second, when(w.SecondTime))
	case w.NeedsSecond && !j.State.Final():
		row("Waits", "for a second person: ingot wipe agree %s SERIAL", j.ID)
	}
	if w.Order.Place != "" {
		row("Place", "%s", w.Order.Place)
	}
	if w.Order.Allow {
		row("Allowed", "drives of an unknown kind, and behind a bridge")
	}
	for _, serial := range slices.Sorted(maps.Keys(w.Order.PSIDs)) {
		row("PSID", "given for drive %s", serial)
	}
	for _, d := range w.Drives {
		s := fmt.Sprintf("%s (%s): %s", d.Target.Serial, size(d.Target.SizeBytes), d.End.Word())
		if d.Certificate != "" {
			s += ", certificate " + d.Certificate
		}
		if d.Fault != nil {
			s += ". " + d.Fault.Error()
		}
		row("Drive", "%s", s)
	}
	if p := j.Progress; p != nil && !j.State.Final() {
		for _, d := range p.Drives {
			if d.TotalBytes > 0 {
				row("Now", "%s: %s", d.Serial, wipeProgress(job.Progress{Phase: d.Phase, DoneBytes: d.DoneBytes, TotalBytes: d.TotalBytes, SecondsLeft: d.SecondsLeft}))
			}
		}
	}
	if w.ThenJob != "" {
		row("Then", "job %s", w.ThenJob)
	}
	if w.ThenFault != nil {
		row("Then", "no image followed: %s", w.ThenFault.Error())
	}
}
