package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// Reception is one thing that a device got: a Version, or another Name.
type Reception struct {
	Kind       job.Kind        `json:"kind"` // deploy or rename
	Version    string          `json:"version"`
	Label      string          `json:"label"`
	Name       string          `json:"name"`
	Former     string          `json:"former,omitempty"` // rename: the Name before
	Operator   string          `json:"operator"`
	Role       string          `json:"role,omitempty"`
	Ordered    time.Time       `json:"ordered,omitzero"` // a rename's is not kept with it
	Finished   time.Time       `json:"finished"`
	Drive      string          `json:"drive"`
	Written    uint64          `json:"written_bytes"`
	Kept       uint64          `json:"kept_bytes"`
	Read       uint64          `json:"read_bytes"` // read back from the drive and compared
	Files      int             `json:"files"`      // written into the system and read back
	Committed  bool            `json:"committed"`  // the partition tables were read again after the last write
	Unproven   bool            `json:"unproven,omitempty"`
	Observed   *store.Observed `json:"observed,omitempty"`
	Trial      bool            `json:"trial,omitempty"`
	Stale      string          `json:"stale,omitempty"`
	Job        job.ID          `json:"job"`
	Deployment string          `json:"deployment"`
	Holds      bool            `json:"holds"` // it is what the device holds now
}

// Received lists what a device got, oldest first: each Version, and each rename after it.
func (s *Snapshot) Received(device string) []Reception {
	holds := map[string]bool{}
	for _, h := range s.Holdings() {
		if h.Device.ID == device && h.Standing == Holds {
			holds[h.Deployment.ID] = true
		}
	}
	out := []Reception{}
	for _, dep := range s.Deployments {
		if dep.Device != device {
			continue
		}
		r := Reception{Kind: job.Deploy, Version: dep.Image.String(), Label: s.Versions[refOf(dep.Image)].Label, Name: dep.Name, Operator: dep.Operator, Role: dep.Role,
			Ordered: dep.Approved, Finished: dep.Finished, Drive: dep.Target.Serial, Written: dep.WrittenBytes, Kept: dep.KeptBytes, Observed: dep.Observed,
			Trial: dep.Trial, Stale: dep.Stale, Job: dep.Job, Deployment: dep.ID, Holds: holds[dep.ID]}
		r.prove(dep.Proof)
		out = append(out, r)
		for _, n := range dep.Renamings {
			x := Reception{Kind: job.Rename, Version: r.Version, Label: r.Label, Name: n.Name, Former: n.From, Operator: n.Operator, Finished: n.Finished, Drive: r.Drive,
				Unproven: n.Unproven, Observed: n.Observed, Job: n.Job, Deployment: dep.ID, Holds: r.Holds}
			x.prove(n.Proof)
			out = append(out, x)
		}
	}
	slices.SortStableFunc(out, func(a, b Reception) int {
		return cmp.Or(a.Finished.Compare(b.Finished), strings.Compare(a.Deployment, b.Deployment))
	})
	return out
}

func (r *Reception) prove(p job.Proof) {
	if p.Content != nil {
		r.Read = p.Content.ReadBytes
	}
	if p.Personalised != nil {
		r.Files = len(p.Personalised.Files)
	}
	r.Committed = p.Commit != nil
}

// Proven is the proof in words.
func (r Reception) Proven() string {
	var out []string
	if r.Unproven {
		out = append(out, "not proven")
	}
	if r.Read > 0 {
		out = append(out, fmt.Sprintf("%d bytes read back", r.Read))
	}
	if r.Files > 0 {
		out = append(out, fmt.Sprintf("%d files read back", r.Files))
	}
	if r.Committed {
		out = append(out, "partition tables read back")
	}
	if r.Observed != nil {
		out = append(out, fmt.Sprintf("called home as %s %s", r.Observed.Hostname, r.Observed.Time.Format(time.DateOnly)))
	}
	return strings.Join(out, "; ")
}

func (s *Snapshot) receivedReport(q Query) (Report, error) {
	if q.Device == "" {
		return Report{}, job.Faultf(job.CodeBadRequest, "Say of which device.")
	}
	d, ok := s.Devices[q.Device]
	if !ok {
		return Report{}, job.Faultf(job.CodeNotFound, "No device %.60q.", q.Device)
	}
	rows := s.Received(q.Device)
	return Report{Title: "What " + d.Label() + " received", Rows: rows, Table: tableOf(rows,
		column("finished", "When", func(r Reception) any { return r.Finished }).to(func(r Reception) string { return receiptPage(r.Deployment) }),
		column("kind", "What", func(r Reception) any { return string(r.Kind) }),
		column("version", "Version", func(r Reception) any { return r.Version }),
		column("label", "Label", func(r Reception) any { return r.Label }),
		column("name", "Name", func(r Reception) any { return r.Name }),
		column("former", "Name before", func(r Reception) any { return r.Former }),
		column("operator", "From", func(r Reception) any { return r.Operator }),
		column("role", "Role", func(r Reception) any { return r.Role }),
		column("drive", "Drive", func(r Reception) any { return r.Drive }),
		column("proven", "Proven how", func(r Reception) any { return r.Proven() }).badIf(func(r Reception) bool { return r.Unproven }),
		column("holds", "On it now", func(r Reception) any { return r.Holds }),
		column("remarks", "Remarks", func(r Reception) any { return remarks(r) }),
		column("deployment", "Deployment", func(r Reception) any { return r.Deployment }).forPrograms(),
	)}, nil
}

func remarks(r Reception) string {
	out := r.Stale
	if r.Trial {
		out = strings.TrimSpace("on trial " + out)
	}
	return out
}
