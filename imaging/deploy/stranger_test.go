package deploy_test

import (
	"testing"
	"time"

	"ingot/imaging/job"
)

// TestALaptopIsKnownAndTheOrderIsNotForIt: a record is found by one strong fact; a job is handed out only when every
// fact that it was approved for is told again.
func TestALaptopIsKnownAndTheOrderIsNotForIt(t *testing.T) {
	for name, c := range map[string]struct {
		change func(l *laptop)
		want   job.Code
	}{
		"no serial":     {func(l *laptop) { l.hello.Facts.Serial = "Default string" }, job.CodeWrongDevice},
		"no UUID":       {func(l *laptop) { l.hello.Facts.UUID = noUUID }, job.CodeWrongDevice},
		"another drive": {func(l *laptop) { l.drive(9) }, job.CodeWrongDrive},
		"another size":  {func(l *laptop) { l.hello.Drives[0].SizeBytes++ }, job.CodeWrongDrive},
		"nothing":       {func(*laptop) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			l := b.full(1)
			id := l.adoptAs("PC-1").ID
			b.order("PC-1")
			b.clk.pass(16 * time.Minute)
			c.change(l)
			l.boot()
			if r := l.sayHello(); r.Device != id {
				t.Fatalf("it is record %s; want %s", r.Device, id)
			}
			n := l.next()
			if c.want == "" {
				if n.Order != job.Work {
					t.Errorf("Next = %s (%s); want work", n.Order, n.Say)
				}
				return
			}
			if n.Order != job.Leave || n.Fault == nil || n.Fault.Code != c.want {
				t.Errorf("Next = %s, %v; want leave with %s", n.Order, n.Fault, c.want)
			}
		})
	}
}
