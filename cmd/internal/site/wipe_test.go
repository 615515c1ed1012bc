package site_test

import (
	"context"
	"strings"
	"testing"

	"ingot/cmd/internal/simlaptop"
	"ingot/cmd/internal/site"
	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/report"
)

// TestADeadLaptopLeavesByThePageAlone, in a real browser: it came back and does not start; a wrong serial orders no wipe,
// the right one orders one, which the laptop never takes; its drive's end is recorded, and only then it leaves, and counts
// in no licence.
func TestADeadLaptopLeavesByThePageAlone(t *testing.T) {
	ctx, s, v, tab := pages(t, simlaptop.Golden{Payload: 1 << 20, Software: map[string]string{"officesuite": "9.1"}}, store.Technician)
	must(t, s.Do(ctx, []string{"role", "add", "sales", "--image", "sales", "--names", "LT-{serial:-4}"},
		[]string{"licence", "set", "Office", "--seats", "5", "--vendor", "Example"}, []string{"licence", "map", "officesuite", "--to", "Office"}))
	l := waiting(t, s, 1, v, nil)[0]
	must(t, s.Do(ctx, []string{"device", "adopt", l.Code, "--role", "sales"}, []string{"deploy", l.Serial(), "--role", "sales"}))
	d, err := s.Deployed(ctx, l.Serial())
	must(t, err)
	if n := counted(ctx, t, s); n != 1 {
		t.Fatalf("%d licences are counted while it is in use; want 1", n)
	}
	at := "/devices/" + d.ID
	must(t, tab.Open(at))
	must(t, tab.Click(`details:has(form[action$="/return"]) > summary`))
	must(t, tab.Fill(`form[action$="/return"] input[name="from"]`, "K. Berg"))
	must(t, tab.Go(`form[action$="/return"] button`))
	must(t, tab.Sees("destroyed for good"))

	typed, press := `form[action$="/wipe"] input[name="typed"]`, `form[action$="/wipe"] button.danger`
	for _, wrong := range []string{"SIM0002", "LT-0001", d.Drives[0].Serial} {
		must(t, tab.Fill(typed, wrong))
		must(t, tab.Go(press))
		must(t, tab.Sees(string(job.CodeWrongSerial)))
		must(t, tab.Open(at))
	}
	if n := wipes(ctx, t, s); n != 0 {
		t.Fatalf("%d wipes were ordered by a wrong serial", n)
	}
	for _, c := range []struct {
		args []string
		code job.Code
	}{
		{[]string{"device", "dispose", l.Serial(), "--yes"}, job.CodeOwed}, {[]string{"device", "ready", l.Serial(), "--yes"}, job.CodeOwed},
		{[]string{"deploy", l.Serial(), "--role", "sales", "--data-saved", "--confirm", l.Serial()}, job.CodeReturned},
	} {
		if _, err := s.CLI(ctx, c.args...); err == nil || !strings.Contains(err.Error(), string(c.code)) {
			t.Errorf("%q: %v; want %s", c.args, err, c.code)
		}
	}
	must(t, tab.Fill(typed, l.Serial()))
	must(t, tab.Go(press))
	must(t, tab.Sees("Its drives"))
	if n := wipes(ctx, t, s); n != 1 {
		t.Fatalf("%d wipes are ordered; want 1", n)
	}
	must(t, tab.Go(`form[action$="/stop"] button`)) // the laptop does not start: nobody takes the order

	must(t, tab.Open(at))
	must(t, tab.Click(`#dispose > summary`))
	must(t, tab.Fill(`form[action$="/dispose"] input[name="typed"]`, l.Serial()))
	must(t, tab.Go(`form[action$="/dispose"] button`))
	must(t, tab.Sees(string(job.CodeOwed)))
	must(t, tab.Open(at))
	must(t, tab.Click(`#destroyed > summary`))
	for name, text := range map[string]string{"drive": d.Drives[0].Serial, "typed": d.Drives[0].Serial, "method": "shredded", "why": "it does not start", "place": "the vendor's", "by": "Karl Ott", "witness": "Eva Lang", "reference": "R-77"} {
		must(t, tab.Fill(`form[action$="/destroyed"] input[name="`+name+`"]`, text))
	}
	must(t, tab.Click(`form[action$="/destroyed"] input[name="dispose"]`))
	must(t, tab.Go(`form[action$="/destroyed"] button`))
	must(t, tab.Sees("The end of the drive is on record"))
	if d, err = s.Device(ctx, l.Serial()); err != nil || d.State != store.Disposed {
		t.Fatalf("the device is %s, %v", d.State, err)
	}
	must(t, tab.Open("/certificates"))
	must(t, tab.Sees("D-000001"))
	text, err := tab.Text("table")
	must(t, err)
	if !strings.Contains(text, "destroyed") || strings.Contains(text, "wiped") {
		t.Errorf("the list says %q", text)
	}
	if n := counted(ctx, t, s); n != 0 {
		t.Errorf("%d licences are counted for a device that has left; want 0", n)
	}
}

// wipes counts the wipes that were ever ordered.
func wipes(ctx context.Context, t *testing.T, s *site.Site) (n int) {
	t.Helper()
	jobs, err := site.Ask[[]store.JobView](ctx, s, "jobs?all=1")
	must(t, err)
	for _, j := range jobs {
		if j.Kind == job.Wipe {
			n++
		}
	}
	return n
}

// counted is how many devices the licence report counts for the one product.
func counted(ctx context.Context, t *testing.T, s *site.Site) int {
	t.Helper()
	var got struct {
		Rows report.Licences `json:"rows"`
	}
	must(t, s.Read(ctx, &got, "report", "licences"))
	if len(got.Rows.Products) != 1 {
		t.Fatalf("the report has %+v", got.Rows)
	}
	return got.Rows.Products[0].Used
}
