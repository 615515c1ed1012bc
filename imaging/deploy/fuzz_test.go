package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"ingot/imaging/job"
	"ingot/store"
)

// FuzzHello says Hello with whatever a stranger may send: it is refused in words, or becomes a device that
// waits for a person. It never gets a job.
func FuzzHello(f *testing.F) {
	good, err := json.Marshal(job.Hello{Version: job.Version, Nonce: "00112233445566778899aabbccddeeff", Facts: job.Facts{Serial: "ABC1234",
		UUID: "11111111-2222-3333-4444-555555555555", Manufacturer: "Dell"}, Drives: []job.Drive{{Serial: "D", SizeBytes: 1}}})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(good), "{}", `{"version":2}`, `{"version":2,"nonce":"x"}`, `{"version":1}`, `[]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var h job.Hello
		if json.Unmarshal(body, &h) != nil {
			return
		}
		b := newBench(t)
		ctx := context.Background()
		l := b.laptop("ABC1234")
		token, err := b.s.Token(ctx, l.machine())
		must(t, err)
		h.Token = token
		r, err := b.s.Hello(ctx, "sha256:key", h)
		var fault *job.Fault
		if err != nil {
			if !errors.As(err, &fault) {
				t.Fatalf("Hello = %v; want words", err)
			}
			return
		}
		if d := b.device(r.Device); d.State != store.New {
			t.Errorf("device is %s; want new", d.State)
		}
		n, err := b.s.Next(ctx, "sha256:key")
		if err != nil || n.Order != job.Wait {
			t.Errorf("Next = %+v, %v; want wait", n, err)
		}
	})
}
