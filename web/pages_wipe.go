package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// wipeActs are the forms of a device's page that have to do with what was on it.
func (a *API) wipeActs() map[string]deviceDo {
	return map[string]deviceDo{"wipe": a.doWipe, "destroyed": a.doDestroyed, "ready": a.doClear(store.Ready), "dispose": a.doClear(store.Disposed)}
}

// doWipe orders a wipe. What was typed goes to the service as it is: there, below every way in, it is held against the
// device's serial.
func (a *API) doWipe(ctx context.Context, operator, id string, f url.Values) (string, string, error) {
	o := store.WipeOrder{Device: id, Confirm: f.Get("typed"), Place: strings.TrimSpace(f.Get("place")), Allow: ticked(f, "allow"), PSIDs: psids(f)}
	switch then, what, _ := strings.Cut(f.Get("then"), ":"); then {
	case "dispose":
		o.Dispose = true
	case "image":
		o.Then = &store.Order{Image: what, Name: strings.TrimSpace(f.Get("name"))}
	case "role":
		o.Then = &store.Order{Role: what, Name: strings.TrimSpace(f.Get("name"))}
	}
	j, err := a.Wiper.Wipe(ctx, operator, ActorOf(ctx).Right, o)
	return jobPath(j.ID), "ordered", err
}

// psids reads what was scanned from the labels of locked drives, "psid-" and the drive's serial.
func psids(f url.Values) map[string]string {
	out := map[string]string{}
	for name := range f {
		if serial, ok := strings.CutPrefix(name, "psid-"); ok && strings.TrimSpace(f.Get(name)) != "" {
			out[serial] = strings.TrimSpace(f.Get(name))
		}
	}
	return out
}

// doDestroyed records the end of a drive that was not wiped.
func (a *API) doDestroyed(ctx context.Context, operator, id string, f url.Values) (string, string, error) {
	in := store.Destruction{Device: id, Drive: strings.TrimSpace(f.Get("drive")), Model: strings.TrimSpace(f.Get("model")), Confirm: f.Get("typed"), Method: strings.TrimSpace(f.Get("method")), Why: strings.TrimSpace(f.Get("why")),
		Place: strings.TrimSpace(f.Get("place")), By: strings.TrimSpace(f.Get("by")), Witness: strings.TrimSpace(f.Get("witness")), Reference: strings.TrimSpace(f.Get("reference")), PhotoSHA256: strings.TrimSpace(f.Get("photo")),
		Dispose: ticked(f, "dispose")}
	if day := strings.TrimSpace(f.Get("day")); day != "" {
		t, err := time.ParseInLocation(time.DateOnly, day, time.Local)
		if err != nil {
			return "", "", job.Faultf(job.CodeDestruction, "%.20q is no day: 2006-01-02.", day)
		}
		in.Time = t
	}
	_, err := a.Wiper.DestroyDrive(ctx, operator, in)
	return devicePath(id), "destroyed", err
}

// doClear sends a device on whose drives all have their records.
func (a *API) doClear(to store.DeviceState) deviceDo {
	return func(ctx context.Context, operator, id string, f url.Values) (string, string, error) {
		_, err := a.Wiper.Clear(ctx, operator, id, to, store.Disposal{Confirm: f.Get("typed"), Note: f.Get("note")})
		return devicePath(id), string(to), err
	}
}

// doAgree is the second person's word to a wipe.
func (a *API) doAgree(ctx context.Context, r *http.Request, f url.Values) (string, error) {
	id := job.ID(r.PathValue("id"))
	_, err := a.Wiper.AgreeWipe(ctx, operatorOf(r), ActorOf(ctx).Right, id, f.Get("typed"))
	return saidAt(jobPath(id), "agreed"), err
}

// Wiped are the drives that a wipe would be of, and Absent those that owe a record too and were not in it when it was
// last seen.
func (d deviceData) Wiped() []store.DriveView  { return present(d.Owing(), true) }
func (d deviceData) Absent() []store.DriveView { return present(d.Owing(), false) }

func present(all []store.DriveView, want bool) (out []store.DriveView) {
	for _, v := range all {
		if v.Present == want {
			out = append(out, v)
		}
	}
	return out
}

// Owing are the drives that owe a record.
func (d deviceData) Owing() (out []store.DriveView) {
	for _, v := range d.Kept {
		if v.Here && v.Owes() {
			out = append(out, v)
		}
	}
	return out
}

// Cleared reports whether a device that came back may leave: every drive that is known has its record.
func (d deviceData) Cleared() bool {
	return d.CameBack() && len(d.Kept) > 0 && len(d.Owing()) == 0
}

// CameBack reports whether it waits to be wiped.
func (d deviceData) CameBack() bool { return d.State == store.Returned || d.State == store.Wiping }

// ThenOptions are what may come after a wipe.
func (d deviceData) ThenOptions() []option {
	out := []option{{Text: "into the pool: ready"}, {Value: "dispose", Text: "out of the house: disposed"}}
	for _, o := range roleOptions(d.Roles) {
		out = append(out, option{Value: o.Value, Text: "deploy " + o.Text})
	}
	for _, v := range d.Images {
		if v.Current {
			out = append(out, option{Value: "image:" + v.Image, Text: fmt.Sprintf("deploy %s, current version %d", v.Image, v.Number)})
		}
	}
	return d.Sent("wipe").choose("then", "", out)
}
