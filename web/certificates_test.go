package web_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
)

// TestRecordsAreHandedOutByDay: a vendor gets those of a month, and one answer has a bound that is said.
func TestRecordsAreHandedOutByDay(t *testing.T) {
	f := newFloor(t)
	for i := range 3 {
		f.destroyed(fmt.Sprintf("PF3AAAA%d", i))
	}
	p := f.person("vera", store.Viewer)
	today, far := time.Now().Format(time.DateOnly), time.Now().AddDate(0, 0, 2).Format(time.DateOnly)
	files := func(query string) (n int) {
		t.Helper()
		got := p.get("/api/v1/certificates/export?format=json&" + query)
		var all []json.RawMessage
		if err := json.Unmarshal([]byte(got.body), &all); got.status != http.StatusOK || err != nil {
			t.Fatalf("%s: status %d, %v", query, got.status, err)
		}
		return len(all)
	}
	for query, want := range map[string]int{"": 3, "since=" + today: 3, "until=" + today: 3, "since=" + far: 0, "until=2026-01-01": 0, "of=PF3AAAA1&since=" + today: 1} {
		if n := files(query); n != want {
			t.Errorf("%q hands %d records out; want %d", query, n, want)
		}
	}
	for _, bad := range []string{"since=yesterday", "until=2026-13-01", "format=xml", "of=NOBODY"} {
		if got := p.get("/api/v1/certificates/export?" + bad); got.status < 400 || got.status >= 500 {
			t.Errorf("%s: status %d %.200s", bad, got.status, got.body)
		}
	}
	wantPage(t, "a drive that nobody knows", p.get("/certificates?of=NOBODY"), http.StatusNotFound, string(job.CodeNotFound), "NOBODY")

	web.BoundExport(t, 2)
	for _, format := range []string{"json", "csv", "zip"} {
		got := p.get("/api/v1/certificates/export?format=" + format)
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, "3 records") || !strings.Contains(got.body, "at most 2") {
			t.Errorf("%s: status %d %.300s", format, got.status, got.body)
		}
		if got := p.get("/api/v1/certificates/export?of=PF3AAAA1&format=" + format); got.status != http.StatusOK {
			t.Errorf("%s of one: status %d %.300s", format, got.status, got.body)
		}
	}
	one := p.get("/api/v1/certificates/export?of=PF3AAAA1&format=zip").body
	z, err := zip.NewReader(strings.NewReader(one), int64(len(one)))
	if err != nil || len(z.File) < 2 {
		t.Errorf("the bundle of one holds %+v, %v", z, err)
	}
}

// TestTheFileToVerifyIsReadWholeOrRefused: never the text beside it in its place.
func TestTheFileToVerifyIsReadWholeOrRefused(t *testing.T) {
	f := newFloor(t)
	id := f.destroyed("PF3AAAA1")
	p := f.person("vera", store.Viewer)
	file := p.get("/api/v1/certificates/" + id + "/file").body
	none := ""
	send := func(upload *string, text string) page {
		t.Helper()
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		if upload != nil {
			name := "record.json"
			if upload == &none {
				name = ""
			}
			part, err := w.CreateFormFile("file", name)
			must(t, err)
			_, err = part.Write([]byte(*upload))
			must(t, err)
		}
		must(t, w.WriteField("record", text))
		must(t, w.Close())
		r, err := http.NewRequest("POST", f.base+"/certificates/verify", &b)
		must(t, err)
		r.Header.Set("Content-Type", w.FormDataContentType())
		return p.do(r)
	}
	empty, large := "", strings.Repeat("x", 2<<20)
	wantPage(t, "the file", send(&file, ""), http.StatusOK, id+" holds")
	wantPage(t, "its text", send(nil, file), http.StatusOK, id+" holds")
	wantPage(t, "a browser's empty field beside the text", send(&none, file), http.StatusOK, id+" holds")
	wantPage(t, "an empty file alone", send(&empty, ""), http.StatusBadRequest, string(job.CodeBadRequest))
	for what, got := range map[string]page{"an empty file beside the text": send(&empty, file), "two at once": send(&file, file), "more than is taken": send(&large, ""), "more, beside a good text": send(&large, file)} {
		if got.status < 400 || got.status >= 500 || strings.Contains(got.body, " holds:") {
			t.Errorf("%s: status %d\n%s", what, got.status, mainOf(got))
		}
	}
}
