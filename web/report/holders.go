package report

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"ingot/store"
)

// Holder is a device that holds, or received, a Version.
type Holder struct {
	Device       string            `json:"device"`
	Name         string            `json:"name"`
	Serial       string            `json:"serial"`
	Asset        string            `json:"asset"`
	Owner        string            `json:"owner"`
	Manufacturer string            `json:"manufacturer"`
	Model        string            `json:"model"`
	State        store.DeviceState `json:"state"`
	Version      string            `json:"version"`
	Label        string            `json:"label"`
	VersionState string            `json:"version_state"`
	Current      bool              `json:"current"` // the Version is what the Image's laptops receive
	Received     time.Time         `json:"received"`
	Operator     string            `json:"operator"`
	Trial        bool              `json:"trial"`
	Deployment   string            `json:"deployment"`
	Standing     Standing          `json:"standing"`
	Why          string            `json:"why,omitempty"` // when it does not hold it any more
}

// holder is a row about one Deployment of a device.
func (s *Snapshot) holder(d store.Device, dep store.Deployment, st Standing, why string) Holder {
	ref := refOf(dep.Image)
	v, known := s.Versions[ref]
	h := Holder{Device: d.ID, Name: d.Name, Serial: d.Serial, Asset: d.Asset, Owner: d.Owner, Manufacturer: d.Manufacturer, Model: d.Model, State: d.State,
		Version: ref.String(), Label: v.Label, VersionState: "unknown", Current: known && v.Deployable() && s.Images[ref.Image].Current == ref.Number,
		Received: dep.Finished, Operator: dep.Operator, Trial: dep.Trial, Deployment: dep.ID, Standing: st, Why: why}
	if known {
		h.VersionState = v.Word()
	}
	return h
}

// Holders lists the devices that hold a Version of the image, or with number 0 any of it; with an empty image, of all.
// With ever it lists those that received one, each with its newest Deployment of each Version. Retired, withdrawn and
// deleted Versions count as any other.
func (s *Snapshot) Holders(image string, number int, ever bool) []Holder {
	wanted := func(r Ref) bool { return (image == "" || r.Image == image) && (number == 0 || r.Number == number) }
	out := []Holder{}
	now := map[string]Holding{} // by device
	for _, h := range s.Holdings() {
		now[h.Device.ID] = h
		if !ever && h.Standing == Holds && wanted(refOf(h.Deployment.Image)) {
			out = append(out, s.holder(h.Device, h.Deployment, Holds, ""))
		}
	}
	if !ever {
		return out
	}
	for key, dep := range s.newest() {
		if !wanted(key.ref) {
			continue
		}
		d, known := s.Devices[dep.Device]
		if !known {
			d = store.Device{ID: dep.Device, Serial: dep.Serial, Name: dep.Name}
		}
		h, holds := now[d.ID]
		st, why := Replaced, ""
		switch {
		case holds && h.Deployment.ID == dep.ID:
			st, why = h.Standing, h.Why
		case holds:
			why = fmt.Sprintf("%s was put on it %s", h.Deployment.Image, day(h.Deployment.Finished))
		}
		out = append(out, s.holder(d, dep, st, why))
	}
	slices.SortFunc(out, func(a, b Holder) int {
		return cmp.Or(strings.Compare(strings.ToLower(holderLabel(a)), strings.ToLower(holderLabel(b))), strings.Compare(a.Device, b.Device), a.Received.Compare(b.Received), strings.Compare(a.Deployment, b.Deployment))
	})
	return out
}

type deviceVersion struct {
	device string
	ref    Ref
}

// newest gives the last Deployment of each Version on each device.
func (s *Snapshot) newest() map[deviceVersion]store.Deployment {
	out := map[deviceVersion]store.Deployment{}
	for _, dep := range s.Deployments {
		k := deviceVersion{dep.Device, refOf(dep.Image)}
		if old, ok := out[k]; !ok || dep.Finished.After(old.Finished) {
			out[k] = dep
		}
	}
	return out
}

func holderLabel(h Holder) string { return cmp.Or(h.Name, h.Serial, h.Device) }

func (s *Snapshot) holdersReport(q Query) (Report, error) {
	rows := s.Holders(q.Image, q.Number, q.Ever)
	title := "Devices that hold "
	if q.Ever {
		title = "Devices that received "
	}
	switch {
	case q.Image == "":
		title += "an image"
	case q.Number == 0:
		title += q.Image
	default:
		title += Ref{q.Image, q.Number}.String()
	}
	return Report{Title: title, Rows: rows, Table: tableOf(rows, append(holderColumns(),
		column("standing", "Is it there", func(h Holder) any { return string(h.Standing) }),
		column("why", "Why not", func(h Holder) any { return h.Why }))...)}, nil
}

func holderColumns() []col[Holder] {
	return []col[Holder]{
		column("name", "Name", func(h Holder) any { return h.Name }).to(func(h Holder) string { return devicePage(h.Device) }),
		column("serial", "Serial", func(h Holder) any { return h.Serial }),
		column("asset", "Asset tag", func(h Holder) any { return h.Asset }),
		column("owner", "Owner", func(h Holder) any { return h.Owner }),
		column("model", "Model", func(h Holder) any { return strings.TrimSpace(h.Manufacturer + " " + h.Model) }),
		column("state", "Device is", func(h Holder) any { return string(h.State) }),
		column("version", "Version", func(h Holder) any { return h.Version }),
		column("label", "Label", func(h Holder) any { return h.Label }),
		column("version_state", "Version is", func(h Holder) any { return h.VersionState }).badIf(func(h Holder) bool { return h.VersionState != string(store.Released) }),
		column("received", "Received", func(h Holder) any { return h.Received }).to(func(h Holder) string { return receiptPage(h.Deployment) }),
		column("operator", "From", func(h Holder) any { return h.Operator }),
		column("device", "Record", func(h Holder) any { return h.Device }).forPrograms(),
	}
}

func devicePage(id string) string { return "/devices/" + url.PathEscape(id) }

func receiptPage(deployment string) string { return "/receipts/" + url.PathEscape(deployment) }
