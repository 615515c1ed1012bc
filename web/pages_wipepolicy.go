package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/store"
)

func (a *API) wipePolicyPages(rs *routes) {
	rs.handle("GET /settings/wiping", store.Viewer, func(w http.ResponseWriter, r *http.Request) { a.wipePolicyPage(w, r, nil) })
	rs.handle("POST /settings/wiping", store.Administrator, a.pageAct(a.doWipePolicy, a.wipePolicyPage))
}

// classWords are the classes of drives in the words of whoever has one in his hand.
var classWords = map[wipe.Class]string{wipe.NVMe: "NVMe", wipe.SATAFlash: "SATA, flash", wipe.SATADisk: "SATA, magnetic", wipe.EMMC: "eMMC", wipe.UFS: "UFS", wipe.Unknown: "unknown kind"}

var levelWords = map[wipe.Level]string{wipe.Clear: "clear: beyond what software can bring back", wipe.Purge: "purge: beyond what a laboratory can bring back"}

var depthWords = map[wipe.Depth]string{wipe.DepthSamples: "samples: one block of each", wipe.DepthWide: "wide: four blocks of each sample"}

// wipePolicyData is the page of the site's policy: as it holds, and as the form has it.
type wipePolicyData struct {
	Kept    store.KeptPolicy
	Second  bool // a second person agrees to each wipe; decided with the operators
	Form    wipe.Policy
	Classes []classRow
	Stand   []box // what may stand in
	Raise   []box // of what a purge is claimed
	Depths  []option
}

// classRow is what is wanted of one class.
type classRow struct {
	Class  wipe.Class
	Title  string
	Level  string // as it holds
	Levels []option
}

// box is a technique that is ticked or not.
type box struct {
	Value, Text string
	Holds       bool // as it holds
	Ticked      bool // as the form has it
}

func (a *API) wipePolicyPage(w http.ResponseWriter, r *http.Request, f *job.Fault) {
	kept, err := a.Wiper.WipePolicy(r.Context())
	d := wipePolicyData{Kept: kept, Form: kept.Policy}
	if err == nil && a.Access != nil {
		var p store.AccessPolicy
		p, err = a.Access.Policy()
		d.Second = p.SecondPerson
	}
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	if f != nil && f.Code != job.CodeStale && r.PostForm != nil { // what was sent and refused stands in the form still; what was decided on an old page does not
		if sent, err := policyOf(r.PostForm); err == nil {
			d.Form = sent
		}
		d.Form.Version = kept.Version
	}
	d.fill()
	a.show(w, r, "wipepolicy", page{Title: "Wiping", Area: "settings", Fault: f, Data: d})
}

// fill makes the choices of the form.
func (d *wipePolicyData) fill() {
	for _, c := range wipe.Classes {
		row := classRow{Class: c, Title: classWords[c], Level: string(d.Kept.Wants(c))}
		for _, l := range []wipe.Level{wipe.Clear, wipe.Purge} {
			row.Levels = append(row.Levels, option{Value: string(l), Text: levelWords[l], Chosen: d.Form.Wants(c) == l})
		}
		d.Classes = append(d.Classes, row)
	}
	for _, t := range standIns(d.Kept.Policy) {
		d.Stand = append(d.Stand, box{string(t), t.Does(), slices.Contains(d.Kept.Fallbacks, t), slices.Contains(d.Form.Fallbacks, t)})
		if t.Raisable() {
			d.Raise = append(d.Raise, box{string(t), t.Does(), slices.Contains(d.Kept.Raise, t), slices.Contains(d.Form.Raise, t)})
		}
	}
	for _, x := range []wipe.Depth{wipe.DepthSamples, wipe.DepthWide} {
		d.Depths = append(d.Depths, option{Value: string(x), Text: depthWords[x], Chosen: d.Form.Depth == x})
	}
}

// standIns are the techniques that a policy decides about: those that are never a first choice, and what it names beside.
func standIns(p wipe.Policy) []wipe.Technique {
	out := slices.Concat(wipe.DefaultPolicy().Fallbacks, p.Fallbacks, p.Raise)
	slices.SortFunc(out, func(a, b wipe.Technique) int { return cmp.Compare(a.Does(), b.Does()) })
	return slices.Compact(out)
}

// DepthWord is how much is read back, as it holds.
func (d wipePolicyData) DepthWord() string { return depthWords[d.Kept.Depth] }

// policyOf reads the form. What it may say is decided below every way in.
func policyOf(f url.Values) (p wipe.Policy, err error) {
	if p.Version, err = number(f, "version", "The version of the policy"); err != nil {
		return p, err
	}
	if p.Version == 0 {
		return p, job.Faultf(job.CodeBadRequest, "The form names no version: load the page again.")
	}
	p.Name, p.Depth, p.Unknown, p.Want = strings.TrimSpace(f.Get("name")), wipe.Depth(f.Get("depth")), ticked(f, "unknown"), map[wipe.Class]wipe.Level{}
	for _, c := range wipe.Classes {
		p.Want[c] = wipe.Level(f.Get("want-" + string(c)))
	}
	for _, t := range f["fallback"] {
		p.Fallbacks = append(p.Fallbacks, wipe.Technique(t))
	}
	for _, t := range f["raise"] {
		p.Raise = append(p.Raise, wipe.Technique(t))
	}
	return p, nil
}

func (a *API) doWipePolicy(ctx context.Context, r *http.Request, f url.Values) (string, error) {
	p, err := policyOf(f)
	if err != nil {
		return "", err
	}
	_, err = a.Wiper.SetWipePolicy(ctx, operatorOf(r), p)
	return saidAt("/settings/wiping", "wipe-policy"), err
}
