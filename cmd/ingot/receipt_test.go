package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/store"
	"ingot/web/report"
)

// receiptServer answers about one device; each receipt that it issues is another.
func receiptServer(t *testing.T, pictured *[]byte) *standIn {
	issued := 0
	s := newStandIn(t, func(w http.ResponseWriter, r *http.Request) {
		var out any
		switch r.URL.Path {
		case "/api/v1/devices/X1":
			out = store.DeviceView{Device: store.Device{ID: "d1"}, Holds: &store.Deployment{ID: "dep1"}}
		case "/api/v1/deployments/dep1/receipt":
			issued++
			out = report.SignedReceipt{Key: []byte("key"), Envelope: json.RawMessage(fmt.Sprintf(`{"n":%d}`, issued))}
		case "/api/v1/receipts/pdf":
			var b bytes.Buffer
			b.ReadFrom(r.Body)
			*pictured = b.Bytes()
			w.Write([]byte("%PDF-1.3"))
			return
		case "/api/v1/audit/verify":
			var in report.Against
			if r.ContentLength > 1<<20 {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				return
			}
			json.NewDecoder(r.Body).Decode(&in)
			v := report.AuditVerified{Chain: store.Chain{Events: 7}}
			for _, f := range in.Receipts {
				v.Receipts = append(v.Receipts, report.Finding{Holds: true, Device: string(f[:5])})
			}
			out = v
		default:
			w.WriteHeader(http.StatusNotFound)
			return
		}
		json.NewEncoder(w).Encode(out)
	})
	t.Setenv(serverVar, s.URL)
	t.Setenv(tokenVar, testToken)
	t.Setenv(fingerprintVar, s.fingerprint())
	return s
}

// TestOneCallIssuesOneReceipt: the file, and the PDF beside it, are of the same one.
func TestOneCallIssuesOneReceipt(t *testing.T) {
	var pictured []byte
	s := receiptServer(t, &pictured)
	file := filepath.Join(t.TempDir(), "r.json")
	if code, out, errs := afar(t, "receipt", "show", "X1", "--file", file, "--pdf", "-"); code != 0 || out != "%PDF-1.3" {
		t.Fatalf("exit code %d, %s%s", code, out, errs)
	}
	asked, _ := s.take()
	if n := strings.Count(strings.Join(asked, "\n"), "/deployments/dep1/receipt"); n != 1 {
		t.Errorf("%d receipts were issued: %v", n, asked)
	}
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var a, b report.SignedReceipt
	if json.Unmarshal(kept, &a) != nil || json.Unmarshal(pictured, &b) != nil || len(a.Envelope) == 0 {
		t.Fatalf("kept %s, pictured %s", kept, pictured)
	}
	var one, other bytes.Buffer
	if json.Compact(&one, a.Envelope) != nil || json.Compact(&other, b.Envelope) != nil || one.String() != other.String() {
		t.Errorf("the file is of %s, the PDF of %s", a.Envelope, b.Envelope)
	}
}

// TestManyReceiptsTravelInParts, each as large as a server takes, and are told in their order.
func TestManyReceiptsTravelInParts(t *testing.T) {
	s := receiptServer(t, nil)
	dir := t.TempDir()
	args := []string{"receipt", "verify", "-o", "json"}
	for i, size := range []int{300 << 10, 300 << 10, report.MaxReceipt, 10, 10, 600 << 10, 2 << 20} {
		path := filepath.Join(dir, fmt.Sprint("r", i))
		b := append([]byte(fmt.Sprintf("dev-%d", i)), bytes.Repeat([]byte{'x'}, size-5)...)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	code, out, errs := afar(t, args...)
	if code != 0 {
		t.Fatalf("exit code %d, %s%s", code, out, errs)
	}
	var rows []struct{ File, Device string }
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 7 {
		t.Fatalf("%v: %s", err, out)
	}
	for i, r := range rows {
		if r.Device != fmt.Sprintf("dev-%d", i) || filepath.Base(r.File) != fmt.Sprint("r", i) {
			t.Errorf("line %d is %+v", i, r)
		}
	}
	if asked, _ := s.take(); len(asked) != 4 {
		t.Errorf("asked %d times", len(asked))
	}
	if code, out, errs := afar(t, "audit", "verify"); code != 0 || !strings.Contains(out, "7 events hold") {
		t.Errorf("the trail alone: exit code %d, %s%s", code, out, errs)
	}
}
