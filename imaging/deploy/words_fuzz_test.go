package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"ingot/imaging/job"
	"ingot/store"
)

// FuzzAgentWords sends a running job's agent's words, whatever they are: each is taken or refused in words, what
// is kept of it is bounded, and no such words make a device deployed.
func FuzzAgentWords(f *testing.F) {
	for _, s := range []string{`{"seq":1,"state":"claimed"}`, `{"seq":2,"state":"failed","fault":{"code":"E305","fact":"At byte 4096."}}`, `{"seq":18446744073709551615}`, `{}`} {
		f.Add(byte(0), []byte(s))
	}
	f.Add(byte(1), []byte(`{"phase":"writing","done_bytes":1,"total_bytes":2,"seconds_left":-1}`))
	f.Add(byte(2), []byte(`{"state":"done","proof":{"content":{"data_extents":7,"zero_extents":2,"direct":true},"commit":{}}}`))
	f.Add(byte(2), []byte(`{"state":"failed","fault":{"code":"x"},"seconds":1e308}`))
	f.Add(byte(3), []byte(`{"deployment":"x","secret":"y","hostname":"z"}`))
	b := newBench(f)
	l := b.adopted("ABC1234", "PC-1")
	var j job.Job
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		ctx := context.Background()
		b.t = t
		if v, err := b.s.Job(ctx, j.ID); err != nil || v.State.Final() {
			b.order("PC-1")
			j = l.work()
		}
		var err error
		switch which % 4 {
		case 0:
			var e job.StateEvent
			if json.Unmarshal(body, &e) == nil {
				_, err = b.s.State(ctx, l.c.KeyID(), j.ID, e)
			}
		case 1:
			var p job.Progress
			if json.Unmarshal(body, &p) == nil {
				_, err = b.s.Progress(ctx, l.c.KeyID(), j.ID, p)
			}
		case 2:
			var r job.Result
			if json.Unmarshal(body, &r) == nil {
				r.Job = j.ID
				_, err = b.s.Result(ctx, l.c.KeyID(), j.ID, r)
			}
		case 3:
			var c job.CallHome
			if json.Unmarshal(body, &c) == nil {
				if err = b.s.CallHome(ctx, "10.0.0.9", c); err == nil {
					t.Fatal("a call home was taken")
				}
			}
		}
		var fault *job.Fault
		if err != nil && !errors.As(err, &fault) {
			t.Fatalf("a raw error: %v", err)
		}
		v, err := b.s.Job(ctx, j.ID)
		must(t, err)
		if v.State == job.Done || v.Fault != nil && (len(v.Fault.Fact) > 300 || len(v.Fault.Code) > 4) {
			t.Fatalf("the job is %s, fault %v", v.State, v.Fault)
		}
		if d := b.device("PC-1"); d.State == store.Deployed || d.Holds != nil {
			t.Fatalf("the device is %s", d.State)
		}
	})
}
