package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/bundle"
	"ingot/imaging/job"
	"ingot/imaging/sign"
	"ingot/store"
	"ingot/web/report"
)

// bench is a database with a deployment that is recorded as the daemon records it, and acts before and after.
type bench struct {
	*report.Desk
	dir    string
	signer *sign.Signer
	clock  time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir(), clock: time.Date(2026, 11, 26, 9, 0, 0, 123, time.UTC)}
	var err error
	b.signer, err = sign.LoadOrCreate(filepath.Join(b.dir, "jobs.key"))
	must(t, err)
	b.open(t, "ingot.db")
	b.fill(t, "anna")
	return b
}

func (b *bench) open(t *testing.T, name string) {
	db, err := store.Open(filepath.Join(b.dir, name), store.Options{Now: func() time.Time { return b.clock }, Signer: b.signer})
	must(t, err)
	t.Cleanup(func() { db.Close() })
	b.Desk = &report.Desk{DB: db, Zone: time.UTC}
}

// fill writes a life of a laptop, by whom it says.
func (b *bench) fill(t *testing.T, by string) {
	t.Helper()
	b.deploy(t, by)
	b.opened(t, by)
}

// opened is the newest event, an hour later.
func (b *bench) opened(t *testing.T, by string) {
	t.Helper()
	b.clock = b.clock.Add(time.Hour)
	must(t, b.DB.Update(func(tx *store.Tx) error { return tx.Audit(by, "bench", "bench", "Opened.") }))
}

func (b *bench) deploy(t *testing.T, by string) {
	t.Helper()
	must(t, b.DB.Update(func(tx *store.Tx) error {
		v, _, err := tx.AddVersion(store.Version{Image: "sales", Label: "2026-11", Note: "first", State: store.Released, Manifest: imaging.Sum([]byte("m")), OS: "Debian GNU/Linux 12", By: by})
		d := store.Device{ID: "dev000000001", State: store.Deployed, Manufacturer: "LENOVO", Model: "21HM", Serial: "PF3ABCDE", SerialKey: "lenovo pf3abcde", Asset: "00815", Owner: "Łukasz Нов", Deployment: "dep0000000000001"}
		return errors.Join(err, tx.Reserve(&d, "SALES-017"), tx.PutDevice(d), tx.Audit(by, "adopt", d.ID, "Adopted."), tx.Audit(by, "deploy", d.ID, "Ordered."),
			tx.PutDeployment(store.Deployment{ID: d.Deployment, Device: d.ID, Serial: d.Serial, Job: "job0000000000001", Image: v.Ref(), Target: job.Target{Serial: "DRV1", SizeBytes: 512 << 30}, Name: d.Name, NameWritten: true,
				Operator: by, Approved: tx.Now().Add(-time.Hour), Finished: tx.Now(), WrittenBytes: 5 << 30, SecretHash: "secret-hash", SecretUntil: tx.Now().Add(time.Hour), Proof: job.Proof{
					Content:      &job.ContentProof{Manifest: v.Manifest, DataExtents: 7, ZeroExtents: 2, ReadBytes: 7 << 30, Direct: true},
					Personalised: &job.PersonalisedProof{Files: []job.WrittenFile{{Path: "/etc/hostname"}}}, Commit: &job.CommitProof{Head: imaging.Sum([]byte("h")), BootEntry: "Boot0003"}}}),
			tx.Audit("agent", "done", d.ID, "sales@1 as SALES-017: done."))
	}))
}

func (b *bench) receipt(t *testing.T) (report.Receipt, []byte) {
	t.Helper()
	r, signed, err := b.Receipt(context.Background(), "eva", "dep0000000000001")
	must(t, err)
	file, err := signed.File()
	must(t, err)
	return r, file
}

func (b *bench) verify(t *testing.T, file []byte, key string) report.Finding {
	t.Helper()
	f, err := b.Verify(context.Background(), file, key)
	must(t, err)
	return f
}

func TestAReceiptHoldsAndSaysWhatWasRecorded(t *testing.T) {
	b := newBench(t)
	r, file := b.receipt(t)
	if r.Recorded.Number != 3 || r.Chain.Number != 4 || r.Device.Serial != "PF3ABCDE" || r.Version.Label != "2026-11" || r.IssuedTo != "eva" {
		t.Errorf("receipt %+v", r)
	}
	if bytes.Contains(file, []byte("secret")) || strings.Contains(mustJSON(t, r), "secret-hash") {
		t.Error("the receipt tells a secret")
	}
	got, key, err := report.OpenReceipt(file)
	if err != nil || mustJSON(t, got) != mustJSON(t, r) || !bytes.Equal(key, b.signer.Public()) {
		t.Errorf("OpenReceipt = %+v, %v", got, err)
	}
	if f := b.verify(t, file, ""); !f.Holds || f.Deployment != r.Deployment.ID || f.Chain != 4 {
		t.Errorf("Verify = %+v", f)
	}
	_, _, err = b.Receipt(context.Background(), "eva", "nothing")
	wantCode(t, "a receipt of nothing", err, job.CodeNotFound)
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	return string(b)
}

func TestAReceiptStillHoldsAfterWhatMayCome(t *testing.T) {
	b := newBench(t)
	_, file := b.receipt(t)
	must(t, b.DB.Update(func(tx *store.Tx) error {
		dep, err := tx.Deployment("dep0000000000001")
		dep.Observed = &store.Observed{Time: tx.Now(), Hostname: "SALES-017"}
		dep.SecretHash = ""
		dep.Renamings = append(dep.Renamings, store.Renaming{From: "SALES-017", Name: "SALES-018", SecretHash: "another"})
		return errors.Join(err, tx.PutDeployment(dep), tx.Audit("agent", "observed", dep.Device, "It runs."))
	}))
	if f := b.verify(t, file, ""); !f.Holds {
		t.Errorf("Verify = %+v", f)
	}
	if r, later := b.receipt(t); r.Chain.Number != 5 || !b.verify(t, later, "").Holds || bytes.Contains(later, []byte("another")) {
		t.Errorf("a later receipt %+v", r)
	}
}

// TestAReceiptFindsWhatWasDoneToTheRecord: each forgery is found, and named for what it is.
func TestAReceiptFindsWhatWasDoneToTheRecord(t *testing.T) {
	for name, c := range map[string]struct {
		forge func(t *testing.T, b *bench)
		want  string
	}{
		"the record changed": {func(t *testing.T, b *bench) {
			must(t, b.DB.Update(func(tx *store.Tx) error {
				dep, err := tx.Deployment("dep0000000000001")
				dep.Operator = "nobody"
				return errors.Join(err, tx.PutDeployment(dep))
			}))
		}, "says something else"},
		"the tail removed": {func(t *testing.T, b *bench) { // an older copy of the file in its place
			b.open(t, "older.db")
			must(t, b.DB.Update(func(tx *store.Tx) error { return tx.Audit("anna", "adopt", "dev000000001", "Adopted.") }))
		}, "is gone"},
		"the chain built again": {func(t *testing.T, b *bench) { // whole in itself, with another name in it
			b.clock = time.Date(2026, 11, 26, 9, 0, 0, 123, time.UTC)
			b.open(t, "again.db")
			b.fill(t, "mallory")
		}, "built again"},
		"the tail alone removed": {func(t *testing.T, b *bench) { // every record as it was
			b.clock = time.Date(2026, 11, 26, 9, 0, 0, 123, time.UTC)
			b.open(t, "cut.db")
			b.deploy(t, "anna")
		}, "Event 4, which was the newest then, is gone: the end of the audit trail was removed"},
		"the tail alone built again": {func(t *testing.T, b *bench) {
			b.clock = time.Date(2026, 11, 26, 9, 0, 0, 123, time.UTC)
			b.open(t, "cut.db")
			b.deploy(t, "anna")
			b.opened(t, "mallory")
		}, "Event 4, which was the newest then, is another one now"},
		"the record gone": {func(t *testing.T, b *bench) { b.open(t, "empty.db") }, "deployment is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			_, file := b.receipt(t)
			c.forge(t, b)
			f := b.verify(t, file, "")
			if f.Holds || !strings.Contains(strings.Join(f.What, " "), c.want) || strings.HasPrefix(name, "the tail alone") && len(f.What) != 1 {
				t.Errorf("Verify = %+v; want %q", f, c.want)
			}
			v, err := b.VerifyAudit(context.Background(), report.Against{Receipts: [][]byte{file}})
			if err != nil || v.Holds() || len(v.Receipts) != 1 || name != "the record changed" && v.Broken != 0 {
				t.Errorf("VerifyAudit = %+v, %v; want it found though the chain is whole", v, err)
			}
		})
	}
}

func TestTheAuditHoldsAgainstItsReceipts(t *testing.T) {
	b := newBench(t)
	_, file := b.receipt(t)
	v, err := b.VerifyAudit(context.Background(), report.Against{Receipts: [][]byte{file, file}})
	if err != nil || !v.Holds() || v.Events != 4 || len(v.Receipts) != 2 {
		t.Errorf("VerifyAudit = %+v, %v", v, err)
	}
}

func TestAnotherKeyIsNotOurs(t *testing.T) {
	b := newBench(t)
	_, file := b.receipt(t)
	was := bundle.Fingerprint(b.signer.Public())
	var err error
	b.signer, err = sign.LoadOrCreate(filepath.Join(b.dir, "other.key"))
	must(t, err)
	must(t, b.DB.Close())
	b.open(t, "ingot.db")
	if f := b.verify(t, file, ""); f.Holds || !strings.Contains(strings.Join(f.What, " "), "not this server's") {
		t.Errorf("Verify = %+v; want it refused", f)
	}
	if f := b.verify(t, file, was); !f.Holds {
		t.Errorf("Verify with the key's fingerprint = %+v", f)
	}
}

func TestAFileThatIsNoReceipt(t *testing.T) {
	b := newBench(t)
	_, file := b.receipt(t)
	flipped := bytes.Replace(file, []byte(`"purpose": "receipt"`), []byte(`"purpose": "version"`), 1)
	if bytes.Equal(flipped, file) {
		t.Fatal("nothing was changed")
	}
	signed, err := b.signer.Seal("version", []byte(`{"format":1}`))
	must(t, err)
	newer, err := b.signer.Seal(report.ReceiptPurpose, []byte(`{"format":99}`))
	must(t, err)
	empty, err := b.signer.Seal(report.ReceiptPurpose, []byte(`[]`))
	must(t, err)
	envelope := func(e []byte) []byte {
		f, err := report.SignedReceipt{Key: b.signer.Public(), Envelope: e}.File()
		must(t, err)
		return f
	}
	for name, bad := range map[string][]byte{"nothing": nil, "no JSON": []byte("receipt"), "another purpose": flipped, "signed for another purpose": envelope(signed), "a newer form": envelope(newer), "no receipt inside": envelope(empty),
		"too large": bytes.Repeat([]byte(" "), report.MaxReceipt+1), "no key": []byte(`{"key":"AAAA","envelope":{}}`), "a null": []byte("null")} {
		_, _, err := report.OpenReceipt(bad)
		wantCode(t, name, err, job.CodeReceipt)
		if f := b.verify(t, bad, ""); f.Holds || len(f.What) == 0 {
			t.Errorf("%s: Verify = %+v", name, f)
		}
	}
	for i := 0; i < len(file); i += 7 { // no byte of what was signed can be another
		changed := bytes.Clone(file)
		changed[i] ^= 1
		if got, _, err := report.OpenReceipt(changed); err == nil && mustJSON(t, got) != mustJSON(t, first(t, file)) {
			t.Fatalf("byte %d changed: %+v is taken", i, got)
		}
	}
}

func first(t *testing.T, file []byte) report.Receipt {
	r, _, err := report.OpenReceipt(file)
	must(t, err)
	return r
}

// TestAReceiptOnPaper: the same receipt gives the same bytes, other programs read its words, and a scanner its code.
func TestAReceiptOnPaper(t *testing.T) {
	b := newBench(t)
	r, signed, err := b.Receipt(context.Background(), "eva", "dep0000000000001")
	must(t, err)
	r.Device.Model = "21HM 電\u202e" + strings.Repeat("long ", 200)
	link := "https://ingot.example/receipts/dep0000000000001"
	pdf, err := r.PDF(signed, link, time.UTC)
	must(t, err)
	again, err := r.PDF(signed, link, time.UTC)
	must(t, err)
	if !bytes.Equal(pdf, again) {
		t.Error("the same receipt gave other bytes")
	}
	file := filepath.Join(outDir(t), "receipt.pdf")
	must(t, os.WriteFile(file, pdf, 0o600))
	text, err := exec.Command("pdftotext", "-layout", file, "-").Output()
	must(t, err)
	for _, want := range []string{"SALES-017", "PF3ABCDE", "sales@1 (2026-11)", "Łukasz Нов", "[U+96FB]", "7516192768 bytes read back from the drive itself", "event 3,", "event 4 was the newest", "anna, 2026-11-26 08:00:00 UTC"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the PDF lacks %q:\n%s", want, text)
		}
	}
	must(t, exec.Command("pdftoppm", "-r", "100", "-png", "-singlefile", file, strings.TrimSuffix(file, ".pdf")).Run())
	if got := scanned(t, strings.TrimSuffix(file, ".pdf")+".png"); got != link {
		t.Errorf("its code says %q; want %q", got, link)
	}
}

// scanned is what a scanner reads in a picture.
func scanned(t *testing.T, picture string) string {
	t.Helper()
	out, err := exec.Command("zbarimg", "-q", "--raw", picture).Output()
	must(t, err)
	return strings.TrimSpace(string(out))
}

// outDir is where pictures are kept for a person to look at, when INGOT_PICTURES names a folder.
func outDir(t *testing.T) string {
	if dir := os.Getenv("INGOT_PICTURES"); dir != "" {
		return dir
	}
	return t.TempDir()
}
