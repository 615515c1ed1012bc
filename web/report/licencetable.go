package report

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// licenceLine is one line of the licences as a table: its groups one below the other, so that nothing is left out.
type licenceLine struct {
	group   string // not counted, no rule, product, software, no licence needed
	product string
	name    string
	kind    string
	vendor  string
	release string
	devices int
	seats   any // an int, or "" where there are none
	left    any
	remark  string
	bad     bool
}

func (l Licences) lines() (out []licenceLine) {
	for _, u := range l.Unread {
		out = append(out, licenceLine{group: "not counted", name: u.Version, devices: u.Devices, remark: u.Why, bad: true})
	}
	software := func(group, product string, all []Software, bad bool) {
		for _, s := range all {
			out = append(out, licenceLine{group: group, product: product, name: s.Name, kind: s.Kind, vendor: s.Vendor, release: strings.Join(s.Releases, " "),
				devices: s.Devices, remark: strings.Join(s.Images, " "), bad: bad})
		}
	}
	software("no rule", "", l.Unmapped, true)
	for _, p := range l.Products {
		out = append(out, licenceLine{group: "product", product: p.Product, vendor: p.Vendor, devices: p.Used, seats: p.Seats, left: p.Left, remark: p.remark(), bad: trouble(p) == 0})
		software("software", p.Product, p.Software, false)
	}
	software("no licence needed", "", l.Free, false)
	for i := range out {
		if out[i].seats == nil {
			out[i].seats, out[i].left = "", ""
		}
	}
	return out
}

// rulePage is where a person says to which product software belongs of which no rule speaks.
func (l licenceLine) rulePage() string {
	if l.group != "no rule" {
		return ""
	}
	return "/licences?" + url.Values{"software": {l.name}, "kind": {l.kind}, "vendor": {l.vendor}}.Encode() + "#rule"
}

func (p Product) remark() string {
	var out []string
	if p.Left < 0 {
		out = append(out, fmt.Sprintf("%d too few", -p.Left))
	}
	if p.Expired {
		out = append(out, "expired "+p.Expires.Format(time.DateOnly))
	}
	if p.Returned > 0 {
		out = append(out, fmt.Sprintf("%d of them returned and not wiped", p.Returned))
	}
	if p.Lost > 0 {
		out = append(out, fmt.Sprintf("%d of them lost", p.Lost))
	}
	if p.Reference != "" {
		out = append(out, p.Reference)
	}
	return strings.Join(out, "; ")
}

func (s *Snapshot) licencesReport(Query) (Report, error) {
	l := s.Licences()
	r := Report{Title: "Licences", Rows: l, Table: tableOf(l.lines(),
		column("group", "What", func(l licenceLine) any { return l.group }).badIf(func(l licenceLine) bool { return l.bad }),
		column("product", "Product", func(l licenceLine) any { return l.product }),
		column("software", "Software", func(l licenceLine) any { return l.name }).to(func(l licenceLine) string { return l.rulePage() }),
		column("kind", "Kind", func(l licenceLine) any { return l.kind }),
		column("vendor", "Vendor", func(l licenceLine) any { return l.vendor }),
		column("release", "Release", func(l licenceLine) any { return l.release }),
		column("devices", "Devices", func(l licenceLine) any { return l.devices }),
		column("seats", "Seats", func(l licenceLine) any { return l.seats }),
		column("left", "Left", func(l licenceLine) any { return l.left }).badIf(func(l licenceLine) bool { return l.bad }),
		column("remark", "Remark", func(l licenceLine) any { return l.remark }),
	)}
	r.Notes = append(r.Notes, fmt.Sprintf("%d devices hold an image and are counted (%d of them returned and not wiped, %d lost); %d that received one were wiped, disposed of or written over, and are not.", l.Devices, l.Returned, l.Lost, l.NotCount),
		"Counted is the software of the images; what was installed on a laptop later is not known here.")
	return r, nil
}
