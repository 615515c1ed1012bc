package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
)

// ImportDevices makes known what a supplier's list promises. All lines are imported, or none: then the outcome names
// each bad line. The same list again changes nothing.
func (s *Service) ImportDevices(_ context.Context, operator string, list store.List) (out store.Listed, err error) {
	rows, bad := readList(list.CSV)
	if len(bad) == 0 && len(rows) == 0 {
		bad = []store.BadLine{{Line: 1, Why: "The list names no laptop."}}
	}
	err = s.update(func(tx *store.Tx) error {
		out = store.Listed{}
		shelf, err := readShelf(tx)
		if err != nil {
			return err
		}
		var change []store.Device
		for _, r := range rows {
			d, what, why := shelf.place(r)
			if why != "" {
				bad = append(bad, store.BadLine{Line: r.line, Why: why})
				continue
			}
			switch what {
			case rowNew:
				d.ID, d.State, d.Created, d.Changed = newID(12), store.Ready, tx.Now(), tx.Now()
				out.Added++
			case rowFills:
				out.Filled++
			default:
				out.Known++
				continue
			}
			change = append(change, d)
		}
		if len(bad) > 0 {
			return job.Faultf(job.CodeListRefused, "") // nothing of it is kept
		}
		for _, d := range change {
			if err := tx.PutDevice(d); err != nil {
				return err
			}
		}
		if len(change) == 0 {
			return nil
		}
		return tx.Audit(operator, "import", "devices", fmt.Sprintf("A list of %d laptops: %d new, %d filled in.", len(rows), out.Added, out.Filled))
	})
	if len(bad) > 0 {
		return store.RefusedList(bad), nil
	}
	return out, err
}

// shelf is what is known already, by what a line may clash with.
type shelf struct {
	bySerial, byUUID, byMAC, byAsset map[string]store.Device
	shared                           map[store.Fact]bool
	roles                            map[string]bool
}

func readShelf(tx *store.Tx) (shelf, error) {
	s := shelf{bySerial: map[string]store.Device{}, byUUID: map[string]store.Device{}, byMAC: map[string]store.Device{}, byAsset: map[string]store.Device{},
		shared: map[store.Fact]bool{}, roles: map[string]bool{}}
	devices, err := tx.Devices()
	if err != nil {
		return s, err
	}
	for _, d := range devices {
		if d.State == store.Quarantined {
			continue // it only claims
		}
		s.bySerial[d.SerialKey], s.byUUID[d.UUIDKey], s.byAsset[strings.ToLower(d.Asset)] = d, d, d
		if d.Sticker != "" {
			s.bySerial[store.SerialKey(d.Manufacturer, d.Sticker)] = d
		}
		for _, m := range d.BuiltIn {
			s.byMAC[m] = d
		}
	}
	shared, err := tx.SharedFacts()
	if err != nil {
		return s, err
	}
	for _, f := range shared {
		s.shared[f.Fact] = true
	}
	roles, err := tx.Roles()
	for _, r := range roles {
		s.roles[r.Name] = true
	}
	return s, err
}

// What a line means for the records.
const (
	rowKnown = iota // says nothing new
	rowNew          // a laptop that was not known
	rowFills        // gives a known one what it lacks
)

// corrected reports whether a person replaced just this entry, or settled that another part took its place: the list
// is older than that.
func corrected(d store.Device, what, from string) bool {
	return slices.ContainsFunc(d.History, func(c store.Change) bool {
		return strings.EqualFold(c.What, what) && (c.Old == from || what == "adapter" && slices.Contains(strings.Fields(c.Old), from))
	})
}

// place finds the device of a line and fills in what the line says; or says why it cannot be. What stands on a device
// is never replaced by a list.
func (s shelf) place(r listRow) (d store.Device, what int, why string) {
	key := store.SerialKey(r.maker, r.serial)
	d, known := s.bySerial[key]
	if s.shared[store.Fact{Kind: store.FactSerial, Value: key}] {
		return d, 0, fmt.Sprintf("The serial %s is told by several laptops.", r.serial)
	}
	if r.role != "" && !s.roles[r.role] {
		return d, 0, fmt.Sprintf("There is no role %q.", r.role)
	}
	for _, x := range []struct {
		by    map[string]store.Device
		value string
		what  string
		kind  store.FactKind
	}{{s.byUUID, r.uuid, "UUID", store.FactUUID}, {s.byMAC, r.mac, "MAC", store.FactMAC}, {s.byAsset, strings.ToLower(r.asset), "asset tag", ""}} {
		if o, taken := x.by[x.value]; x.value != "" && taken && (!known || o.ID != d.ID) {
			return d, 0, fmt.Sprintf("%s has this %s.", o.Label(), x.what)
		}
		if x.value != "" && s.shared[store.Fact{Kind: x.kind, Value: x.value}] {
			return d, 0, fmt.Sprintf("This %s is told by several laptops.", x.what)
		}
	}
	if known && !d.Promised() && r.uuid != "" && d.UUIDKey == "" {
		return d, 0, fmt.Sprintf("%s was here and tells no UUID of its own: leave it out, or another laptop that tells it is taken for this one.", d.Label())
	}
	what = rowKnown
	if !known {
		what = rowNew
		d = store.Device{Manufacturer: r.maker, Model: r.model, Serial: r.serial, SerialKey: key}
	}
	for _, e := range []struct {
		word  string
		field *string
		to    string
	}{{"asset tag", &d.Asset, r.asset}, {"owner", &d.Owner, r.owner}, {"role", &d.Role, r.role}, {"note", &d.Note, r.note}, {"UUID", &d.UUIDKey, r.uuid}} {
		switch {
		case e.to == "" || *e.field == e.to || corrected(d, e.word, e.to):
		case *e.field != "":
			return d, 0, fmt.Sprintf("%s has another %s, %q: set it with \"ingot device set\".", d.Label(), e.word, *e.field)
		default:
			*e.field = e.to
			if what == rowKnown {
				what = rowFills
			}
		}
	}
	if r.mac != "" && !slices.Contains(d.BuiltIn, r.mac) && !corrected(d, "adapter", r.mac) {
		if len(d.BuiltIn) > 0 {
			return d, 0, fmt.Sprintf("%s has another built-in adapter, %s.", d.Label(), strings.Join(d.BuiltIn, " "))
		}
		d.BuiltIn = []string{r.mac}
		if what == rowKnown {
			what = rowFills
		}
	}
	return d, what, ""
}
