package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"ingot/imaging/job"
)

// Failure is one cause on one model.
type Failure struct {
	Manufacturer string    `json:"manufacturer"`
	Model        string    `json:"model"`
	Kind         job.Kind  `json:"kind"`
	Code         job.Code  `json:"code"`
	Cause        string    `json:"cause"` // the code's sentence
	Next         string    `json:"next"`
	Count        int       `json:"count"`    // jobs that failed or ended unproven
	Unproven     int       `json:"unproven"` // of them
	Devices      int       `json:"devices"`  // on so many
	Ended        int       `json:"ended"`    // jobs of this kind on this model that ended in this time, whatever way but cancelled
	Last         time.Time `json:"last"`
	LastDevice   string    `json:"last_device"`
	LastLabel    string    `json:"last_label"`
}

// Span is a time: from Since, up to but without Until. A zero end is open.
type Span struct{ Since, Until time.Time }

// Holds reports whether t lies in the span.
func (p Span) Holds(t time.Time) bool {
	return !t.IsZero() && (p.Since.IsZero() || !t.Before(p.Since)) && (p.Until.IsZero() || t.Before(p.Until))
}

type failureKey struct {
	maker, model string
	kind         job.Kind
	code         job.Code
}

// Failures groups the jobs that failed or ended unproven within the span by model, kind and code; the most frequent
// first. A job that a person stopped is no failure.
func (s *Snapshot) Failures(span Span) []Failure {
	groups := map[failureKey]*Failure{}
	devices := map[failureKey]map[string]bool{}
	ended := map[failureKey]int{} // by all but the code
	for _, r := range s.Runs {
		if !r.State.Final() || r.State == job.Cancelled || !span.Holds(r.Ended) {
			continue
		}
		d := s.Devices[r.Device]
		k := failureKey{cmp.Or(strings.TrimSpace(d.Manufacturer), "unknown"), cmp.Or(strings.TrimSpace(d.Model), "unknown"), r.Kind, ""}
		ended[k]++
		if r.State == job.Done {
			continue
		}
		k.code = cmp.Or(r.Code, job.CodeIndeterminate)
		f := groups[k]
		if f == nil {
			w := k.code.OnPage()
			f = &Failure{Manufacturer: k.maker, Model: k.model, Kind: k.kind, Code: k.code, Cause: w.Sentence, Next: w.Next}
			groups[k], devices[k] = f, map[string]bool{}
		}
		f.Count++
		if r.State == job.Indeterminate {
			f.Unproven++
		}
		devices[k][r.Device] = true
		if !r.Ended.Before(f.Last) {
			f.Last, f.LastDevice, f.LastLabel = r.Ended, r.Device, cmp.Or(d.Label(), r.Device)
		}
	}
	out := []Failure{}
	for k, f := range groups {
		f.Devices = len(devices[k])
		k.code = ""
		f.Ended = ended[k]
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Manufacturer, b.Manufacturer), strings.Compare(a.Model, b.Model), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Code, b.Code))
	})
	return out
}

func (s *Snapshot) failuresReport(q Query) (Report, error) {
	rows := s.Failures(q.Span)
	return Report{Title: "Failures by model and cause", Rows: rows, Table: tableOf(rows,
		column("manufacturer", "Manufacturer", func(f Failure) any { return f.Manufacturer }),
		column("model", "Model", func(f Failure) any { return f.Model }),
		column("kind", "Job", func(f Failure) any { return string(f.Kind) }),
		column("code", "Code", func(f Failure) any { return string(f.Code) }),
		column("cause", "Cause", func(f Failure) any { return f.Cause }),
		column("next", "What to do", func(f Failure) any { return f.Next }),
		column("count", "Failures", func(f Failure) any { return f.Count }),
		column("unproven", "Of them unproven", func(f Failure) any { return f.Unproven }),
		column("devices", "Devices", func(f Failure) any { return f.Devices }),
		column("ended", "Of so many jobs", func(f Failure) any { return f.Ended }),
		column("last", "Last", func(f Failure) any { return f.Last }),
		column("last_device", "Last device", func(f Failure) any { return f.LastLabel }).to(func(f Failure) string { return devicePage(f.LastDevice) }),
	)}, nil
}
