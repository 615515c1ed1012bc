package report

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// Desk answers questions about the record of a database, and keeps what people enter for it.
type Desk struct {
	DB   *store.DB
	Zone *time.Location // in which a day is meant; nil: the server's

	Printers func(netip.Addr) error // says why an address is never a printer's; nil: each may be

	printing sync.Mutex // of the label printer
}

// Query says what a report is asked about; a report takes what concerns it.
type Query struct {
	Image  string
	Number int    // of a Version; 0: any
	Ever   bool   // holders: those that received it too
	Device string // id
	Span   Span
	Zone   *time.Location
}

// Kind is one report that can be had.
type Kind struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Words    string   `json:"words"` // what it answers
	Asks     []string `json:"asks"`  // parameters: version, ever, device, since, until
	software bool
	make     func(*Snapshot, Query) (Report, error)
}

// Kinds lists the reports, in the order in which people want them.
var Kinds = []Kind{
	{Name: "holders", Words: "Which devices hold a version, or any version of an image; retired ones too, and on request all that ever received it.",
		Title: "Devices that hold a version", Asks: []string{"version", "ever"}, make: (*Snapshot).holdersReport},
	{Name: "received", Words: "Everything that one device got: which version, when, from whom, and how that was proven.",
		Title: "What one device received", Asks: []string{"device"}, make: (*Snapshot).receivedReport},
	{Name: "stale", Words: "Devices on a version that is withdrawn, retired, deleted, a draft, or older than its image may be.",
		Title: "Devices on stale or retired versions", make: (*Snapshot).staleReport},
	{Name: "licences", Words: "The software of the images times the devices that hold them now, against what was bought. What no rule speaks of stands first.",
		Title: "Licences", software: true, make: (*Snapshot).licencesReport},
	{Name: "failures", Words: "What went wrong on which model, how often, and what to do about it.",
		Title: "Failures by model and cause", Asks: []string{"since", "until"}, make: (*Snapshot).failuresReport},
	{Name: "days", Words: "Laptops imaged, renamed, captured, failed, and how much was written, for each day.",
		Title: "What was done, by day", Asks: []string{"since", "until"}, make: (*Snapshot).daysReport},
}

// KindOf finds a report by its name.
func KindOf(name string) (Kind, bool) {
	for _, k := range Kinds {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

// Images lists what can be asked about: each image, and each of its versions.
func (d *Desk) Images(context.Context) (names []string, err error) {
	err = d.DB.View(func(tx *store.Tx) error {
		images, err := tx.Images()
		if err != nil {
			return err
		}
		for _, i := range images {
			names = append(names, i.Name)
		}
		versions, err := tx.Versions("")
		for _, v := range versions {
			names = append(names, Ref{v.Image, v.Number}.String())
		}
		return err
	})
	return names, err
}

func (d *Desk) zone() *time.Location {
	if d.Zone != nil {
		return d.Zone
	}
	return time.Local
}

// Report makes the report of a name, asked as in a URL: version=NAME[@N], ever=1, device=REF, since=DAY, until=DAY
// (the day itself is in it).
func (d *Desk) Report(_ context.Context, name string, asked url.Values) (Report, error) {
	k, ok := KindOf(name)
	if !ok {
		return Report{}, job.Faultf(job.CodeNotFound, "No report %.40q.", name)
	}
	q, err := d.readQuery(asked)
	if err != nil {
		return Report{}, err
	}
	var s *Snapshot
	err = d.DB.View(func(tx *store.Tx) (err error) {
		if err = findQuery(tx, asked, &q); err == nil {
			s, err = Read(tx, k.software)
		}
		return err
	})
	if err != nil {
		return Report{}, err
	}
	s.Time = s.Time.In(q.Zone)
	r, err := k.make(s, q)
	r.Name, r.Time = k.Name, s.Time
	return r, err
}

func (d *Desk) readQuery(asked url.Values) (q Query, err error) {
	q = Query{Ever: asked.Get("ever") != "", Zone: d.zone()}
	if q.Span.Since, err = q.day(asked.Get("since")); err != nil {
		return q, err
	}
	if q.Span.Until, err = q.day(asked.Get("until")); err == nil && !q.Span.Until.IsZero() {
		q.Span.Until = q.Span.Until.AddDate(0, 0, 1)
	}
	return q, err
}

func (q Query) day(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, s, q.Zone)
	if err != nil {
		return t, job.Faultf(job.CodeBadRequest, "A day is written as 2026-11-30, not %.20q.", s)
	}
	return t, nil
}

// findQuery finds the version and the device that are asked about, as people name them.
func findQuery(tx *store.Tx, asked url.Values, q *Query) error {
	if ref := asked.Get("device"); ref != "" {
		dev, err := tx.FindDevice(ref)
		if err != nil {
			return err
		}
		q.Device = dev.ID
	}
	ref := asked.Get("version")
	switch {
	case ref == "":
		return nil
	case strings.Contains(ref, "@"):
		v, err := tx.FindVersion(ref)
		if err != nil {
			return err
		}
		q.Image, q.Number = v.Image, v.Number
		return nil
	}
	img, err := tx.Image(ref)
	if err != nil {
		return fmt.Errorf("report on %.60q: %w", ref, err)
	}
	q.Image = img.Name
	return nil
}
