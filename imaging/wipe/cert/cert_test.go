package cert_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/cert"
)

var began = time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)

func signer(t testing.TB) *cert.Signer {
	t.Helper()
	s, err := cert.Load(filepath.Join(t.TempDir(), "certificates.key"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func frame(number uint64, previous string) cert.Frame {
	return cert.Frame{Number: number, Previous: previous, Issued: began.Add(3 * time.Hour), Organisation: "Beispiel GmbH", AuditNumber: 9, AuditHead: "ab12",
		Device: cert.Device{ID: "k3j5h2l8m1n4", Name: "SALES-017", Manufacturer: "LENOVO", Model: "ThinkPad T14 Gen 3", Serial: "PF3ABC12", Asset: "A-1042", Source: "J. Meier"}}
}

func wiped() cert.Wiped {
	return cert.Wiped{Target: job.Target{Serial: "WD-WX12", Model: "WDC WD5000", SizeBytes: 500e9, SectorSize: 512}, Policy: wipe.DefaultPolicy(), Begun: began,
		Now: began.Add(3 * time.Hour), Job: "abcdefgh12345678", People: []cert.Person{{Name: "anna", Role: cert.RoleOrdered, Time: began}}, Place: "Bench 1",
		Tool: "ingot 0.6", AgentBuild: "0.6 h1:abc", AgentKey: "sha256:00ff", BootChain: "UEFI with Secure Boot, signed shim, GRUB and kernel", SecureBoot: true}
}

// overwritten is the Report of a magnetic drive that was overwritten and read back whole.
func overwritten() wipe.Report {
	const size = 500e9
	id := wipe.Identity{Model: "WDC WD5000", Serial: "WD-WX12", Firmware: "01.01A01", WWN: "naa.50014ee2b1234567", Transport: "sata", SizeBytes: size, SectorSize: 512, Asked: true}
	r := wipe.Report{Version: wipe.ReportVersion, Drive: id, Policy: wipe.PolicyRef{Name: "default", Version: 1, Wanted: wipe.Clear}, Outcome: wipe.Done,
		Ability:   wipe.Ability{Class: wipe.SATADisk, Drive: id, ATA: &wipe.ATAAbility{Rotation: 7200, Sectors: size / 512}},
		Technique: wipe.Overwrite, Claim: wipe.Clear, Started: began.Add(time.Minute), Ended: began.Add(2 * time.Hour),
		Completion:   wipe.Completion{Accepted: true, Finished: true, Fresh: true, How: "every byte was written"},
		Verification: wipe.Verification{Method: wipe.MethodReadBack, Bytes: size, Total: size, Written: size, Direct: true, Seed: strings.Repeat("ab", 32)},
		Hidden:       wipe.Hidden{State: wipe.HiddenNone},
	}
	r.Plan = wipe.NewPlan(r.Ability, wipe.DefaultPolicy(), wipe.Means{})
	r.Attempts = []wipe.Attempt{{Technique: wipe.Overwrite, Outcome: wipe.Done, Started: r.Started, Ended: r.Ended, Raw: []wipe.Raw{{What: "fsync", Value: "ok"}}}}
	return r
}

func certificate(t testing.TB, s *cert.Signer) (cert.Record, []byte) {
	t.Helper()
	r, file, err := s.Certify(frame(1, ""), wiped(), overwritten())
	if err != nil {
		t.Fatal(err)
	}
	return r, file
}

func destroyed() (cert.Drive, cert.Destroyed) {
	return cert.Drive{Model: "Samsung 970", Serial: "S4EV<script>&\u2028x"}, cert.Destroyed{Method: "shredded", Why: "the drive does not answer", Place: "Vendor, hall 2", Time: began,
		Reference: "R-2026-118", People: []cert.Person{{Name: "Karl Ott", Role: cert.RoleDid, Time: began}, {Name: "Eva Lang", Role: cert.RoleWitnessed, Time: began}, {Name: "anna", Role: cert.RoleRecorded, Time: began}}}
}

// TestAnyChangedByteIsSeen flips every byte of a certificate and of a destruction record in several ways, and takes each
// out: with only the file and the public key, none of it verifies.
func TestAnyChangedByteIsSeen(t *testing.T) {
	s := signer(t)
	_, file := certificate(t, s)
	drive, end := destroyed()
	_, second, err := s.Destroy(frame(2, cert.Hash(file)), drive, end)
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, f := range [][]byte{file, second} {
		if _, err := cert.Verify(f, s.Public()); err != nil {
			t.Fatalf("Verify of an untouched file: %v", err)
		}
		for i := range f {
			for _, x := range []byte{1, 0x20} {
				b := bytes.Clone(f)
				b[i] ^= x
				if _, err := cert.Verify(b, s.Public()); !errors.Is(err, cert.ErrTampered) {
					t.Fatalf("byte %d of %d, %q made %q, verifies: %v", i, len(f), f[i], b[i], err)
				}
				tried++
			}
			for _, b := range [][]byte{append(bytes.Clone(f[:i]), f[i+1:]...), append(append(bytes.Clone(f[:i]), ' '), f[i:]...)} {
				if _, err := cert.Verify(b, s.Public()); !errors.Is(err, cert.ErrTampered) {
					t.Fatalf("without byte %d, or with a blank before it, it verifies: %v", i, err)
				}
				tried++
			}
		}
		if _, err := cert.Verify(append(bytes.Clone(f), '\n'), s.Public()); !errors.Is(err, cert.ErrTampered) {
			t.Errorf("with a line break behind it, it verifies: %v", err)
		}
	}
	if _, err := cert.Verify(file, signer(t).Public()); !errors.Is(err, cert.ErrTampered) {
		t.Errorf("another server's key verifies it: %v", err)
	} else if f := job.FaultOf(err); f.Code != job.CodeTampered {
		t.Errorf("it is said as %s; want %s", f.Code, job.CodeTampered)
	}
	t.Logf("%d changed files, none verifies", tried)
}

// TestOnlyACompletedAndVerifiedWipeIsSigned: each thing that is missing or strange in a Report is refused by the Signer
// itself, whoever asks it.
func TestOnlyACompletedAndVerifiedWipeIsSigned(t *testing.T) {
	s := signer(t)
	cases := map[string]func(*cert.Wiped, *wipe.Report){
		"it failed":                          func(_ *cert.Wiped, r *wipe.Report) { r.Outcome = wipe.Failed },
		"it is indeterminate":                func(_ *cert.Wiped, r *wipe.Report) { r.Outcome = wipe.Indeterminate },
		"it was refused":                     func(_ *cert.Wiped, r *wipe.Report) { r.Outcome = wipe.Refused },
		"it names a cause":                   func(_ *cert.Wiped, r *wipe.Report) { r.Cause = wipe.CauseOldResult },
		"nothing was attempted":              func(_ *cert.Wiped, r *wipe.Report) { r.Attempts = nil },
		"the last attempt failed":            func(_ *cert.Wiped, r *wipe.Report) { r.Attempts[0].Outcome = wipe.Failed },
		"the drive did not take the command": func(_ *cert.Wiped, r *wipe.Report) { r.Completion.Accepted = false },
		"the drive did not say it finished":  func(_ *cert.Wiped, r *wipe.Report) { r.Completion.Finished = false },
		"the log may be old":                 func(_ *cert.Wiped, r *wipe.Report) { r.Completion.Fresh = false },
		"a byte was not read back":           func(_ *cert.Wiped, r *wipe.Report) { r.Verification.Bytes-- },
		"a byte differs":                     func(_ *cert.Wiped, r *wipe.Report) { r.Verification.Mismatches = 1 },
		"a byte could not be read":           func(_ *cert.Wiped, r *wipe.Report) { r.Verification.Unreadable = 1 },
		"the page cache was read":            func(_ *cert.Wiped, r *wipe.Report) { r.Verification.Direct = false },
		"it has no verification":             func(_ *cert.Wiped, r *wipe.Report) { r.Verification = wipe.Verification{} },
		"it is about another drive":          func(_ *cert.Wiped, r *wipe.Report) { r.Drive.Serial = "WD-OTHER" },
		"it is about a drive of another size": func(_ *cert.Wiped, r *wipe.Report) {
			r.Drive.SizeBytes--
			r.Verification.Total--
			r.Verification.Bytes--
			r.Verification.Written--
		},
		"it is about a drive of another model":           func(w *cert.Wiped, _ *wipe.Report) { w.Target.Model = "ST1000LM035" },
		"it is about a drive of another world-wide name": func(w *cert.Wiped, _ *wipe.Report) { w.Target.WWN = "naa.50014ee2b7654321" },
		"it is about a drive of another sector size":     func(w *cert.Wiped, _ *wipe.Report) { w.Target.SectorSize = 4096 },
		"another drive was approved":                     func(w *cert.Wiped, _ *wipe.Report) { w.Target.Serial = "WD-OTHER" },
		"no drive was approved":                          func(w *cert.Wiped, _ *wipe.Report) { w.Target = job.Target{} },
		"it followed another policy":                     func(w *cert.Wiped, _ *wipe.Report) { w.Policy.Version = 2 },
		"it claims a purge":                              func(_ *cert.Wiped, r *wipe.Report) { r.Claim = wipe.Purge },
		"it says that less was wanted": func(w *cert.Wiped, _ *wipe.Report) {
			w.Policy.Want = map[wipe.Class]wipe.Level{wipe.SATADisk: wipe.Purge}
		},
		"the policy allows no overwrite": func(w *cert.Wiped, r *wipe.Report) {
			w.Policy.Want = map[wipe.Class]wipe.Level{wipe.SATADisk: wipe.Purge}
			w.Policy.Fallbacks = nil
			r.Policy.Wanted = wipe.Purge
		},
		"nobody asked for an unknown medium":   func(_ *cert.Wiped, r *wipe.Report) { r.Ability.Class, r.Ability.Behind = wipe.Unknown, "a USB bridge" },
		"it is an old one":                     func(_ *cert.Wiped, r *wipe.Report) { r.Started = began.Add(-time.Hour) },
		"it is of the future":                  func(_ *cert.Wiped, r *wipe.Report) { r.Ended = began.Add(48 * time.Hour) },
		"hidden sectors were not overwritten":  func(_ *cert.Wiped, r *wipe.Report) { r.Hidden = wipe.Hidden{State: wipe.HiddenFound, Bytes: 1e6} },
		"it is of another form":                func(_ *cert.Wiped, r *wipe.Report) { r.Version++ },
		"a number that not every reader keeps": func(_ *cert.Wiped, r *wipe.Report) { r.Verification.First = 1 << 60 },
		"the drive has no serial":              func(w *cert.Wiped, r *wipe.Report) { r.Drive.Serial, w.Target.Serial = "", "" },
		"a technique that nobody knows":        func(_ *cert.Wiped, r *wipe.Report) { r.Technique, r.Attempts[0].Technique = "magic", "magic" },
	}
	for name, change := range cases {
		w, r := wiped(), overwritten()
		change(&w, &r)
		_, file, err := s.Certify(frame(1, ""), w, r)
		if err == nil || file != nil {
			t.Errorf("%s: it was signed", name)
		} else if f := job.FaultOf(err); f.Code != job.CodeNoCertificate {
			t.Errorf("%s: %v; want %s", name, err, job.CodeNoCertificate)
		}
	}
	if _, _, err := s.Certify(frame(1, ""), wiped(), overwritten()); err != nil {
		t.Errorf("a completed and verified wipe: %v", err)
	}
}

// TestAReportIsReadStrictly: what an agent sends is taken whole or not at all.
// TestADriveIsKnownHoweverItsNamesAreWritten: the kernel cuts a model, writes blanks otherwise, and names a drive by another
// kind of world-wide name than the drive itself does.
func TestADriveIsKnownHoweverItsNamesAreWritten(t *testing.T) {
	s := signer(t)
	for name, change := range map[string]func(*job.Target){
		"a model that was cut":       func(x *job.Target) { x.Model = "WDC  WD50" },
		"no model":                   func(x *job.Target) { x.Model = "" },
		"the same world-wide name":   func(x *job.Target) { x.WWN = "NAA.50014EE2B1234567" },
		"a name of another kind":     func(x *job.Target) { x.WWN = "t10.ATA     WDC WD5000  WD-WX12" },
		"a name of another length":   func(x *job.Target) { x.WWN = "naa.50014ee2b123456750014ee2b1234567" },
		"sectors that nobody noted":  func(x *job.Target) { x.SectorSize = 0 },
		"a serial with other blanks": func(x *job.Target) { x.Serial = " WD-WX12 " },
	} {
		w := wiped()
		change(&w.Target)
		if _, _, err := s.Certify(frame(1, ""), w, overwritten()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAReportIsReadStrictly(t *testing.T) {
	b, err := json.Marshal(overwritten())
	if err != nil {
		t.Fatal(err)
	}
	if r, err := cert.ReadReport(b); err != nil || r.Technique != wipe.Overwrite {
		t.Fatalf("ReadReport = %v, %v", r, err)
	}
	for name, bad := range map[string][]byte{
		"half":       b[:len(b)/2],
		"two":        append(bytes.Clone(b), b...),
		"a stranger": []byte(strings.Replace(string(b), `"version":1`, `"version":1,"trust_me":true`, 1)),
		"too long":   append([]byte(`{"fact":"`+strings.Repeat("x", job.MaxDriveReport)), `"}`...),
	} {
		if _, err := cert.ReadReport(bad); job.FaultOf(err).Code != job.CodeNoCertificate {
			t.Errorf("%s: %v; want %s", name, err, job.CodeNoCertificate)
		}
	}
}

// TestADestructionRecordNeedsTwoPeopleAndAnOutsideWord holds what makes a Destruction record.
func TestADestructionRecordNeedsTwoPeopleAndAnOutsideWord(t *testing.T) {
	s := signer(t)
	for name, change := range map[string]func(*cert.Drive, *cert.Destroyed){
		"no serial":       func(d *cert.Drive, _ *cert.Destroyed) { d.Serial = " " },
		"no method":       func(_ *cert.Drive, x *cert.Destroyed) { x.Method = "" },
		"no place":        func(_ *cert.Drive, x *cert.Destroyed) { x.Place = "" },
		"no reason":       func(_ *cert.Drive, x *cert.Destroyed) { x.Why = "" },
		"one person":      func(_ *cert.Drive, x *cert.Destroyed) { x.People = x.People[:1] },
		"the same person": func(_ *cert.Drive, x *cert.Destroyed) { x.People[1].Name = " karl  OTT " },
		"the same, composed otherwise": func(_ *cert.Drive, x *cert.Destroyed) {
			x.People[0].Name, x.People[1].Name = "Andr\u00e9 Ott", "Andre\u0301 Ott"
		},
		"the same, unseen":    func(_ *cert.Drive, x *cert.Destroyed) { x.People[1].Name = "Karl\u200b Ott\u2060" },
		"the same, with dots": func(_ *cert.Drive, x *cert.Destroyed) { x.People[1].Name = "Karl-Ott." },
		"a sign for a name":   func(_ *cert.Drive, x *cert.Destroyed) { x.People[1].Name = "---" },
		"nameless":            func(_ *cert.Drive, x *cert.Destroyed) { x.People[1].Name = "  " },
		"no outside word":     func(_ *cert.Drive, x *cert.Destroyed) { x.Reference = "" },
		"a digest that isn't": func(_ *cert.Drive, x *cert.Destroyed) { x.PhotoSHA256 = "12ab" },
		"tomorrow":            func(_ *cert.Drive, x *cert.Destroyed) { x.Time = began.Add(24 * time.Hour) },
		"two lines":           func(_ *cert.Drive, x *cert.Destroyed) { x.Place = "a\nb" },
		"endless":             func(_ *cert.Drive, x *cert.Destroyed) { x.Place = strings.Repeat("x", 400) },
	} {
		d, x := destroyed()
		change(&d, &x)
		if _, file, err := s.Destroy(frame(1, ""), d, x); job.FaultOf(err).Code != job.CodeDestruction || file != nil {
			t.Errorf("%s: %v; want %s", name, err, job.CodeDestruction)
		}
	}
	d, x := destroyed()
	x.Reference, x.PhotoSHA256 = "", strings.Repeat("ab", 32)
	if _, _, err := s.Destroy(frame(1, ""), d, x); err != nil {
		t.Errorf("with a photo's digest: %v", err)
	}
}

// TestTheChainTellsWhatIsMissing: a record that was taken out, exchanged or put elsewhere is named.
func TestTheChainTellsWhatIsMissing(t *testing.T) {
	s := signer(t)
	var files [][]byte
	previous := ""
	for n := uint64(1); n <= 4; n++ {
		d, x := destroyed()
		_, f, err := s.Destroy(frame(n, previous), d, x)
		if err != nil {
			t.Fatal(err)
		}
		files, previous = append(files, f), cert.Hash(f)
	}
	d, x := destroyed()
	x.Place = "elsewhere"
	_, forged, err := s.Destroy(frame(2, cert.Hash(files[0])), d, x)
	if err != nil {
		t.Fatal(err)
	}
	walk := func(list ...[]byte) cert.Chain {
		w := cert.Walk{Key: s.Public()}
		for _, f := range list {
			_, _ = w.Next(f) // told in the chain
		}
		return w.Chain()
	}
	if c := walk(files...); c.Records != 4 || c.Broken != 0 || c.Head != previous {
		t.Errorf("whole: %+v", c)
	}
	for name, got := range map[string]struct {
		chain cert.Chain
		want  uint64
	}{
		"the first is gone":   {walk(files[1:]...), 1},
		"the second is gone":  {walk(files[0], files[2], files[3]), 2},
		"two are exchanged":   {walk(files[0], files[2], files[1], files[3]), 2},
		"one was signed anew": {walk(files[0], forged, files[2], files[3]), 3},
		"one stands twice":    {walk(files[0], files[0], files[1]), 2},
	} {
		if got.chain.Broken != got.want {
			t.Errorf("%s: broken at %d; want %d", name, got.chain.Broken, got.want)
		}
	}
	short := cert.Walk{Key: s.Public()}
	for _, f := range files[:3] {
		_, _ = short.Next(f) // told in the chain
	}
	short.Miss(4, "drive X")
	short.Miss(5, "drive Y")
	if c := short.Chain(); c.Broken != 4 || c.Records != 3 || !strings.Contains(c.Why, "drive X") {
		t.Errorf("the newest is gone: %+v", c)
	}
	if _, _, err := s.Destroy(frame(5, ""), d, x); err == nil {
		t.Error("a record in the middle that follows none was signed")
	}
}

// TestPaperIsAPictureOfTheFile: the same file gives the same bytes, and a changed one none.
func TestPaperIsAPictureOfTheFile(t *testing.T) {
	s := signer(t)
	r, file := certificate(t, s)
	one, err := cert.Paper(file, s.Public())
	if err != nil {
		t.Fatal(err)
	}
	two, err := cert.Paper(file, s.Public())
	if err != nil || !bytes.Equal(one, two) || !bytes.HasPrefix(one, []byte("%PDF-")) {
		t.Errorf("Paper twice: %d and %d bytes, equal %v, %v", len(one), len(two), bytes.Equal(one, two), err)
	}
	bad := bytes.Replace(file, []byte("WD-WX12"), []byte("WD-WX13"), 1)
	if b, err := cert.Paper(bad, s.Public()); err == nil || b != nil {
		t.Error("a changed file was drawn")
	}
	if qr := cert.QR(r, file, s.Public()); !strings.Contains(qr, cert.Hash(file)) || !strings.Contains(qr, cert.Fingerprint(s.Public())) {
		t.Errorf("QR = %q", qr)
	}
	text := string(file)
	if strings.Contains(strings.ToLower(text), "nist compliant") || r.Sanitised.Claim != "clear" || r.Sanitised.Policy != "default" || r.Sanitised.Technique != "overwrite" {
		t.Errorf("technique, claim and policy: %+v", r.Sanitised)
	}
}

// TestPaperNamesEverybody: helpdesks are in Lodz and Athens too.
func TestPaperNamesEverybody(t *testing.T) {
	s := signer(t)
	d, x := destroyed()
	x.People[0].Name, x.People[1].Name, x.Place = "Łukasz Żółty", "Ελένη Παππά", "Łódź"
	_, file, err := s.Destroy(frame(1, ""), d, x)
	if err != nil {
		t.Fatal(err)
	}
	pdf, err := cert.Paper(file, s.Public())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "record.pdf")
	if err := os.WriteFile(path, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command("pdftotext", "-layout", path, "-").Output()
	if err != nil {
		t.Fatalf("pdftotext: %v", err)
	}
	for _, want := range []string{"Łukasz Żółty", "Ελένη Παππά", "Łódź", "page 1 of 1"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the paper does not say %q:\n%s", want, text)
		}
	}
}

// TestExport: a spreadsheet takes no text for a formula, and each file of the JSON list verifies on its own.
func TestExport(t *testing.T) {
	s := signer(t)
	r, file := certificate(t, s)
	r.Device.Name, r.Drive.Model = "=cmd|' /C calc'!A0", "+1\r\n2"
	var csv, list bytes.Buffer
	if err := errors.Join(cert.WriteCSV(&csv, []cert.Entry{{Record: r, File: file}}), cert.WriteJSON(&list, []cert.Entry{{Record: r, File: file}, {Record: r, File: file}})); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{" =1+1", "\t=1+1", "\u00a0@x", "%x", "\uff1d1", "\u202e=1", "\u0000-1"} {
		d, x := destroyed()
		d.Serial, x.Place = "S1", "Hall"
		rec := cert.Record{Kind: cert.Destruction, Device: cert.Device{Name: text}, Drive: d, Destroyed: &x}
		if got := rec.Row("")[5]; !strings.HasPrefix(got, "'") || strings.ContainsAny(got, "\u202e\x00\t") {
			t.Errorf("%q is handed out as %q", text, got)
		}
	}
	if got := csv.String(); !strings.Contains(got, "'=cmd") || !strings.Contains(got, "'+1  2") || strings.Count(got, "\r\n") != 2 {
		t.Errorf("CSV = %q", got)
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(list.Bytes(), &raw); err != nil || len(raw) != 2 {
		t.Fatalf("JSON list: %v, %d", err, len(raw))
	}
	for _, f := range raw {
		if _, err := cert.Verify(f, s.Public()); err != nil {
			t.Errorf("taken out of the list: %v", err)
		}
	}
}

// TestCanonical holds the one form against RFC 8785's rules, and refuses what it has no text for.
func TestCanonical(t *testing.T) {
	got, err := cert.Canonical(map[string]any{"\u20ac": 1, "\r": "\u000f\n\"\\/<>&\u2028", "1": []any{nil, true, -5}, "\U0001f600": "x", "\ufb33": ""})
	want := "{\"\\r\":\"\\u000f\\n\\\"\\\\/<>&\u2028\",\"1\":[null,true,-5],\"\u20ac\":1,\"\U0001f600\":\"x\",\"\ufb33\":\"\"}"
	if err != nil || string(got) != want {
		t.Errorf("Canonical = %s, %v\nwant        %s", got, err, want)
	}
	for _, bad := range []any{1.5, 1e30, uint64(1) << 54, json.RawMessage(`-0`)} {
		if got, err := cert.Canonical(map[string]any{"x": bad}); err == nil {
			t.Errorf("Canonical(%v) = %s; want an error", bad, got)
		}
	}
}
