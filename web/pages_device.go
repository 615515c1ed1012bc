package web

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
)

// deviceData is the page of one device.
type deviceData struct {
	store.DeviceView
	History   store.DeviceHistory
	Images    []store.VersionView // that may be deployed: released, drafts to try, its own backups
	Roles     []store.Role
	Loses     string
	Type      string // what has to be typed before its data is destroyed
	Ask       bool   // whether that is asked
	Drives    []job.Drive
	Act       string     // the form that was sent a moment ago and refused
	Form      url.Values // what it sent
	NeedCode  bool       // it shows a code, or waits for its sticker
	NoSerial  bool
	Observed  *store.Observed
	SameNames bool
	Start     []store.BootEvent // of its last start
	Failure   *faultWords       // why it failed, while it is failed
	Kept      []store.DriveView // its drives with what is on record about each
	WipeType  string            // what is typed before they are wiped
	Wipes     bool              // this server wipes
}

// devicePage shows one device, with what did not work when a form of it was sent.
func (a *API) devicePage(w http.ResponseWriter, r *http.Request, f *job.Fault) {
	ctx := r.Context()
	v, err := a.Bench.Device(ctx, r.PathValue("ref"))
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	if ref := r.PathValue("ref"); ref != v.ID && r.Method == http.MethodGet {
		http.Redirect(w, r, devicePath(v.ID), http.StatusSeeOther) // one address for one device
		return
	}
	d := deviceData{DeviceView: v, Type: serialToType(v.Device), Form: r.PostForm, NeedCode: v.State == store.New && v.Code != "", NoSerial: v.SerialKey == "" && v.Sticker == ""}
	d.Act = path.Base(r.URL.Path)
	d.Loses, d.Ask = losesOf(v)
	d.Ask = d.Ask || f != nil && (f.Code == job.CodeUnconfirmed || f.Code == job.CodeTyped)
	for _, x := range v.Drives {
		if !x.Removable {
			d.Drives = append(d.Drives, x)
		}
	}
	if v.Holds != nil {
		if d.Observed = v.Holds.Seen(); d.Observed != nil {
			d.SameNames = strings.EqualFold(d.Observed.Hostname, v.Name)
		}
	}
	if d.History, err = a.Bench.History(ctx, v.ID); err == nil {
		d.Roles, err = a.Bench.Roles(ctx)
	}
	if err == nil && a.Shelf != nil {
		d.Images, err = a.Shelf.Images(ctx)
		d.Images = slices.DeleteFunc(d.Images, func(x store.VersionView) bool { return !offered(x, v.ID) })
	}
	if err == nil {
		d.DeviceView.Start, err = a.lastStart(ctx, v.ID)
	}
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	d.Start = lastLegs(d.DeviceView.Start)
	if a.Wiper != nil {
		d.Wipes, d.WipeType = true, v.WipeWord()
		if d.Kept, err = a.Wiper.DrivesOf(ctx, v.ID); err != nil {
			a.showFault(w, r, err)
			return
		}
	}
	if v.State == store.Failed && len(d.History.Jobs) > 0 {
		d.Failure = wordsOf(d.History.Jobs[0].Fault)
	}
	a.show(w, r, "device", page{Title: cmp.Or(v.Label(), v.Serial), Area: "devices", Fault: f, Data: d})
}

// Sent is what one of its forms sent a moment ago.
func (d deviceData) Sent(act string) sent {
	if d.Act != act || len(d.Form) == 0 {
		return sent{}
	}
	return sent{d.Form}
}

// offered reports whether a version may be put on a device: released or a draft, and a backup only on its own.
func offered(v store.VersionView, device string) bool {
	if v.Deleted || v.State != store.Released && v.State != store.Draft {
		return false
	}
	return v.Kind != store.Backup || v.Device == device
}

// lastLegs are the events of the last start.
func lastLegs(l *store.BootLog) []store.BootEvent {
	if l == nil || l.From < 0 || l.From > len(l.Events) {
		return nil
	}
	return l.Events[l.From:]
}

// deviceDo is one act of a device's page: it gives where the person is led, and the word for what was done.
type deviceDo func(ctx context.Context, operator, id string, f url.Values) (to, word string, err error)

// deviceActs are the forms of a device's page.
func (a *API) deviceActs() map[string]deviceDo {
	acts := map[string]deviceDo{"adopt": a.doAdopt, "deploy": a.doDeploy, "rename": a.doRename, "capture": a.doCapture, "set": a.doSet, "lost": a.doLose, "return": a.doReturn, "settle": a.doSettle}
	if a.Wiper != nil {
		maps.Copy(acts, a.wipeActs())
	}
	return acts
}

func (a *API) deviceAct(do deviceDo) http.HandlerFunc {
	return a.pageAct(func(ctx context.Context, r *http.Request, f url.Values) (string, error) {
		to, word, err := do(ctx, operatorOf(r), r.PathValue("ref"), f)
		return saidAt(to, word), err
	}, a.devicePage)
}

func (a *API) doAdopt(ctx context.Context, operator, id string, f url.Values) (string, string, error) {
	d, err := a.Bench.Adopt(ctx, operator, store.Adoption{Code: f.Get("code"), Sticker: f.Get("sticker"), Name: f.Get("name"), Role: f.Get("role"), Asset: f.Get("asset")})
	return devicePath(cmp.Or(d.ID, id)), "adopted", err
}

// doDeploy orders. Where data is lost, the page wants the serial, typed: it stands on the laptop's sticker, so it is not
// typed by mistake.
func (a *API) doDeploy(ctx context.Context, operator, id string, f url.Values) (string, string, error) {
	o := store.Order{Device: id, Name: strings.TrimSpace(f.Get("name")), Drive: f.Get("drive"), After: job.After(f.Get("after")), StaleReason: f.Get("stale"),
		Trial: ticked(f, "trial"), DespiteHealth: ticked(f, "health"), NoPersonalise: ticked(f, "unnamed"), DataSaved: ticked(f, "saved")}
	var err error
	if o.Image, o.Role, err = wanted(f.Get("image"), ""); err != nil {
		return "", "", err
	}
	if typed := strings.TrimSpace(f.Get("typed")); typed != "" || f.Has("asked") {
		d, err := a.Bench.Device(ctx, id)
		if err != nil {
			return "", "", err
		}
		if !sameTyped(typed, serialToType(d.Device)) {
			return "", "", job.Faultf(job.CodeTyped, "It is not the serial of %s.", d.Label())
		}
		o.Confirm = typed
	}
	j, err := a.Bench.Deploy(ctx, operator, o)
	return jobPath(j.ID), "ordered", err
}

func (a *API) doRename(ctx context.Context, operator, id string, f url.Values) (string, string, error) {
	j, err := a.Bench.Rename(ctx, operator, store.Rename{Device: id, Name: strings.TrimSpace(f.Get("name")), Role: f.Get("role")})
	return jobPath(j.ID), "ordered", err
}

func (a *API) doCapture(ctx context.Context, operator, id string, f url.Values) (string, string, error) {
	days, err := number(f, "days", "The days for which a backup is kept")
	if err != nil {
		return "", "", err
	}
	o := store.Capture{Device: id, Image: strings.TrimSpace(f.Get("image")), Label: f.Get("label"), Note: f.Get("note"), Drive: f.Get("drive"), After: job.After(f.Get("after")), Backup: ticked(f, "backup")}
	if o.Backup {
		o.Days = days
	}
	j, err := a.Bench.Capture(ctx, operator, o)
	return jobPath(j.ID), "ordered", err
}

// doSet corrects what persons keep. Only what differs from what the page showed is sent.
func (a *API) doSet(ctx context.Context, operator, id string, f url.Values) (string, string, error) {
	c := store.Correction{Reason: f.Get("reason")}
	for name, field := range map[string]**string{"serial": &c.Serial, "asset": &c.Asset, "owner": &c.Owner, "note": &c.Note} {
		if now := strings.TrimSpace(f.Get(name)); f.Has(name) && now != strings.TrimSpace(f.Get("was-"+name)) {
			*field = &now
		}
	}
	if c.Serial == nil && c.Asset == nil && c.Owner == nil && c.Note == nil {
		_, err := a.Bench.Device(ctx, id)
		return devicePath(id), "saved", err // nothing was changed
	}
	_, err := a.Bench.SetDevice(ctx, operator, id, c)
	return devicePath(id), "saved", err
}

func (a *API) doLose(ctx context.Context, operator, id string, f url.Values) (string, string, error) {
	_, err := a.Bench.Lose(ctx, operator, id, store.Loss{Tell: f.Get("tell"), Note: f.Get("note")})
	return devicePath(id), "lost", err
}

func (a *API) doReturn(ctx context.Context, operator, id string, f url.Values) (string, string, error) {
	_, err := a.Bench.Return(ctx, operator, id, store.Return{From: f.Get("from"), Note: f.Get("note"), Found: ticked(f, "found")})
	return devicePath(id), "returned", err
}

func (a *API) doSettle(ctx context.Context, operator, id string, f url.Values) (string, string, error) {
	d, err := a.Bench.Settle(ctx, operator, id, store.Settlement{As: f.Get("as"), With: f.Get("with")})
	return devicePath(cmp.Or(d.ID, id)), "settled", err
}

// entry is one field that persons keep, as its form shows it.
type entry struct {
	Title, Name, Value, Was string
	Most                    int
}

// Entries are the fields that may be corrected: what was typed and refused a moment ago stands in them still.
func (d deviceData) Entries() []entry {
	out := []entry{{"Serial", "serial", "", d.Serial, 64}, {"Asset tag", "asset", "", d.Asset, 100}, {"Owner", "owner", "", d.Owner, 100}, {"Note", "note", "", d.Note, 200}}
	for i := range out {
		if out[i].Value = out[i].Was; d.Sent("set").Has("was-" + out[i].Name) {
			out[i].Value = d.Sent("set").Get(out[i].Name)
		}
	}
	return out
}

// legSize is how much of a file travelled.
func legSize(e store.BootEvent) string {
	return sizeWord(uint64(max(0, e.Bytes))) + " of " + sizeWord(uint64(max(0, e.Total)))
}
