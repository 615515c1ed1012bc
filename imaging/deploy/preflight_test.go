package deploy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"strings"
	"testing"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/store"
)

func selfSigned(t *testing.T, name string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	must(t, err)
	return der
}

// TestALaptopThatDoesNotSuitTheImageIsRefusedAtTheOrder asks by what the laptop told when it was last seen.
func TestALaptopThatDoesNotSuitTheImageIsRefusedAtTheOrder(t *testing.T) {
	loader := []job.Loader{{Arch: "x64", SHA256: strings.Repeat("ab", 32), Chains: []job.Chain{{selfSigned(t, "Microsoft UEFI CA 2023")}}}}
	for name, c := range map[string]struct {
		version store.Version
		hello   func(*job.Hello)
		want    job.Code
	}{
		"firmware mode":  {store.Version{Firmware: []string{"bios"}}, func(*job.Hello) {}, job.CodeFirmwareMode},
		"architecture":   {store.Version{Loaders: loader}, func(h *job.Hello) { h.Arch = "ia32" }, job.CodeArch},
		"agent's memory": {store.Version{}, func(h *job.Hello) { h.MemoryBytes = 512 << 20 }, job.CodeLowMemory},
		"image's memory": {store.Version{MemoryBytes: 16 << 30}, func(*job.Hello) {}, job.CodeLowMemory},
		"health":         {store.Version{}, func(h *job.Hello) { h.Drives[0].Health.State = job.HealthFailing }, job.CodeDriveHealth},
		"keys": {store.Version{Loaders: loader}, func(h *job.Hello) {
			h.Keys = &job.Keys{Certs: []job.Cert{{Name: "Microsoft Corporation UEFI CA 2011", SHA256: "11", Subject: "22"}}}
		}, job.CodeUntrusted},
		"nothing wrong": {store.Version{Loaders: loader, Firmware: []string{"uefi"}, MemoryBytes: 8 << 30}, func(h *job.Hello) { h.Keys = &job.Keys{} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			v := c.version
			v.Image, v.State, v.Manifest, v.SectorSize, v.NeedBytes, v.Personalise = "fitting", store.Released, imaging.Sum([]byte(name)), 512, 1, "linux"
			b.update(func(tx *store.Tx) error { _, _, err := tx.AddVersion(v); return err })
			l := b.laptop("ABC1234")
			l.hello.Arch = "x64"
			c.hello(&l.hello)
			l.boot()
			_, err := b.s.Adopt(context.Background(), "anna", store.Adoption{Code: l.sayHello().Code, Name: "PC-1"})
			must(t, err)
			_, err = b.s.Deploy(context.Background(), "anna", store.Order{Device: "PC-1", Image: "fitting"})
			if c.want == "" {
				must(t, err)
				return
			}
			wantCode(t, name, err, c.want)
			if jobs, _ := b.s.Jobs(context.Background(), true); len(jobs) != 0 {
				t.Errorf("%d jobs were made", len(jobs))
			}
		})
	}
}

// TestWhatALaptopFoundIsKeptAsPlainLines sends a Found that no honest agent sends.
func TestWhatALaptopFoundIsKeptAsPlainLines(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "PC-1")
	j := b.order("PC-1")
	if n := l.next(); n.Order != job.Work {
		t.Fatalf("Next = %s; want work", n.Order)
	}
	found := &job.Found{Holds: slices.Repeat([]string{"\x1b[2Jgone\n" + strings.Repeat("x", 1000)}, 100), Notes: []string{"a\x00b"},
		Health: job.Health{State: "perfect\n"}, Power: job.Power{Battery: true, Percent: 4000}}
	for i, e := range []job.StateEvent{{Seq: 1, State: job.Claimed}, {Seq: 2, State: job.Invalidated, Found: found}} {
		_, err := l.c.State(context.Background(), j.ID, e)
		if err != nil {
			t.Fatalf("event %d: %v", i+1, err)
		}
	}
	got, err := b.s.Job(context.Background(), j.ID)
	must(t, err)
	f := got.Found
	if f == nil || len(f.Holds) != 64 || len(f.Holds[0]) > 300 || strings.ContainsAny(f.Holds[0]+f.Notes[0], "\x1b\n\x00") ||
		f.Health.State != job.HealthUnknown || f.Power.Percent != -1 {
		t.Errorf("found %+v; want short plain lines, an unknown health and charge", f)
	}
}

func TestAHelloThatTellsTooMuchIsRefused(t *testing.T) {
	long := strings.Repeat("x", 301)
	for name, change := range map[string]func(*job.Hello){
		"lines about a drive":     func(h *job.Hello) { h.Drives[0].Holds = slices.Repeat([]string{"x"}, 65) },
		"a long line":             func(h *job.Hello) { h.Drives[0].Holds = []string{long} },
		"a long health":           func(h *job.Hello) { h.Drives[0].Health.Text = long },
		"keys":                    func(h *job.Hello) { h.Keys = &job.Keys{Certs: make([]job.Cert, 65)} },
		"a key with a long name":  func(h *job.Hello) { h.Keys = &job.Keys{Certs: []job.Cert{{Name: long}}} },
		"an endless architecture": func(h *job.Hello) { h.Arch = long },
	} {
		b := newBench(t)
		l := b.laptop("ABC1234")
		change(&l.hello)
		l.boot()
		_, err := l.c.Hello(context.Background(), l.hello)
		wantCode(t, name, err, job.CodeBadRequest)
	}
}
