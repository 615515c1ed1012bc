package report

import (
	"slices"
	"time"

	"ingot/imaging/job"
)

// Day is what was done on one day, by the server's time zone.
type Day struct {
	Date      string  `json:"date"`
	Deployed  int     `json:"deployed"` // versions put on devices and proven
	Devices   int     `json:"devices"`  // on so many devices
	Renamed   int     `json:"renamed"`
	Captured  int     `json:"captured"`
	Wiped     int     `json:"wiped"`
	Failed    int     `json:"failed"`
	Unproven  int     `json:"unproven"`
	Cancelled int     `json:"cancelled"`
	Written   uint64  `json:"written_bytes"` // of the versions that were put on devices
	Fetched   uint64  `json:"fetched_bytes"` // as they travelled, compressed
	Kept      uint64  `json:"kept_bytes"`    // that the drives held already
	Median    float64 `json:"median_seconds"`
}

// maxDays bounds the days without anything that are listed too.
const maxDays = 3660

// Days lists each day of the span on which something ended, and the empty ones between them, newest first.
func (s *Snapshot) Days(span Span, zone *time.Location) []Day {
	days := map[string]*Day{}
	at := func(t time.Time) *Day {
		date := t.In(zone).Format(time.DateOnly)
		if days[date] == nil {
			days[date] = &Day{Date: date}
		}
		return days[date]
	}
	seconds, devices := map[string][]float64{}, map[string]map[string]bool{}
	for _, d := range s.Deployments {
		if !span.Holds(d.Finished) {
			continue
		}
		day := at(d.Finished)
		day.Deployed, day.Written, day.Fetched, day.Kept = day.Deployed+1, day.Written+d.WrittenBytes, day.Fetched+d.FetchedBytes, day.Kept+d.KeptBytes
		seconds[day.Date] = append(seconds[day.Date], d.Seconds)
		if devices[day.Date] == nil {
			devices[day.Date] = map[string]bool{}
		}
		devices[day.Date][d.Device] = true
	}
	for _, r := range s.Runs {
		if r.State.Final() && span.Holds(r.Ended) {
			at(r.Ended).ended(r)
		}
	}
	for date, d := range days {
		d.Devices, d.Median = len(devices[date]), median(seconds[date])
	}
	return withEmpty(days)
}

func (d *Day) ended(r Run) {
	switch {
	case r.State == job.Failed:
		d.Failed++
	case r.State == job.Indeterminate:
		d.Unproven++
	case r.State == job.Cancelled:
		d.Cancelled++
	case r.Kind == job.Rename:
		d.Renamed++
	case r.Kind == job.Capture:
		d.Captured++
	case r.Kind == job.Wipe:
		d.Wiped++
	}
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2
	}
	return all[len(all)/2]
}

// withEmpty puts the days between the first and the last in, newest first.
func withEmpty(days map[string]*Day) []Day {
	out := []Day{}
	if len(days) == 0 {
		return out
	}
	first, last := "", ""
	for date := range days {
		if first == "" || date < first {
			first = date
		}
		last = max(last, date)
	}
	t, _ := time.Parse(time.DateOnly, last) // it was made by Format
	for n := 0; n < maxDays && t.Format(time.DateOnly) >= first; n++ {
		date := t.Format(time.DateOnly)
		if d := days[date]; d != nil {
			out = append(out, *d)
		} else {
			out = append(out, Day{Date: date})
		}
		t = t.AddDate(0, 0, -1)
	}
	return out
}

func (s *Snapshot) daysReport(q Query) (Report, error) {
	rows := s.Days(q.Span, q.Zone)
	return Report{Title: "What was done, by day", Rows: rows, Table: tableOf(rows,
		column("date", "Day", func(d Day) any { return d.Date }),
		column("deployed", "Imaged", func(d Day) any { return d.Deployed }),
		column("devices", "Devices", func(d Day) any { return d.Devices }),
		column("renamed", "Renamed", func(d Day) any { return d.Renamed }),
		column("captured", "Captured", func(d Day) any { return d.Captured }),
		column("wiped", "Wiped", func(d Day) any { return d.Wiped }),
		column("failed", "Failed", func(d Day) any { return d.Failed }).badIf(func(d Day) bool { return d.Failed > 0 }),
		column("unproven", "Unproven", func(d Day) any { return d.Unproven }).badIf(func(d Day) bool { return d.Unproven > 0 }),
		column("cancelled", "Stopped", func(d Day) any { return d.Cancelled }),
		column("written_bytes", "Written", func(d Day) any { return d.Written }).bytes(),
		column("fetched_bytes", "Travelled", func(d Day) any { return d.Fetched }).bytes(),
		column("kept_bytes", "Was there", func(d Day) any { return d.Kept }).bytes(),
		column("median_seconds", "Seconds each", func(d Day) any { return d.Median }),
	)}, nil
}
