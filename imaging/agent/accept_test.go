package agent

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/imaging/sign"
)

func newSigner(t testing.TB) *sign.Signer {
	t.Helper()
	s, err := sign.LoadOrCreate(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sound is an identity and a job that it obeys.
func sound(s *sign.Signer) (identity, job.Job) {
	me := identity{key: job.KeyID("sha256:" + strings.Repeat("a", 64)), nonce: strings.Repeat("1", 32), serial: "SER123", bios: "uefi", signing: s.Public()}
	return me, job.Job{Version: job.Version, ID: "j1", Kind: job.Deploy, AgentKey: me.key, Nonce: me.nonce, ValidFor: 600, Serial: me.serial,
		Target: job.Target{Serial: "NV1", SizeBytes: 1 << 30, SectorSize: 512}, Image: job.ImageRef{Name: "sales", Number: 1, Manifest: imaging.Sum(nil)}}
}

func seal(t testing.TB, s *sign.Signer, purpose string, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.Seal(purpose, b)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestOnlyASoundOrderIsObeyed(t *testing.T) {
	s, other := newSigner(t), newSigner(t)
	me, good := sound(s)
	with := func(f func(*job.Job)) []byte { j := good; f(&j); return seal(t, s, "job", j) }
	cases := map[string]struct {
		envelope []byte
		want     job.Code
	}{
		"the order itself":            {seal(t, s, "job", good), ""},
		"an inventory":                {with(func(j *job.Job) { j.Kind = job.Inventory }), ""},
		"signed by another key":       {seal(t, other, "job", good), job.CodeJobSignature},
		"signed for another purpose":  {seal(t, s, "manifest", good), job.CodeJobSignature},
		"no envelope":                 {[]byte("x"), job.CodeJobSignature},
		"nothing":                     {nil, job.CodeJobSignature},
		"not a job":                   {seal(t, s, "job", []int{1}), job.CodeProtocol},
		"an unknown wish":             {seal(t, s, "job", map[string]any{"id": "j1", "overwrite_all": true}), job.CodeProtocol},
		"another version":             {with(func(j *job.Job) { j.Version = job.Version + 1 }), job.CodeProtocol},
		"another agent's key":         {with(func(j *job.Job) { j.AgentKey = "sha256:b" }), job.CodeJobKey},
		"an old nonce":                {with(func(j *job.Job) { j.Nonce = strings.Repeat("2", 32) }), job.CodeJobKey},
		"no nonce":                    {with(func(j *job.Job) { j.Nonce = "" }), job.CodeJobKey},
		"another laptop":              {with(func(j *job.Job) { j.Serial = "SER124" }), job.CodeWrongDevice},
		"no time left":                {with(func(j *job.Job) { j.ValidFor = 0 }), job.CodeJobExpired},
		"a wipe":                      {with(func(j *job.Job) { j.Kind = job.Wipe }), job.CodeJobKind},
		"no kind":                     {with(func(j *job.Job) { j.Kind = "" }), job.CodeJobKind},
		"a rename that knows nothing": {with(func(j *job.Job) { j.Kind, j.Personalise = job.Rename, true }), job.CodeNotOurs},
		"a rename of no drive": {with(func(j *job.Job) {
			j.Kind, j.Known, j.Personalise, j.Target.Serial = job.Rename, &job.Known{Deployment: "d"}, true, ""
		}), job.CodeWrongDrive},
		"a rename": {with(func(j *job.Job) { j.Kind, j.Known, j.Personalise = job.Rename, &job.Known{Deployment: "d"}, true }), ""},
		"no drive": {with(func(j *job.Job) { j.Target.Serial = "" }), job.CodeWrongDrive},
		"no image": {with(func(j *job.Job) { j.Image.Manifest = imaging.Digest{} }), job.CodeManifest},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			j, err := accept(c.envelope, me)
			var f *job.Fault
			switch {
			case c.want == "" && (err != nil || j.ID != "j1"):
				t.Errorf("accept = %+v, %v; want the job", j, err)
			case c.want != "" && (!errors.As(err, &f) || f.Code != c.want):
				t.Errorf("accept = %v; want %s", err, c.want)
			}
			if c.want == job.CodeJobSignature && j.ID != "" {
				t.Errorf("an order without a signature has the id %s", j.ID)
			}
		})
	}
}

func TestAnOrderThatWaitedTooLongIsNotBegun(t *testing.T) {
	_, j := sound(newSigner(t))
	if expired(j, time.Now()) || !expired(j, time.Now().Add(-601*time.Second)) {
		t.Error("an order of 600 s must hold now and not after 601 s")
	}
}

func TestTheRateIsSmoothAndTheRestIsKnown(t *testing.T) {
	var m meter
	now := time.Unix(0, 0)
	if r := m.rate(now, 0); r != 0 {
		t.Errorf("first rate = %d; want 0", r)
	}
	var r uint64
	for i := 1; i <= 40; i++ {
		r = m.rate(now.Add(time.Duration(i)*500*time.Millisecond), uint64(i)*50<<20)
	}
	if r < 99<<20 || r > 101<<20 {
		t.Errorf("rate = %d; want about 100 MiB/s", r)
	}
	if s := left(job.Progress{DoneBytes: 0, TotalBytes: 1000, BytesPerSec: 100}); s != 10 {
		t.Errorf("left = %d; want 10", s)
	}
	if s := left(job.Progress{DoneBytes: 0, TotalBytes: 1000}); s != -1 {
		t.Errorf("left without a rate = %d; want -1", s)
	}
}

// FuzzOrders lets somebody who holds the signing key send any payload, and anybody any envelope: an order that
// is obeyed names this laptop.
func FuzzOrders(f *testing.F) {
	s := newSigner(f)
	me, good := sound(s)
	b, err := json.Marshal(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, true)
	f.Add([]byte(`{"id":"j1","kind":"wipe"}`), true)
	f.Add(seal(f, s, "job", good), false)
	f.Fuzz(func(t *testing.T, b []byte, signed bool) {
		if signed {
			e, err := s.Seal("job", b)
			if err != nil {
				t.Skip()
			}
			b = e
		}
		j, err := accept(b, me)
		var fault *job.Fault
		if err != nil && !errors.As(err, &fault) {
			t.Errorf("accept = %v; it has no words", err)
		}
		if err == nil && (j.AgentKey != me.key || j.Nonce != me.nonce || j.Serial != me.serial) {
			t.Errorf("obeyed %+v", j)
		}
	})
}

func TestTheConsoleLineStaysOneLine(t *testing.T) {
	if got := printable("a\nb\x1b[31mc" + strings.Repeat("x", 500)); len(got) > 300 || strings.ContainsAny(got, "\n\x1b") {
		t.Errorf("printable = %q", got)
	}
}
