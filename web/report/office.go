package report

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/store/sheet"
)

// Entitlements lists what was entered, by product.
func (d *Desk) Entitlements(context.Context) (e []store.Entitlement, err error) {
	err = d.DB.View(func(tx *store.Tx) error { e, err = tx.Entitlements(); return err })
	return e, err
}

// PutEntitlement enters an entitlement, in the place of one for the same product.
func (d *Desk) PutEntitlement(_ context.Context, operator string, e store.Entitlement) (out store.Entitlement, err error) {
	err = d.DB.Update(func(tx *store.Tx) error { out, err = tx.PutEntitlement(operator, e); return err })
	return out, err
}

// RemoveEntitlement removes an entitlement to which no rule leads.
func (d *Desk) RemoveEntitlement(_ context.Context, operator, product string) error {
	return d.DB.Update(func(tx *store.Tx) error { return tx.RemoveEntitlement(operator, product) })
}

// Rules lists the rules by which software is mapped, in the order in which they are tried.
func (d *Desk) Rules(context.Context) (r []store.LicenceRule, err error) {
	err = d.DB.View(func(tx *store.Tx) error { r, err = tx.LicenceRules(); return err })
	return r, err
}

// NewRule is a rule with the place that it wants.
type NewRule struct {
	store.LicenceRule
	After int `json:"after,omitempty"` // the id of the rule behind which it stands; 0: in front of all, -1: behind all
}

// AddRule adds a rule.
func (d *Desk) AddRule(_ context.Context, operator string, r NewRule) (out store.LicenceRule, err error) {
	err = d.DB.Update(func(tx *store.Tx) error {
		out, err = tx.AddLicenceRule(operator, r.LicenceRule, r.After)
		return err
	})
	return out, err
}

// RemoveRule removes a rule.
func (d *Desk) RemoveRule(_ context.Context, operator string, id int) error {
	return d.DB.Update(func(tx *store.Tx) error { return tx.RemoveLicenceRule(operator, id) })
}

// contracts is how a list of entitlements looks.
var contracts = sheet.Form{
	Columns: map[string][]string{
		"product":   {"product", "productname", "name", "software", "title", "produkt"},
		"seats":     {"seats", "quantity", "qty", "count", "licences", "licenses", "anzahl", "lizenzen"},
		"vendor":    {"vendor", "publisher", "manufacturer", "hersteller"},
		"reference": {"reference", "contract", "contractnumber", "order", "ordernumber", "agreement", "vertrag"},
		"expires":   {"expires", "expiry", "expirydate", "expirationdate", "validuntil", "enddate", "gueltigbis"},
		"note":      {"note", "notes", "comment", "remark", "notiz"},
	},
	Need:     map[string]string{"product": "product", "seats": "seats"},
	MaxBytes: 512 << 10, MaxRows: store.MaxEntitlements, Rows: "entitlements",
}

// ImportEntitlements enters a list of entitlements: all of its lines or none. The same list again changes nothing.
func (d *Desk) ImportEntitlements(_ context.Context, operator string, l store.List) (out store.Listed, err error) {
	rows, bad := readContracts(l.CSV)
	if len(bad) == 0 && len(rows) == 0 {
		bad = []store.BadLine{{Line: 1, Why: "The list names no product."}}
	}
	if len(bad) > 0 {
		return store.RefusedList(bad), nil
	}
	err = d.DB.Update(func(tx *store.Tx) error {
		out = store.Listed{}
		for _, e := range rows {
			old, err := tx.Entitlement(e.Product)
			switch {
			case err == nil && sameContract(old, e):
				out.Known++
				continue
			case err == nil:
				out.Filled++
			case job.FaultOf(err).Code == job.CodeNotFound:
				out.Added++
			default:
				return err
			}
			if _, err := tx.PutEntitlement(operator, e); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func sameContract(a, b store.Entitlement) bool {
	return a.Product == b.Product && a.Seats == b.Seats && a.Vendor == b.Vendor && a.Reference == b.Reference && a.Note == b.Note && a.Expires.Equal(b.Expires)
}

func readContracts(csv []byte) (rows []store.Entitlement, bad []store.BadLine) {
	lines := map[string]int{}
	bad = contracts.Read(csv, func(r sheet.Row) string {
		e, why := readContract(r)
		key := strings.ToLower(e.Product)
		if first, twice := lines[key]; twice && why == "" {
			why = fmt.Sprintf("Line %d has the same product.", first)
		}
		lines[key] = r.Line
		if why == "" {
			rows = append(rows, e)
		}
		return why
	})
	return rows, bad
}

// dateForms are the ways in which a spreadsheet writes a day. One that may mean two days is none of them.
var dateForms = []string{time.DateOnly, "2.1.2006", "2 Jan 2006", time.RFC3339}

func readContract(r sheet.Row) (e store.Entitlement, why string) {
	e = store.Entitlement{Product: r.Get("product"), Vendor: r.Get("vendor"), Reference: r.Get("reference"), Note: r.Get("note")}
	seats, err := strconv.Atoi(r.Get("seats"))
	if err != nil {
		return e, fmt.Sprintf("%q is no number of seats.", r.Get("seats"))
	}
	e.Seats = seats
	if s := r.Get("expires"); s != "" {
		if e.Expires, err = ParseDay(s); err != nil {
			return e, fmt.Sprintf("%q is no day such as 2026-11-30.", s)
		}
	}
	if err := e.Check(); err != nil {
		return e, job.FaultOf(err).Fact
	}
	return e, ""
}

// ParseDay reads a day as people and spreadsheets write it.
func ParseDay(s string) (t time.Time, err error) {
	for _, form := range dateForms {
		if t, err = time.Parse(form, s); err == nil {
			return t.UTC().Truncate(24 * time.Hour), nil
		}
	}
	return time.Time{}, job.Faultf(job.CodeBadRequest, "A day is written as 2026-11-30, not %.20q.", s)
}
