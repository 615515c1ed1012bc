package deploy_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"testing"

	"ingot/imaging"
	"ingot/imaging/job"
)

// TestStrangersCannotFillTheListenersMemory: only an agent that said Hello with a token of ours is remembered.
func TestStrangersCannotFillTheListenersMemory(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "PC-1")
	b.order("PC-1")
	j := l.work()
	ctx := context.Background()
	known := b.s.Heard()
	for i := range 300 {
		key := job.KeyID("sha256:" + imaging.Sum([]byte(fmt.Sprint(i))).String())
		if _, err := b.s.Next(ctx, key); err == nil {
			t.Fatal("a stranger got an order")
		}
		b.s.State(ctx, key, j.ID, job.StateEvent{Seq: 1, State: job.Claimed})
		b.s.Progress(ctx, key, j.ID, job.Progress{})
		b.s.Personal(ctx, key, j.ID)
		b.s.Result(ctx, key, j.ID, job.Result{Job: j.ID, State: job.Failed})
		h := l.hello
		h.Token = "made-up"
		b.s.Hello(ctx, key, h)
	}
	c := unknown(tls.Certificate{})
	for range 3 {
		send(t, c, "GET", b.base+"/v1/chunks/"+manifest.String()+"?extents=0-1", "")
	}
	if got := b.s.Heard(); got != known {
		t.Errorf("%d keys are remembered; want %d: strangers' keys are not", got, known)
	}
	l.reach(j, job.Claimed)
}
