package deploy_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// TestManyStartsCostNoAdoptionAnything: a server remembers thousands of starts. To adopt one laptop, and to look at one,
// reads what concerns that one: its cost is counted in allocations, which a busy machine does not change.
func TestManyStartsCostNoAdoptionAnything(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.laptop("PF3AAAA1")
	l.boot()
	l.sayHello()
	h := l.hello
	b.update(func(tx *store.Tx) error {
		for i := range 1900 {
			a := store.Agent{Key: job.KeyID(fmt.Sprintf("%064x", i)), Device: fmt.Sprintf("old%d", i%300), Hello: h, Code: "OLDX-OLDX", Started: tx.Now().Add(-time.Duration(i+1) * time.Hour)}
			if err := tx.PutAgent(a); err != nil {
				return err
			}
		}
		return nil
	})
	d, err := b.s.Device(ctx, "PF3AAAA1")
	must(t, err)
	begun := time.Now()
	look := testing.AllocsPerRun(3, func() { _, err := b.s.Device(ctx, d.ID); must(t, err) })
	t.Logf("a look: %.0f allocations, %s", look, time.Since(begun)/4)
	begun = time.Now()
	adopt := testing.AllocsPerRun(1, func() { _, _ = b.s.Adopt(ctx, "anna", store.Adoption{Code: d.Code}) }) // the second time it is refused
	t.Logf("an adoption: %.0f allocations, %s", adopt, time.Since(begun)/2)
	if look > 10_000 || adopt > 20_000 {
		t.Errorf("beside 1900 starts of others a look takes %.0f allocations and an adoption %.0f", look, adopt)
	}
}
