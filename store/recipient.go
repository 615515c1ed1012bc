package store

import (
	"fmt"
	"slices"
	"time"
)

// Recipient is one device that received a Version.
type Recipient struct {
	Device     string      `json:"device"`
	Serial     string      `json:"serial"`
	Name       string      `json:"name"` // as it was written then
	Asset      string      `json:"asset,omitempty"`
	State      DeviceState `json:"state"` // now; empty when the device was forgotten
	Number     int         `json:"number"`
	Deployment string      `json:"deployment"`
	Finished   time.Time   `json:"finished"`
	Operator   string      `json:"operator"`
	Trial      bool        `json:"trial,omitempty"`
	Holds      bool        `json:"holds"` // nothing was put on the device since
}

// Recipients lists who received a Version, or any of an Image when number is 0; oldest first. The list rests on the
// Deployments, so it stays when the Version is retired or its content deleted.
func (tx *Tx) Recipients(image string, number int) ([]Recipient, error) {
	var out []Recipient
	err := each(tx, bDeployments, nil, func(_ []byte, d Deployment) error {
		if d.Image.Name != image || number != 0 && d.Image.Number != number {
			return nil
		}
		h := Recipient{Device: d.Device, Serial: d.Serial, Name: d.Name, Number: d.Image.Number, Deployment: d.ID, Finished: d.Finished, Operator: d.Operator, Trial: d.Trial}
		dev, err := tx.Device(d.Device)
		if err != nil && !isNotFound(err) {
			return err
		}
		if err == nil {
			h.State, h.Asset, h.Holds = dev.State, dev.Asset, dev.Deployment == d.ID
		}
		out = append(out, h)
		return nil
	})
	slices.SortFunc(out, func(a, b Recipient) int { return a.Finished.Compare(b.Finished) })
	return out, err
}

// Stale says in one sentence why a Version is older than its Image's cadence allows; empty when it is not.
func (v Version) Stale(img Image, now time.Time) string {
	limit := time.Duration(img.CadenceDays) * 24 * time.Hour
	for _, age := range []struct {
		since time.Time
		what  string
	}{{v.Created, "was captured"}, {v.Patched, "got its last updates"}} {
		if limit > 0 && !age.since.IsZero() && now.Sub(age.since) > limit {
			return fmt.Sprintf("%s %s %d days ago; %s is to be renewed every %d days.", v.Ref(), age.what, int(now.Sub(age.since).Hours()/24), img.Name, img.CadenceDays)
		}
	}
	return ""
}

// VersionView is a Version as people see it in a list.
type VersionView struct {
	Version
	Current bool   `json:"current,omitempty"`
	Stale   string `json:"stale,omitempty"`
	Held    int    `json:"held"`           // devices that carry it now
	Jobs    int    `json:"jobs,omitempty"` // jobs that put it on a device now
}

// ViewVersion tells what a Version means now.
func (tx *Tx) ViewVersion(v Version) (VersionView, error) {
	img, err := tx.Image(v.Image)
	if err != nil {
		return VersionView{}, err
	}
	held, err := tx.carried()
	if err != nil {
		return VersionView{}, err
	}
	jobs, err := tx.ActiveJobs()
	return tx.viewVersion(img, v, held, jobs), err
}

// carried counts the devices that carry a version now, by the versions. It reads what each device holds and nothing that
// lies behind it: most of an old record.
func (tx *Tx) carried() (map[numbered]int, error) {
	out := map[numbered]int{}
	devices, err := tx.Devices()
	if err != nil {
		return nil, err
	}
	for _, d := range devices {
		if d.Deployment == "" {
			continue
		}
		dep, err := tx.Deployment(d.Deployment)
		switch {
		case isNotFound(err):
		case err != nil:
			return nil, err
		case dep.Device == d.ID:
			out[numbered{dep.Image.Name, dep.Image.Number}]++
		}
	}
	return out, nil
}

// numbered identifies a Version.
type numbered struct {
	image  string
	number int
}

func (tx *Tx) viewVersion(img Image, v Version, held map[numbered]int, jobs []Job) VersionView {
	w := VersionView{Version: v, Current: img.Current == v.Number && v.Deployable(), Held: held[numbered{v.Image, v.Number}]}
	if v.Deployable() {
		w.Stale = v.Stale(img, tx.now)
	}
	for _, j := range jobs {
		if j.Image == v.Ref() {
			w.Jobs++
		}
	}
	return w
}

// VersionViews lists the versions of every image, oldest first.
func (tx *Tx) VersionViews() ([]VersionView, error) {
	images, err := tx.Images()
	if err != nil {
		return nil, err
	}
	jobs, err := tx.ActiveJobs()
	if err != nil {
		return nil, err
	}
	held, err := tx.carried()
	if err != nil {
		return nil, err
	}
	var out []VersionView
	for _, img := range images {
		all, err := tx.Versions(img.Name)
		if err != nil {
			return nil, err
		}
		for _, v := range all {
			out = append(out, tx.viewVersion(img, v, held, jobs))
		}
	}
	return out, nil
}

// ImageView is an Image with its life.
type ImageView struct {
	Image
	Versions []Version `json:"versions"`
}
