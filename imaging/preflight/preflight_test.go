package preflight_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"ingot/firmware/efivar"
	"ingot/imaging/job"
	"ingot/imaging/preflight"
)

func code(err error) job.Code {
	var f *job.Fault
	if errors.As(err, &f) {
		return f.Code
	}
	return ""
}

func TestStartsRefusesWhatTheFirmwareCannotStart(t *testing.T) {
	both, uefi := job.Needs{Firmware: []string{"uefi", "bios"}}, job.Needs{Firmware: []string{"uefi"}, Loaders: []job.Loader{{Arch: "x64"}}}
	for name, c := range map[string]struct {
		n              job.Needs
		firmware, arch string
		want           job.Code
	}{
		"either mode":                        {both, "bios", "x64", ""},
		"the wrong mode":                     {uefi, "bios", "x64", job.CodeFirmwareMode},
		"the right mode":                     {uefi, "uefi", "x64", ""},
		"32-bit firmware":                    {uefi, "uefi", "ia32", job.CodeArch},
		"a loader of another name":           {job.Needs{Loaders: []job.Loader{{Arch: "aa64"}, {Arch: "ia32"}}}, "uefi", "x64", job.CodeArch},
		"one of two loaders":                 {job.Needs{Loaders: []job.Loader{{Arch: "aa64"}, {Arch: "x64"}}}, "uefi", "x64", ""},
		"loaders do not matter to a BIOS":    {job.Needs{Firmware: []string{"bios"}, Loaders: []job.Loader{{Arch: "aa64"}}}, "bios", "x64", ""},
		"an image of which nothing is known": {job.Needs{}, "uefi", "x64", ""},
		"a laptop of which nothing is known": {uefi, "", "", ""},
	} {
		if got := code(preflight.Starts(c.n, c.firmware, c.arch)); got != c.want {
			t.Errorf("%s: Starts = %q; want %q", name, got, c.want)
		}
	}
}

func TestMemoryIsMeasuredAsTheKernelCountsIt(t *testing.T) {
	for name, c := range map[string]struct {
		need, have uint64
		want       job.Code
		note       bool
	}{
		"a laptop with 1 GB":           {0, 960 << 20, "", false},
		"half of that":                 {0, 480 << 20, job.CodeLowMemory, false},
		"8 GB less the graphics' part": {8 << 30, 7300 << 20, "", false},
		"4 GB where 8 are needed":      {8 << 30, 3900 << 20, job.CodeLowMemory, false},
		"not told":                     {8 << 30, 0, "", true},
	} {
		note, err := preflight.Memory(job.Needs{MemoryBytes: c.need}, c.have)
		if code(err) != c.want || (note != "") != c.note {
			t.Errorf("%s: Memory = %q, %v; want %q, note %v", name, note, err, c.want, c.note)
		}
	}
}

func TestOnlyAFailingDriveIsRefusedAndOnlyUnlessItIsWanted(t *testing.T) {
	for _, c := range []struct {
		state   job.HealthState
		despite bool
		want    job.Code
		note    bool
	}{
		{job.HealthGood, false, "", false}, {job.HealthUnknown, false, "", true}, {job.HealthFailing, false, job.CodeDriveHealth, false},
		{job.HealthFailing, true, "", true}, {"perfect", false, "", true}, {job.HealthGood, true, "", false},
	} {
		note, err := preflight.Healthy(job.Health{State: c.state}, c.despite)
		if code(err) != c.want || (note != "") != c.note {
			t.Errorf("Healthy(%q, %v) = %q, %v; want %q, note %v", c.state, c.despite, note, err, c.want, c.note)
		}
	}
}

func TestPoweredWantsMainsOrCharge(t *testing.T) {
	for _, c := range []struct {
		p    job.Power
		want bool
	}{
		{job.Power{}, true}, {job.Power{Battery: true, Percent: 30}, true}, {job.Power{Battery: true, Percent: 29}, false},
		{job.Power{Battery: true, Percent: 0, Mains: true}, true}, {job.Power{Battery: true, Percent: -1}, false},
	} {
		if got := preflight.Powered(c.p); got != c.want {
			t.Errorf("Powered(%s) = %v; want %v", c.p, got, c.want)
		}
	}
}

// TestALaptopThatNeverToldOfADriveIsSaidToStartFirst: one that a list promised has no drives on record, and its firmware
// setup is not what is wrong.
func TestALaptopThatNeverToldOfADriveIsSaidToStartFirst(t *testing.T) {
	_, err := preflight.Choose(nil, "", job.DriveNamed)
	if code(err) != job.CodeNoDrive || !strings.Contains(err.Error(), "start it from the network first") {
		t.Errorf("no drive: %v", err)
	}
	_, err = preflight.Choose([]job.Drive{{Serial: "X", Removable: true}}, "", job.DriveNamed)
	if code(err) != job.CodeNoDrive || strings.Contains(err.Error(), "first") {
		t.Errorf("only a removable drive: %v", err)
	}
}

func TestStillAsksTheRuleAgain(t *testing.T) {
	drive := func(serial, bus string, gb uint64) job.Drive {
		return job.Drive{Serial: serial, Transport: bus, SizeBytes: gb << 30, SectorSize: 512}
	}
	a, b, stick := drive("A", "nvme", 256), drive("B", "sata", 512), drive("S", "usb", 1000)
	stick.Removable = true
	for name, c := range map[string]struct {
		drives []job.Drive
		target string
		rule   job.DriveRule
		want   job.Code
	}{
		"the only one":             {[]job.Drive{a, stick}, "A", job.DriveOnly, ""},
		"one more":                 {[]job.Drive{a, b}, "A", job.DriveOnly, job.CodeManyDrives},
		"named, and one more":      {[]job.Drive{a, b}, "A", job.DriveNamed, ""},
		"still the largest":        {[]job.Drive{a, b}, "B", job.DriveLargest, ""},
		"a larger one came":        {[]job.Drive{a, b}, "A", job.DriveLargest, job.CodeWrongDrive},
		"still the smallest":       {[]job.Drive{a, b}, "A", job.DriveSmallest, ""},
		"still the NVMe drive":     {[]job.Drive{a, b}, "A", job.DriveNVMe, ""},
		"two NVMe drives now":      {[]job.Drive{a, drive("C", "nvme", 1)}, "A", job.DriveNVMe, job.CodeManyDrives},
		"the target went":          {[]job.Drive{b}, "A", job.DriveOnly, job.CodeWrongDrive},
		"nothing internal is left": {[]job.Drive{stick}, "A", job.DriveOnly, job.CodeNoDrive},
	} {
		if got := code(preflight.Still(c.drives, job.Target{Serial: c.target}, c.rule)); got != c.want {
			t.Errorf("%s: Still = %q; want %q", name, got, c.want)
		}
	}
}

type ca struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func issue(t *testing.T, name string, serial int64, by *ca) *ca {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotAfter: time.Unix(1<<32, 0)}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &ca{cert, key}
}

// TestTrustsJudgesAsFirmwareDoes also holds the record's judgement against the laptop's own: by names it never
// refuses what the laptop itself would take.
func TestTrustsJudgesAsFirmwareDoes(t *testing.T) {
	ca11, ca23, windows := issue(t, "Microsoft Corporation UEFI CA 2011", 1, nil), issue(t, "Microsoft UEFI CA 2023", 2, nil), issue(t, "Windows UEFI CA 2023", 3, nil)
	namesake := issue(t, "Microsoft UEFI CA 2023", 4, nil)
	old, fresh := issue(t, "old signer", 5, ca11), issue(t, "new signer", 6, ca23)
	hash := sha256.Sum256([]byte("shim"))
	loader := func(chains ...job.Chain) job.Needs {
		return job.Needs{Loaders: []job.Loader{{Arch: "x64", SHA256: hex.EncodeToString(hash[:]), Chains: chains}}}
	}
	chain := func(all ...*ca) (c job.Chain) {
		for _, a := range all {
			c = append(c, a.cert.Raw)
		}
		return c
	}
	db := func(all ...*ca) (d efivar.Database) {
		for _, a := range all {
			d.Certs = append(d.Certs, a.cert)
		}
		return d
	}
	programs := efivar.Database{Programs: map[[32]byte]bool{hash: true}}
	unreadable := loader()
	unreadable.Loaders[0].Unread = "its signature is not understood"
	for name, c := range map[string]struct {
		n    job.Needs
		keys *efivar.Keys
		want job.Code
		fact string
		note bool
	}{
		"signed under a key of db":              {loader(chain(old)), &efivar.Keys{DB: db(windows, ca11)}, "", "", false},
		"signed under 2023, db of 2011":         {loader(chain(fresh, ca23)), &efivar.Keys{DB: db(ca11, windows)}, job.CodeUntrusted, "Missing on the laptop: Microsoft UEFI CA 2023.", false},
		"signed under 2011, db of 2023":         {loader(chain(old, ca11)), &efivar.Keys{DB: db(ca23)}, job.CodeUntrusted, "Missing on the laptop: Microsoft Corporation UEFI CA 2011.", false},
		"signed twice, db of 2011":              {loader(chain(old, ca11), chain(fresh, ca23)), &efivar.Keys{DB: db(ca11)}, "", "", false},
		"signed twice, db of another":           {loader(chain(old), chain(fresh)), &efivar.Keys{DB: db(windows)}, job.CodeUntrusted, "Missing on the laptop: Microsoft Corporation UEFI CA 2011 or Microsoft UEFI CA 2023.", false},
		"the signer itself in db":               {loader(chain(fresh)), &efivar.Keys{DB: db(fresh)}, "", "", false},
		"a namesake of the authority":           {loader(chain(fresh)), &efivar.Keys{DB: db(namesake)}, job.CodeUntrusted, "Missing on the laptop: Microsoft UEFI CA 2023.", false},
		"its hash in db":                        {loader(chain(fresh)), &efivar.Keys{DB: programs}, "", "", false},
		"its hash in dbx":                       {loader(chain(old)), &efivar.Keys{DB: db(ca11), DBX: programs}, job.CodeRevoked, "Its hash is in dbx.", false},
		"its authority in dbx":                  {loader(chain(old, ca11)), &efivar.Keys{DB: db(ca11), DBX: db(ca11)}, job.CodeRevoked, "Its signer Microsoft Corporation UEFI CA 2011 is in dbx.", false},
		"one of two signers in dbx by its hash": {loader(chain(old), chain(fresh)), &efivar.Keys{DB: db(ca11, ca23), DBX: efivar.Database{Signed: map[[32]byte]bool{sha256.Sum256(fresh.cert.RawTBSCertificate): true}}}, job.CodeRevoked, "Its signer new signer is in dbx.", false},
		"not signed":                            {loader(), &efivar.Keys{DB: db(ca11)}, job.CodeUntrusted, "The boot loader is not signed.", false},
		"not read":                              {unreadable, &efivar.Keys{DB: db(ca11)}, "", "", true},
		"not known":                             {job.Needs{}, &efivar.Keys{DB: db(ca11)}, "", "", true},
		"a chain that is no certificate":        {loader(job.Chain{[]byte("x")}), &efivar.Keys{DB: db(ca11)}, "", "", true},
		"Secure Boot off":                       {loader(), nil, "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			note, err := preflight.Trusts(c.n, "x64", c.keys)
			if code(err) != c.want || (note != "") != c.note || err != nil && job.FaultOf(err).Fact != c.fact {
				t.Errorf("Trusts = %q, %v; want %q, %q, note %v", note, err, c.want, c.fact, c.note)
			}
			if c.keys == nil {
				return
			}
			if err == nil {
				if err := preflight.TrustsByName(c.n, "x64", preflight.Summary(*c.keys)); err != nil {
					t.Errorf("TrustsByName = %v; the laptop itself would take it", err)
				}
			}
		})
	}
	if err := preflight.TrustsByName(loader(chain(fresh)), "x64", preflight.Summary(efivar.Keys{DB: db(ca11)})); code(err) != job.CodeUntrusted {
		t.Errorf("TrustsByName of a missing authority = %v; want %s", err, job.CodeUntrusted)
	}
	if got := preflight.Signers(loader(chain(old), chain(fresh)).Loaders[0]); got != "Microsoft Corporation UEFI CA 2011 or Microsoft UEFI CA 2023" {
		t.Errorf("Signers = %q", got)
	}
	if s := preflight.Summary(efivar.Keys{DB: db(ca11), DBX: programs}); len(s.Certs) != 1 || s.Revoked != 1 || !bytes.Equal([]byte(s.Certs[0].Name), []byte(ca11.cert.Subject.CommonName)) {
		t.Errorf("Summary = %+v", s)
	}
}
