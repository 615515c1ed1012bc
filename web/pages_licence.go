package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/report"
)

// licenceView is the page of entitlements and rules.
type licenceView struct {
	Entitlements []store.Entitlement
	Rules        []store.LicenceRule
	Kinds        []string
	Form         url.Values // what was typed, when it was refused; or what a report wants a rule for
	Listed       *store.Listed
}

// licencePages let people edit what the licence report counts against.
func (a *API) licencePages(rs *routes) {
	d := a.Reports
	back := func(w http.ResponseWriter, r *http.Request, f *job.Fault) { a.showLicences(w, r, f, nil) }
	rs.handle("GET /licences", store.Viewer, func(w http.ResponseWriter, r *http.Request) { a.showLicences(w, r, nil, nil) })
	rs.handle("POST /licences/entitlements", store.ImageManager, a.pageAct(func(ctx context.Context, r *http.Request, f url.Values) (string, error) {
		e, err := entitlementOf(f)
		if err == nil {
			_, err = d.PutEntitlement(ctx, operatorOf(r), e)
		}
		return saidAt("/licences", "saved"), err
	}, back))
	rs.handle("POST /licences/entitlements/remove", store.ImageManager, a.pageAct(func(ctx context.Context, r *http.Request, f url.Values) (string, error) {
		return saidAt("/licences", "saved"), d.RemoveEntitlement(ctx, operatorOf(r), f.Get("product"))
	}, back))
	rs.handle("POST /licences/rules", store.ImageManager, a.pageAct(func(ctx context.Context, r *http.Request, f url.Values) (string, error) {
		rule := report.NewRule{LicenceRule: store.LicenceRule{Software: strings.TrimSpace(f.Get("software")), Kind: f.Get("kind"), Vendor: strings.TrimSpace(f.Get("vendor")), Product: f.Get("product")}}
		if f.Get("place") == "last" {
			rule.After = -1
		}
		_, err := d.AddRule(ctx, operatorOf(r), rule)
		return saidAt("/licences", "saved"), err
	}, back))
	rs.handle("POST /licences/rules/remove", store.ImageManager, a.pageAct(func(ctx context.Context, r *http.Request, f url.Values) (string, error) {
		id, err := ruleID(f.Get("id"))
		if err == nil {
			err = d.RemoveRule(ctx, operatorOf(r), id)
		}
		return saidAt("/licences", "saved"), err
	}, back))
	rs.handle("POST /licences/import", store.ImageManager, a.importLicences)
}

func entitlementOf(f url.Values) (e store.Entitlement, err error) {
	e = store.Entitlement{Product: strings.TrimSpace(f.Get("product")), Vendor: strings.TrimSpace(f.Get("vendor")), Reference: strings.TrimSpace(f.Get("reference")), Note: strings.TrimSpace(f.Get("note"))}
	if e.Seats, err = strconv.Atoi(strings.TrimSpace(f.Get("seats"))); err != nil {
		return e, job.Faultf(job.CodeLicence, "Seats are a whole number, not %.20q.", f.Get("seats"))
	}
	if s := f.Get("expires"); s != "" {
		e.Expires, err = report.ParseDay(s)
	}
	return e, err
}

// importLicences takes a file, or what was pasted.
func (a *API) importLicences(w http.ResponseWriter, r *http.Request) {
	ctx, f, err := readForm(r)
	if err != nil {
		a.showLicences(w, r, a.fault(err), nil)
		return
	}
	list, err := listBytes(r, f.Get("list"))
	var out store.Listed
	if err == nil {
		out, err = a.Reports.ImportEntitlements(ctx, operatorOf(r), store.List{CSV: list})
	}
	if err != nil {
		a.showLicences(w, r, a.fault(err), nil)
		return
	}
	var fault *job.Fault
	if len(out.Bad) > 0 {
		fault = job.Faultf(job.CodeListRefused, "%s.", plural(len(out.Bad)+out.MoreBad, "line is wrong", "lines are wrong"))
	}
	a.showLicences(w, r, fault, &out)
}

func (a *API) showLicences(w http.ResponseWriter, r *http.Request, fault *job.Fault, listed *store.Listed) {
	v := licenceView{Kinds: store.LicenceKinds, Form: r.URL.Query(), Listed: listed}
	if fault != nil && r.PostForm != nil {
		v.Form = r.PostForm
	}
	var err error
	if v.Entitlements, err = a.Reports.Entitlements(r.Context()); err == nil {
		v.Rules, err = a.Reports.Rules(r.Context())
	}
	if err != nil {
		fault = a.fault(err)
	}
	a.show(w, r, "licences", page{Title: "Entitlements and rules", Area: "reports", Fault: fault, Data: v})
}
