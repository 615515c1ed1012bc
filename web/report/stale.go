package report

import (
	"cmp"
	"slices"
	"strings"

	"ingot/store"
)

// StaleDevice is a device on a Version that it should not be on any more.
type StaleDevice struct {
	Holder
	Reasons []string `json:"reasons"` // the gravest first: withdrawn, retired, deleted, draft, stale
	Words   string   `json:"words"`   // of a stale one: how old
	Now     string   `json:"now"`     // the Image's current Version; empty when it has none
}

// The order of reasons, by how grave they are.
var reasonOrder = []string{"withdrawn", "retired", "deleted", "draft", "stale"}

// Stale lists the devices that hold a Version which is withdrawn, retired, deleted or a draft, or older than its Image's
// cadence allows; the gravest first. A backup is none: it is one laptop's own.
func (s *Snapshot) Stale() []StaleDevice {
	out := []StaleDevice{}
	for _, h := range s.Holdings() {
		ref := refOf(h.Deployment.Image)
		v := s.Versions[ref]
		if h.Standing != Holds || v.Kind == store.Backup {
			continue
		}
		img := s.Images[ref.Image]
		row := StaleDevice{Holder: s.holder(h.Device, h.Deployment, Holds, ""), Words: v.Stale(img, s.Time)}
		row.Reasons = reasons(v, row.Words)
		if len(row.Reasons) == 0 {
			continue
		}
		if c, ok := s.Versions[Ref{img.Name, img.Current}]; ok && c.Deployable() {
			row.Now = Ref{img.Name, img.Current}.String()
		}
		out = append(out, row)
	}
	slices.SortStableFunc(out, func(a, b StaleDevice) int {
		return cmp.Compare(slices.Index(reasonOrder, a.Reasons[0]), slices.Index(reasonOrder, b.Reasons[0]))
	})
	return out
}

func reasons(v store.Version, stale string) (out []string) {
	for _, r := range reasonOrder {
		switch {
		case r == string(v.State) && v.State != store.Released, r == "deleted" && v.Deleted, r == "stale" && stale != "":
			out = append(out, r)
		}
	}
	return out
}

func (s *Snapshot) staleReport(Query) (Report, error) {
	rows := s.Stale()
	cols := []col[StaleDevice]{
		column("reasons", "Why", func(r StaleDevice) any { return strings.Join(r.Reasons, ", ") }).badIf(func(StaleDevice) bool { return true }),
	}
	for _, c := range holderColumns() {
		of := column(c.Name, c.Title, func(r StaleDevice) any { return c.value(r.Holder) })
		of.Programs = c.Programs
		if c.link != nil {
			of = of.to(func(r StaleDevice) string { return c.link(r.Holder) })
		}
		cols = append(cols, of)
	}
	cols = append(cols, column("current", "Current is", func(r StaleDevice) any { return r.Now }), column("age", "Age", func(r StaleDevice) any { return r.Words }))
	return Report{Title: "Devices on stale or retired versions", Rows: rows, Table: tableOf(rows, cols...)}, nil
}
