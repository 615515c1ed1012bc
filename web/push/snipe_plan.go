package push

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ingot/store"
)

// facts are what Ingot knows about a device.
type facts struct {
	device store.Device
	holds  *store.Deployment // nil when it holds nothing of ours
}

// step is the one next thing that brings an asset and a device together; the zero value is that nothing is left.
type step struct {
	checkin  bool
	patch    map[string]any // what to write: only what differs
	checkout string         // who has it now
}

func (s step) none() bool { return !s.checkin && len(s.patch) == 0 && s.checkout == "" }

// parts are what is written, by the names that the register has for it.
func (s step) parts() []string {
	switch {
	case s.checkin:
		return []string{"checkin"}
	case s.checkout != "":
		return []string{"checkout"}
	}
	return slices.Sorted(maps.Keys(s.patch))
}

// nextStep decides what to write to an asset. base is what the register said when it was last read, known whether it was.
func nextStep(f facts, m store.SnipeMap, a asset, base store.Registered, known bool) step {
	o := ownerOf(f.device, m, a, base, known)
	if o.give != nil && a.Assigned != nil {
		return step{checkin: true} // an assignment is never changed, only ended and begun
	}
	if patch := differing(f, m, a); len(patch) > 0 {
		return step{patch: patch}
	}
	if o.give != nil && *o.give != "" {
		return step{checkout: *o.give}
	}
	return step{}
}

// ownership is what follows when the two sides name another person: the record takes that of the register, or the
// register is given ours; or neither now, and open is whether the register's word still waits.
type ownership struct {
	take, give *string
	open       bool
}

// ownerOf decides who has the device. What changed in the register since it was last read wins. Else the change is ours,
// and is given to the register where that is allowed.
func ownerOf(d store.Device, m store.SnipeMap, a asset, base store.Registered, known bool) ownership {
	there := assignee(a)
	news := known && !sameValue(there, base.Owner) && !(base.Ours && there == "") || !known && there != ""
	switch {
	case sameValue(there, d.Owner):
		return ownership{}
	case news && nobodys(d.State):
		return ownership{open: true}
	case news:
		return ownership{take: &there}
	case m.Assign:
		return ownership{give: &d.Owner}
	case there == "", nobodys(d.State):
		return ownership{} // nobody keeps there who has what
	}
	return ownership{take: &there}
}

// nobodys reports whether a device in this state belongs to nobody, whatever the register says.
func nobodys(s store.DeviceState) bool {
	return s == store.Returned || s == store.Wiping || s == store.Disposed || s == store.Lost
}

// assignee is who has an asset.
func assignee(a asset) string {
	if a.Assigned == nil {
		return ""
	}
	if a.Assigned.Name != "" {
		return string(a.Assigned.Name)
	}
	return string(a.Assigned.Username)
}

// differing is what the register must be told: the serial, the label for the state, and the columns that were chosen.
// What we do not know takes nothing away.
func differing(f facts, m store.SnipeMap, a asset) map[string]any {
	out := map[string]any{}
	if s := strings.TrimSpace(f.device.Serial); s != "" && !strings.EqualFold(s, string(a.Serial)) {
		out["serial"] = s
	}
	if id := m.Status[f.device.State]; id != 0 && (a.Status == nil || a.Status.ID != id) {
		out["status_id"] = id
	}
	for field, column := range m.Columns {
		if column == "name" {
			if v := f.value(field, ""); v != "" && v != string(a.Name) {
				out["name"] = v
			}
			continue
		}
		has, there := a.Custom[column]
		if v := f.value(field, has.Format); there && v != "" && !sameValue(v, string(has.Value)) {
			out[column] = v
		}
	}
	return out
}

// lacking are the chosen columns that the asset's model does not have: writing them is answered with success and ignored.
func lacking(f facts, m store.SnipeMap, a asset) (out []string) {
	for field, column := range m.Columns {
		if _, there := a.Custom[column]; !there && column != "name" && f.value(field, "") != "" {
			out = append(out, column)
		}
	}
	slices.Sort(out)
	return out
}

// sameValue compares as the register's own database does.
func sameValue(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}

// maxValue bounds what is written into one column, in bytes.
const maxValue = 190

// value is what a column gets; format is the column's own (DATE, MAC).
func (f facts) value(field store.PushField, format string) string {
	d := f.device
	v := ""
	switch field {
	case store.FieldName:
		v = d.Name
	case store.FieldUUID:
		v = d.UUID
	case store.FieldDrives:
		v = drives(d)
	case store.FieldMACs:
		if v = strings.Join(d.BuiltIn, " "); format == "MAC" {
			v, _, _ = strings.Cut(v, " ")
		}
	case store.FieldMemory:
		if d.MemoryBytes > 0 {
			v = fmt.Sprintf("%d GB", (d.MemoryBytes+1<<29)>>30)
		}
	case store.FieldState:
		v = string(d.State)
	case store.FieldImage:
		if f.holds != nil {
			v = f.holds.Image.String()
		}
	case store.FieldImaged:
		if f.holds != nil {
			v = imaged(f.holds.Finished, format)
		}
	}
	return clip(v, maxValue)
}

func imaged(t time.Time, format string) string {
	if format == "DATE" {
		return t.UTC().Format(time.DateOnly)
	}
	return t.UTC().Format(time.RFC3339)
}

// drives are the internal drives in a few words, by their serials.
func drives(d store.Device) string {
	var out []string
	for _, x := range d.Drives {
		if !x.Removable {
			out = append(out, fmt.Sprintf("%s %s %d GB", x.Model, x.Serial, x.SizeBytes/1_000_000_000))
		}
	}
	return strings.Join(out, "; ")
}
