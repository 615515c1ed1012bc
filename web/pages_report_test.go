package web_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/report"
)

// office is a floor with a laptop that holds an image, one whose job failed, and software in the image.
func office(t *testing.T) (*floor, *person) {
	t.Helper()
	f := newFloor(t)
	f.deployed("PF3AAAAA")
	l := f.adopted("PF3BBBBB")
	_, err := f.s.Deploy(t.Context(), "anna", store.Order{Device: "PF3BBBBB", Role: "sales"})
	must(t, err)
	l.take()
	l.reach(job.Writing)
	l.fail(job.CodeDriveWrite, "At byte 7.")
	f.update(func(tx *store.Tx) error {
		return tx.PutContent("sales", 2, store.Content{System: store.System{Name: "Windows 11", Edition: "Pro"}, Packages: []store.Package{{Name: "Office Standard", Kind: "windows", Vendor: "Microsoft"}, {Name: "=HYPERLINK(\"x\")", Kind: "windows", Vendor: "<script>alert(1)</script>"}}})
	})
	return f, f.person("lin", store.Administrator)
}

func (p page) wants(t *testing.T, what string, texts ...string) {
	t.Helper()
	if p.status != http.StatusOK {
		t.Errorf("%s: status %d\n%.600s", what, p.status, p.body)
	}
	for _, s := range texts {
		if !strings.Contains(p.body, s) {
			t.Errorf("%s lacks %q", what, s)
		}
	}
}

func TestEachReportIsReadAndTakenAway(t *testing.T) {
	_, p := office(t)
	p.get("/reports").wants(t, "the list", "/reports/holders", "/reports/licences", "/audit")
	for path, want := range map[string][]string{
		"holders?version=sales@2":  {"LT-F3AAAAA", "sales@2", "PF3AAAAA", "Devices that hold sales@2"},
		"holders?ever=1":           {"LT-F3AAAAA"},
		"received?device=PF3AAAAA": {"LT-F3AAAAA", "partition tables read back", "anna"},
		"received":                 {`name="device"`},
		"stale":                    {"There is none."},
		"licences":                 {"no rule", "Office Standard", "/licences?kind=windows", "Windows 11 Pro"},
		"failures":                 {"ThinkPad T14 Gen 4", "E303", "The drive refused to take data"},
		"days":                     {time.Now().Format("2006-01-02"), "5.2 MB"},
	} {
		p.get("/reports/"+path).wants(t, path, want...)
	}
	for _, k := range report.Kinds {
		q := url.Values{}
		if k.Name == "received" {
			q.Set("device", "PF3AAAAA")
		}
		var got report.Report
		out := p.get("/api/v1/reports/" + k.Name + "?" + q.Encode())
		if err := json.Unmarshal([]byte(out.body), &got); err != nil || out.status != 200 || got.Name != k.Name || got.Rows == nil {
			t.Errorf("%s as JSON = %d, %.200s", k.Name, out.status, out.body)
		}
		q.Set("format", "csv")
		out = p.get("/api/v1/reports/" + k.Name + "?" + q.Encode())
		rows, err := csv.NewReader(strings.NewReader(out.body)).ReadAll()
		if err != nil || out.status != 200 || len(rows) < 1 || k.Name != "stale" && len(rows) < 2 {
			t.Errorf("%s as CSV = %d, %v, %.200s", k.Name, out.status, err, out.body)
		}
	}
	if out := p.get("/api/v1/reports/licences?format=csv&bom=1"); !strings.HasPrefix(out.body, "\ufeff\"group\",") || !strings.Contains(out.body, `"'=HYPERLINK(""x"")"`) || strings.Contains(out.body, `,"=`) {
		t.Errorf("CSV for a spreadsheet = %.400s", out.body)
	}
	for path, status := range map[string]int{"/reports/nothing": 404, "/reports/days?since=x": 400, "/reports/holders?version=none": 404, "/api/v1/reports/nothing": 404, "/api/v1/reports/days?format=pdf": 400} {
		if out := p.get(path); out.status != status || !strings.Contains(out.body, "E6") {
			t.Errorf("%s = %d, %.200s; want %d in words", path, out.status, out.body, status)
		}
	}
}

func TestSoftwareIsMappedFromThePage(t *testing.T) {
	f, p := office(t)
	in := p.get("/licences")
	if out := p.post("/licences/entitlements", p.form(in, "/licences/entitlements", "product", "Office", "seats", "0", "expires", "2030-01-31")); out.status != 303 {
		t.Fatalf("an entitlement = %d, %s", out.status, out.body)
	}
	from := p.get("/licences?software=Office+Standard&kind=windows&vendor=Microsoft")
	from.wants(t, "the form", `value="Office Standard"`, `<option selected>windows</option>`)
	rule := p.form(from, "/licences/rules", "software", "office*", "kind", "windows", "product", "Office", "place", "first")
	if out := p.post("/licences/rules", rule); out.status != 303 {
		t.Fatalf("a rule = %d, %s", out.status, out.body)
	}
	if out := p.post("/licences/rules", rule); out.status != 400 || !strings.Contains(out.body, "says that already") {
		t.Errorf("the same form again = %d", out.status)
	}
	p.get("/reports/licences").wants(t, "the report", "1 too few")
	var got struct{ Rows report.Licences }
	must(t, json.Unmarshal([]byte(p.get("/api/v1/reports/licences").body), &got))
	if len(got.Rows.Products) != 1 || got.Rows.Products[0].Used != 1 || got.Rows.Products[0].Left != -1 || len(got.Rows.Unmapped) != 2 {
		t.Errorf("licences %+v", got.Rows)
	}
	if out := p.post("/licences/entitlements/remove", url.Values{"product": {"Office"}}); out.status != 400 || !strings.Contains(out.body, "remove the rule first") {
		t.Errorf("removing a product with a rule = %d", out.status)
	}
	if out := p.post("/licences/rules/remove", p.form(p.get("/licences"), "/licences/rules/remove")); out.status != 303 {
		t.Errorf("removing a rule = %d, %s", out.status, out.body)
	}
	if out := p.post("/licences/entitlements/remove", p.form(p.get("/licences"), "/licences/entitlements/remove")); out.status != 303 {
		t.Errorf("removing an entitlement = %d, %s", out.status, out.body)
	}
	for field, bad := range map[string]string{"seats": "many", "product": "", "expires": "some day"} {
		v := url.Values{"product": {"X"}, "seats": {"1"}}
		v.Set(field, bad)
		if out := p.post("/licences/entitlements", v); out.status != 400 || !strings.Contains(out.body, `role="alert"`) {
			t.Errorf("%s = %q: %d", field, bad, out.status)
		}
	}
	p.post("/licences/import", url.Values{"list": {"product;seats\nA;1\nB;2\n"}}).wants(t, "a pasted list", "2 new")
	if out := p.post("/licences/import", url.Values{"list": {" \n"}}); out.status != 400 || !strings.Contains(out.body, "Choose a file") {
		t.Errorf("no list at all: status %d\n%s", out.status, out.body)
	}
	if out := p.upload("/licences/import", "file", "product,seats\nC,none\n"); out.status != 400 || !strings.Contains(out.body, "is no number of seats") {
		t.Errorf("a bad file = %d, %.300s", out.status, out.body)
	}
	if out := f.person("val", store.Viewer).get("/licences"); strings.Contains(out.body, "Add a rule") {
		t.Error("a viewer is shown what he may not do")
	}
}

// upload sends a file as a browser's form does.
func (p *person) upload(path, field, text string, more ...string) page {
	p.f.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile(field, "a.txt")
	must(p.f.t, err)
	part.Write([]byte(text))
	for i := 0; i+1 < len(more); i += 2 {
		w.WriteField(more[i], more[i+1])
	}
	w.Close()
	r, err := http.NewRequest("POST", p.f.base+path, &b)
	must(p.f.t, err)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return p.do(r)
}

func TestAReceiptIsShownKeptAndHeldAgainstTheTrail(t *testing.T) {
	f, p := office(t)
	id := f.device("PF3AAAAA").Holds.ID
	p.get("/receipts/"+id).wants(t, "the page", "the audit trail has the event by which it was recorded", "PF3AAAAA", "read back from the drive itself", "has not called home yet", "<path d=\"M", "/labels/sheet?device=")
	pdf := p.get("/api/v1/deployments/" + id + "/receipt.pdf")
	if pdf.status != 200 || !strings.HasPrefix(pdf.body, "%PDF-1.") {
		t.Errorf("PDF = %d, %.100s", pdf.status, pdf.body)
	}
	file := p.get("/api/v1/deployments/" + id + "/receipt.json").body
	var found report.Finding
	r, err := http.NewRequest("POST", f.base+"/api/v1/receipts/verify", strings.NewReader(file))
	must(t, err)
	must(t, json.Unmarshal([]byte(p.do(r).body), &found))
	if !found.Holds || found.Deployment != id {
		t.Errorf("verify = %+v", found)
	}
	if out := p.upload("/audit/verify", "receipt", file); !strings.Contains(out.body, "1 receipt agrees") {
		t.Errorf("the trail against the receipt = %d, %.800s", out.status, out.body)
	}
	forged := strings.Replace(file, `"payload": "ey`, `"payload": "eY`, 1)
	for what, c := range map[string]struct {
		file string
		says string
	}{"its PDF": {file, "%PDF-1."}, "the PDF of a forged one": {forged, string(job.CodeReceipt)}, "the PDF of nothing": {"{}", string(job.CodeReceipt)}} {
		r, err := http.NewRequest("POST", f.base+"/api/v1/receipts/pdf", strings.NewReader(c.file))
		must(t, err)
		if got := p.do(r); !strings.Contains(got.body[:min(len(got.body), 300)], c.says) {
			t.Errorf("%s: %d, %.300s", what, got.status, got.body)
		}
	}
	largest := report.Against{Receipts: [][]byte{bytes.Repeat([]byte(" "), report.MaxReceipt)}}
	b, err := json.Marshal(largest)
	must(t, err)
	r, err = http.NewRequest("POST", f.base+"/api/v1/audit/verify", bytes.NewReader(b))
	must(t, err)
	if got := p.do(r); got.status != 200 || !strings.Contains(got.body, "The file is no receipt.") {
		t.Errorf("the largest receipt: %d, %.300s", got.status, got.body)
	}
	if out := p.upload("/audit/verify", "receipt", forged); forged == file || !strings.Contains(out.body, "is not what it was") {
		t.Errorf("a forged receipt = %d, %.800s", out.status, out.body)
	}
	p.post("/audit/verify", url.Values{}).wants(t, "the trail alone", "events hold")
	p.get("/audit?subject="+f.device("PF3AAAAA").ID).wants(t, "the trail of a device", "adopted as LT-F3AAAAA", "done on LT-F3AAAAA")
	for _, path := range []string{"/receipts/nothing", "/api/v1/deployments/nothing/receipt.pdf", "/api/v1/deployments/nothing/receipt"} {
		if out := p.get(path); out.status != 404 {
			t.Errorf("%s = %d", path, out.status)
		}
	}
}

func TestLabelsFromThePage(t *testing.T) {
	f, p := office(t)
	p.get("/labels/sheet?device=PF3AAAAA,PF3BBBBB&skip=2").wants(t, "the sheet", `width="210mm" height="297mm"`, ">LT-F3AAAAA</text>", ">PF3BBBBB</text>", `<path d="M`, `x="139.3" y="15.15"`, "2 labels")
	for _, path := range []string{"/labels/sheet?device=PF3AAAAA&skip=some", "/api/v1/labels.zpl?device=PF3AAAAA&copies=x"} {
		if out := p.get(path); out.status != 400 || !strings.Contains(out.body, "whole number") {
			t.Errorf("%s: status %d, %.300s", path, out.status, out.body)
		}
	}
	if out := p.get("/api/v1/labels.zpl?device=PF3AAAAA"); out.status != 200 || !strings.Contains(out.body, "^FDLT-F3AAAAA^FS") {
		t.Errorf("ZPL = %d, %s", out.status, out.body)
	}
	if out := p.post("/labels/print", url.Values{"device": {"PF3AAAAA"}}); !strings.Contains(out.body, "E748") {
		t.Errorf("without a printer = %d, %.300s", out.status, out.body)
	}
	got := make(chan string, 5)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	go func() { // a printer that says nothing; ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b, _ := io.ReadAll(c)
			got <- string(b)
		}
	}()
	set := p.form(p.get("/labels"), "/labels", "fields", "Asset, serial", "code", "serial", "sheet", "a4-65", "printer", l.Addr().String(), "dpi", "300", "width", "50", "height", "25", "site", "")
	if out := p.post("/labels", set); out.status != 303 {
		t.Fatalf("settings = %d, %s", out.status, out.body)
	}
	sheet := p.get("/labels/sheet?device=PF3AAAAA")
	form := p.form(sheet, "/labels/print")
	for range 2 { // the form is sent twice
		p.post("/labels/print", form).wants(t, "printing", "1 label went to "+l.Addr().String())
	}
	if zpl := <-got; !strings.Contains(zpl, "^FDPF3AAAAA^FS") || strings.Contains(zpl, "LT-F3AAAAA") || !strings.Contains(zpl, "^PW591") {
		t.Errorf("the printer was given %q", zpl)
	}
	select {
	case zpl := <-got:
		t.Errorf("the form that was sent twice printed twice: %q", zpl)
	case <-time.After(300 * time.Millisecond):
	}
	set.Set("fields", "password")
	if out := p.post("/labels", set); out.status != 400 || !strings.Contains(out.body, "E747") {
		t.Errorf("an unknown field = %d", out.status)
	}
	for _, path := range []string{"/labels/sheet", "/labels/sheet?device=nothing", "/api/v1/labels.zpl"} {
		if out := p.get(path); out.status < 400 {
			t.Errorf("%s = %d", path, out.status)
		}
	}
	if out := f.person("tom", store.Technician).post("/labels", set); out.status != 403 {
		t.Errorf("a technician sets the printer: %d", out.status)
	}
}

// TestWhatADeviceTellsIsTextInEachReport: markup, formulas, control characters and marks that turn the writing come out
// of no page, receipt, label or CSV as more than text.
func TestWhatADeviceTellsIsTextInEachReport(t *testing.T) {
	f, p := office(t)
	id := f.device("PF3AAAAA").ID
	for _, s := range []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'-alert(1)-'`, `=cmd|' /C calc'!A0`, "+1\r\n=2", "\u202eevil\x1b[31m", "</text></svg><script>", `{{.}}`, "\x00", "^XA~JR", strings.Repeat("A", 10000)} {
		f.update(func(tx *store.Tx) error {
			d, err := tx.Device(id)
			d.Owner, d.Asset, d.Manufacturer, d.Model, d.Serial, d.Sticker = s, s, s, s, "PF3AAAAA", s
			if err == nil {
				err = tx.PutDevice(d)
			}
			return err
		})
		for _, path := range []string{"/reports/holders", "/reports/received?device=" + id, "/reports/failures", "/receipts/" + f.device(id).Holds.ID, "/labels/sheet?device=" + id, "/audit"} {
			out := p.get(path)
			if out.status != 200 || strings.Contains(out.body, "<script>alert") || strings.Contains(out.body, "<img src=x") || strings.Contains(out.body, "</svg><script>") {
				t.Errorf("%q in %s: %d", s, path, out.status)
			}
		}
		out := p.get("/api/v1/reports/holders?format=csv")
		rows, err := csv.NewReader(strings.NewReader(out.body)).ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatalf("%q in CSV: %v, %v", s, rows, err)
		}
		for _, cell := range rows[1] {
			if strings.IndexAny(cell, "=+-@") == 0 || strings.ContainsAny(cell, "\r\n\x00\x1b\u202e") {
				t.Errorf("%q in CSV: the cell %q", s, cell)
			}
		}
		if out := p.get("/api/v1/deployments/" + f.device(id).Holds.ID + "/receipt.pdf"); out.status != 200 {
			t.Errorf("%q in a PDF: %d, %.200s", s, out.status, out.body)
		}
		if out := p.get("/api/v1/labels.zpl?device=" + id); strings.Count(out.body, "~") > 0 || strings.Count(out.body, "^XA") != 1 {
			t.Errorf("%q on a label: %s", s, out.body)
		}
	}
}
