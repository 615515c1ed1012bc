package deploy_test

import (
	"context"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/store"
)

// TestAnImageWithALockedPieceIsRefusedBeforeTheLaptopIsTouched: its drive keeps what it holds.
func TestAnImageWithALockedPieceIsRefusedBeforeTheLaptopIsTouched(t *testing.T) {
	b := newBench(t)
	b.adopted("ABC1234", "PC-1")
	b.stop()
	locked := true
	whole := func(_ context.Context, d imaging.Digest) error {
		if d == manifest && locked {
			return job.Faultf(job.CodeLocked, "Chunk 0123456789ab.")
		}
		return nil
	}
	b.tune = func(c *deploy.Config) { c.Whole = whole }
	b.start()
	b.clk.pass(time.Second)
	_, err := b.s.Deploy(t.Context(), "anna", store.Order{Device: "PC-1", Image: "sales"})
	wantCode(t, "an order for it", err, job.CodeLocked)
	if jobs, err := b.s.Jobs(t.Context(), true); err != nil || len(jobs) != 0 {
		t.Errorf("%d jobs, %v; want none", len(jobs), err)
	}
	locked = false
	if _, err := b.s.Deploy(t.Context(), "anna", store.Order{Device: "PC-1", Image: "sales"}); err != nil {
		t.Errorf("once it is healed: %v", err)
	}
}
