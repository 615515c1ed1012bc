package report_test

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/report"
)

func wantCode(t *testing.T, what string, err error, want job.Code) {
	t.Helper()
	var f *job.Fault
	if !errors.As(err, &f) || f.Code != want {
		t.Errorf("%s = %v; want %s", what, err, want)
	}
}

func newDesk(t *testing.T) *report.Desk {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "ingot.db"), store.Options{})
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return &report.Desk{DB: db, Zone: time.UTC}
}

func TestEntitlementsAndRulesAreKeptWithWhoEnteredThem(t *testing.T) {
	d, ctx := newDesk(t), context.Background()
	e, err := d.PutEntitlement(ctx, "lin", store.Entitlement{Product: "Office", Seats: 10, Vendor: "Microsoft", Reference: "C-7", Expires: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)})
	must(t, err)
	if e.By != "lin" || e.Changed.IsZero() {
		t.Errorf("entitlement %+v", e)
	}
	for what, bad := range map[string]store.Entitlement{"no product": {Seats: 1}, "spaces around": {Product: " x "}, "negative": {Product: "x", Seats: -1}, "too many": {Product: "x", Seats: 1 << 30},
		"two lines": {Product: "x\ny"}, "too long": {Product: strings.Repeat("x", 200)}, "long note": {Product: "x", Note: strings.Repeat("x", 500)}, "not UTF-8": {Product: "x\xff"}} {
		_, err := d.PutEntitlement(ctx, "lin", bad)
		wantCode(t, what, err, job.CodeLicence)
	}
	first, err := d.AddRule(ctx, "lin", report.NewRule{LicenceRule: store.LicenceRule{Software: "Office*", Product: "oFFice"}})
	must(t, err)
	if first.Product != "Office" {
		t.Errorf("the rule leads to %q; want the product as it is written", first.Product)
	}
	last, err := d.AddRule(ctx, "lin", report.NewRule{LicenceRule: store.LicenceRule{Software: "*", Kind: "deb"}, After: -1})
	must(t, err)
	front, err := d.AddRule(ctx, "lin", report.NewRule{LicenceRule: store.LicenceRule{Software: "a"}})
	must(t, err)
	middle, err := d.AddRule(ctx, "lin", report.NewRule{LicenceRule: store.LicenceRule{Software: "b"}, After: first.ID})
	must(t, err)
	rules, err := d.Rules(ctx)
	must(t, err)
	for i, want := range []int{front.ID, first.ID, middle.ID, last.ID} {
		if len(rules) != 4 || rules[i].ID != want {
			t.Fatalf("rules %+v; want %d at place %d", rules, want, i)
		}
	}
	for what, bad := range map[string]store.LicenceRule{"no pattern": {}, "a kind that is none": {Software: "x", Kind: "snap"}, "too long": {Software: strings.Repeat("x", 200)}} {
		_, err := d.AddRule(ctx, "lin", report.NewRule{LicenceRule: bad})
		wantCode(t, what, err, job.CodeLicence)
	}
	_, err = d.AddRule(ctx, "lin", report.NewRule{LicenceRule: store.LicenceRule{Software: "x", Product: "Nothing"}})
	wantCode(t, "a rule for a product that is not there", err, job.CodeNotFound)
	_, err = d.AddRule(ctx, "lin", report.NewRule{LicenceRule: store.LicenceRule{Software: "x"}, After: 99})
	wantCode(t, "behind a rule that is not there", err, job.CodeNotFound)
	wantCode(t, "removing a product that has a rule", d.RemoveEntitlement(ctx, "lin", "OFFICE"), job.CodeLicence)
	must(t, d.RemoveRule(ctx, "lin", first.ID))
	wantCode(t, "removing it again", d.RemoveRule(ctx, "lin", first.ID), job.CodeNotFound)
	must(t, d.RemoveEntitlement(ctx, "lin", "OFFICE"))
	wantCode(t, "removing it again", d.RemoveEntitlement(ctx, "lin", "Office"), job.CodeNotFound)
	must(t, d.DB.View(func(tx *store.Tx) error {
		trail, err := tx.AuditTrail("", 100)
		if len(trail) != 7 || trail[0].Operator != "lin" || trail[0].Text != "10 seats." || trail[1].Text != `"Office*" belongs to Office.` {
			t.Errorf("audit trail %+v", trail)
		}
		return err
	}))
}

func TestAListOfEntitlementsIsEnteredWholeOrNot(t *testing.T) {
	d, ctx := newDesk(t), context.Background()
	list := "\ufeffProduct;Quantity;Publisher;Valid until;Price\r\nOffice;10;Microsoft;2027-01-31;99\r\nOracle;2;;31.1.2027;\r\n"
	out, err := d.ImportEntitlements(ctx, "lin", store.List{CSV: []byte(list)})
	must(t, err)
	if out.Added != 2 || len(out.Bad) > 0 {
		t.Fatalf("import = %+v", out)
	}
	all, err := d.Entitlements(ctx)
	must(t, err)
	day := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
	if len(all) != 2 || all[0].Product != "Office" || all[0].Seats != 10 || all[0].Vendor != "Microsoft" || !all[0].Expires.Equal(day) || !all[1].Expires.Equal(day) {
		t.Errorf("entitlements %+v", all)
	}
	if out, err = d.ImportEntitlements(ctx, "lin", store.List{CSV: []byte(list)}); err != nil || out.Known != 2 || out.Added+out.Filled != 0 {
		t.Errorf("the same again = %+v, %v", out, err)
	}
	if out, err = d.ImportEntitlements(ctx, "lin", store.List{CSV: []byte("product,seats\noffice,11\n")}); err != nil || out.Filled != 1 {
		t.Errorf("more seats = %+v, %v", out, err)
	}
	out, err = d.ImportEntitlements(ctx, "lin", store.List{CSV: []byte("product,seats,expires\nNew,1,\nx,many,\ny,1,31/12/27\nNEW,2,\n,3,\n")})
	must(t, err)
	if len(out.Bad) != 4 || out.Bad[0].Line != 3 || out.Bad[1].Line != 4 || out.Bad[2].Line != 5 || out.Bad[3].Line != 6 {
		t.Errorf("bad lines = %+v", out.Bad)
	}
	if out, err = d.ImportEntitlements(ctx, "lin", store.List{CSV: []byte("product,seats\n")}); err != nil || len(out.Bad) != 1 {
		t.Errorf("an empty list = %+v, %v", out, err)
	}
	if all, err = d.Entitlements(ctx); err != nil || len(all) != 2 {
		t.Errorf("of a refused list something was entered: %+v", all)
	}
}

func TestRulesFitAsPeopleWriteThem(t *testing.T) {
	for _, c := range []struct {
		r    store.LicenceRule
		kind string
		name string
		by   string
		want bool
	}{
		{store.LicenceRule{Software: "Microsoft Office*"}, "windows", "microsoft office standard 2024", "", true},
		{store.LicenceRule{Software: "Microsoft Office*"}, "windows", "My Microsoft Office", "", false},
		{store.LicenceRule{Software: "*office*"}, "windows", "LibreOffice 24", "", true},
		{store.LicenceRule{Software: "7-?ip"}, "windows", "7-Zip", "", true},
		{store.LicenceRule{Software: "7-?ip"}, "windows", "7-ip", "", false},
		{store.LicenceRule{Software: "*", Kind: "deb"}, "rpm", "bash", "", false},
		{store.LicenceRule{Software: "*", Vendor: "adobe*"}, "windows", "Acrobat", "Adobe Inc.", true},
		{store.LicenceRule{Software: "*", Vendor: "adobe*"}, "windows", "Acrobat", "", false},
		{store.LicenceRule{Software: "[a]"}, "windows", "a", "", false},
		{store.LicenceRule{Software: "MÜLLER*"}, "windows", "müller 2", "", true},
		{store.LicenceRule{Software: strings.Repeat("*a", 50)}, "windows", strings.Repeat("a", 2000) + "b", "", false},
	} {
		if got := c.r.Fits(c.kind, c.name, c.by); got != c.want {
			t.Errorf("%s fits %q by %q = %v", c.r.Words(), c.name, c.by, got)
		}
	}
}

func TestAReportIsAskedForInWords(t *testing.T) {
	d, ctx := newDesk(t), context.Background()
	must(t, d.DB.Update(func(tx *store.Tx) error {
		_, _, err := tx.AddVersion(store.Version{Image: "sales", Label: "2026-11", State: store.Released})
		return err
	}))
	for asked, title := range map[string]string{"holders?version=sales": "Devices that hold sales", "holders?version=sales@2026-11": "Devices that hold sales@1", "holders?ever=1": "Devices that received an image",
		"stale?": "Devices on stale or retired versions", "licences?": "Licences", "failures?since=2026-11-01&until=2026-11-30": "Failures by model and cause", "days?": "What was done, by day"} {
		name, query, _ := strings.Cut(asked, "?")
		q, err := url.ParseQuery(query)
		must(t, err)
		r, err := d.Report(ctx, name, q)
		if err != nil || r.Title != title || r.Name != name || r.Time.IsZero() {
			t.Errorf("%s = %q, %v; want %q", asked, r.Title, err, title)
		}
	}
	for asked, code := range map[string]job.Code{"nothing?": job.CodeNotFound, "holders?version=other": job.CodeNotFound, "holders?version=sales@9": job.CodeNotFound, "received?": job.CodeBadRequest,
		"received?device=x": job.CodeNotFound, "days?since=yesterday": job.CodeBadRequest, "days?until=31.12.": job.CodeBadRequest} {
		name, query, _ := strings.Cut(asked, "?")
		q, err := url.ParseQuery(query)
		must(t, err)
		_, err = d.Report(ctx, name, q)
		wantCode(t, asked, err, code)
	}
}

func TestTheMedianDay(t *testing.T) {
	day := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	s := &report.Snapshot{Deployments: map[string]store.Deployment{}}
	for i, sec := range []float64{10, 500, 20, 40} {
		id := string(rune('a' + i))
		s.Deployments[id] = store.Deployment{ID: id, Device: id, Finished: day, Seconds: sec}
	}
	s.Deployments["e"] = store.Deployment{ID: "e", Device: "e", Finished: day.AddDate(0, 0, -3), Seconds: 7}
	got := s.Days(report.Span{}, time.UTC)
	if len(got) != 4 || got[0].Date != "2026-11-26" || got[0].Median != 30 || got[0].Devices != 4 || got[1] != (report.Day{Date: "2026-11-25"}) || got[3].Median != 7 {
		t.Errorf("days = %+v", got)
	}
	if got := s.Days(report.Span{Since: day.AddDate(0, 0, -1)}, time.UTC); len(got) != 1 {
		t.Errorf("days since yesterday = %+v", got)
	}
}
