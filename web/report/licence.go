package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"ingot/store"
)

// Licences is the count of software against entitlements.
type Licences struct {
	Unread   []Unread   `json:"unread"`    // versions that are held and whose software is not, or not wholly, known
	Unmapped []Software `json:"unmapped"`  // no rule speaks of it
	Products []Product  `json:"products"`  // each entitlement; the overdrawn ones first
	Free     []Software `json:"free"`      // a rule says that it needs no licence
	Devices  int        `json:"devices"`   // that hold a version
	Returned int        `json:"returned"`  // of them, came back and are not wiped
	Lost     int        `json:"lost"`      // of them
	NotCount int        `json:"not_count"` // devices that received a version and hold none any more
}

// Unread is a version that devices hold, or may hold, and whose software was not counted, or not wholly.
type Unread struct {
	Version string `json:"version"`
	Devices int    `json:"devices"`
	Why     string `json:"why"`
}

// Software is one name of a kind by one vendor, over all versions that are held.
type Software struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Vendor   string   `json:"vendor,omitempty"`
	Releases []string `json:"releases"`       // its own versions, at most maxReleases
	Images   []string `json:"images"`         // versions of images that hold it
	Devices  int      `json:"devices"`        // that hold one of these
	Rule     int      `json:"rule,omitempty"` // id of the rule that speaks of it
}

const maxReleases = 8

// Product is an entitlement with what is used of it.
type Product struct {
	store.Entitlement
	Used     int        `json:"used"` // devices that hold software of it, each once
	Left     int        `json:"left"` // negative: so many too few
	Expired  bool       `json:"expired"`
	Returned int        `json:"returned"` // of Used
	Lost     int        `json:"lost"`     // of Used
	Software []Software `json:"software"`
}

// softwareKey tells software apart.
type softwareKey struct{ kind, name, vendor string }

// held is how many devices hold one Version.
type held struct{ devices, returned, lost int }

func (h *held) add(o held) {
	h.devices, h.returned, h.lost = h.devices+o.devices, h.returned+o.returned, h.lost+o.lost
}

// Licences counts. A device holds one Version, so the devices of different Versions are different ones, and a product is
// counted once in each Version that has anything of it.
func (s *Snapshot) Licences() Licences {
	out := Licences{Unread: []Unread{}, Unmapped: []Software{}, Products: []Product{}, Free: []Software{}}
	holders := map[Ref]*held{}
	for _, h := range s.Holdings() {
		if h.Standing != Holds {
			out.NotCount++
			continue
		}
		n := held{devices: 1}
		switch h.Device.State {
		case store.Returned:
			n.returned = 1
		case store.Lost:
			n.lost = 1
		}
		ref := refOf(h.Deployment.Image)
		if holders[ref] == nil {
			holders[ref] = &held{}
		}
		holders[ref].add(n)
		out.Devices, out.Returned, out.Lost = out.Devices+1, out.Returned+n.returned, out.Lost+n.lost
	}
	c := &counter{rules: s.Rules, software: map[softwareKey]*Software{}, product: map[softwareKey]string{}, used: map[string]*held{}}
	for ref, n := range s.Unproven() {
		out.Unread = append(out.Unread, Unread{ref.String(), n, "it may be on them, but that was not proven: start them again"})
	}
	slices.SortFunc(out.Unread, func(a, b Unread) int { return strings.Compare(a.Version, b.Version) })
	for _, ref := range sortedRefs(holders) {
		content, known := s.Contents[ref]
		if why := unread(content, known); why != "" {
			out.Unread = append(out.Unread, Unread{ref.String(), holders[ref].devices, why})
		}
		c.count(ref, content, *holders[ref])
	}
	c.sort(&out, s)
	return out
}

func unread(c store.Content, known bool) string {
	switch {
	case !known:
		return "nobody has looked inside: run \"ingot image look\""
	case c.More > 0:
		return "its list of software was too long and is cut off"
	case len(c.Packages) == 0 && c.System.Name == "":
		return "no software was found in it"
	}
	return ""
}

func sortedRefs(m map[Ref]*held) []Ref {
	out := make([]Ref, 0, len(m))
	for r := range m {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Ref) int {
		return cmp.Or(strings.Compare(a.Image, b.Image), cmp.Compare(a.Number, b.Number))
	})
	return out
}

// counter adds versions up.
type counter struct {
	rules    []store.LicenceRule
	software map[softwareKey]*Software
	product  map[softwareKey]string // of software that a rule maps; empty: it needs no licence
	used     map[string]*held       // product in lower case -> devices
}

// count takes one Version in, with the operating system as a piece of its software.
func (c *counter) count(ref Ref, content store.Content, n held) {
	inVersion, inProduct := map[softwareKey]bool{}, map[string]bool{}
	for _, p := range withSystem(content) {
		k := softwareKey{p.Kind, p.Name, p.Vendor}
		sw := c.get(k)
		if len(sw.Releases) < maxReleases && p.Version != "" && !slices.Contains(sw.Releases, p.Version) {
			sw.Releases = append(sw.Releases, p.Version)
		}
		if inVersion[k] {
			continue // the same for another architecture
		}
		inVersion[k] = true
		sw.Images, sw.Devices = append(sw.Images, ref.String()), sw.Devices+n.devices
		product := strings.ToLower(c.product[k])
		if product == "" || inProduct[product] {
			continue
		}
		inProduct[product] = true
		if c.used[product] == nil {
			c.used[product] = &held{}
		}
		c.used[product].add(n)
	}
}

// get finds software that was counted before, or asks the rules about it.
func (c *counter) get(k softwareKey) *Software {
	sw := c.software[k]
	if sw == nil {
		sw = &Software{Name: k.name, Kind: k.kind, Vendor: k.vendor, Releases: []string{}}
		for _, r := range c.rules {
			if r.Fits(k.kind, k.name, k.vendor) {
				sw.Rule, c.product[k] = r.ID, r.Product
				break
			}
		}
		c.software[k] = sw
	}
	return sw
}

// withSystem is the list of software with the operating system in front.
func withSystem(c store.Content) []store.Package {
	name := strings.TrimSpace(c.System.Name)
	if e := c.System.Edition; e != "" && !strings.Contains(strings.ToLower(name), strings.ToLower(e)) {
		name = strings.TrimSpace(name + " " + e)
	}
	if name == "" {
		return c.Packages
	}
	return append([]store.Package{{Name: name, Version: cmp.Or(c.System.Version, c.System.Build), Kind: "system"}}, c.Packages...)
}

// sort puts each software where it belongs. A rule may lead to a product whose entitlement is gone: then it is unmapped.
func (c *counter) sort(out *Licences, s *Snapshot) {
	of := map[string][]Software{}
	known := map[string]bool{}
	for _, e := range s.Entitlements {
		known[strings.ToLower(e.Product)] = true
	}
	for k, sw := range c.software {
		slices.Sort(sw.Releases)
		product := strings.ToLower(c.product[k])
		switch {
		case sw.Rule == 0 || product != "" && !known[product]:
			out.Unmapped = append(out.Unmapped, *sw)
		case product == "":
			out.Free = append(out.Free, *sw)
		default:
			of[product] = append(of[product], *sw)
		}
	}
	for _, e := range s.Entitlements {
		key := strings.ToLower(e.Product)
		p := Product{Entitlement: e, Left: e.Seats, Software: of[key], Expired: expired(e, s.Time)}
		if n := c.used[key]; n != nil {
			p.Used, p.Left, p.Returned, p.Lost = n.devices, e.Seats-n.devices, n.returned, n.lost
		}
		if p.Software == nil {
			p.Software = []Software{}
		}
		bySoftware(p.Software)
		out.Products = append(out.Products, p)
	}
	bySoftware(out.Unmapped)
	bySoftware(out.Free)
	slices.SortStableFunc(out.Products, func(a, b Product) int {
		return cmp.Or(cmp.Compare(trouble(a), trouble(b)), strings.Compare(strings.ToLower(a.Product), strings.ToLower(b.Product)))
	})
}

// expired: the last day itself is covered, to its end in the zone in which now is told.
func expired(e store.Entitlement, now time.Time) bool {
	y, m, d := now.Date()
	return !e.Expires.IsZero() && time.Date(y, m, d, 0, 0, 0, 0, time.UTC).After(e.Expires)
}

// trouble is 0 for what a licence manager must see first.
func trouble(p Product) int {
	if p.Left < 0 || p.Expired && p.Used > 0 {
		return 0
	}
	return 1
}

// bySoftware puts what most devices hold first.
func bySoftware(all []Software) {
	slices.SortFunc(all, func(a, b Software) int {
		return cmp.Or(cmp.Compare(b.Devices, a.Devices), strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Vendor, b.Vendor))
	})
}
