package deploy_test

import (
	"context"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// TestADriveThatIsSeenElsewhereMeanwhileGetsNoCertificate: another laptop tells of it while it is wiped here. Which of the
// two holds it nobody knows, and the one that came back is not cleared.
func TestADriveThatIsSeenElsewhereMeanwhileGetsNoCertificate(t *testing.T) {
	ctx := context.Background()
	b := wipeBench(t)
	hdd := disk("WD-ONE00001")
	l := b.returned("PF3ABC12", "SALES-017", hdd)
	b.clk.pass(time.Minute)
	_, err := b.wipeOrder(store.WipeOrder{Device: "SALES-017", Confirm: "PF3ABC12"})
	must(t, err)
	l.boot()
	l.sayHello()
	j := l.work()
	l.begin(j)
	e, o := l.engine(j, 0, hdd, clockOf(hdd), 1)
	r := e.Wipe(ctx, o)

	b.clk.pass(time.Minute)
	other := b.laptop("PF9XYZ99")
	other.hello.Drives = []job.Drive{simDrive(hdd)}
	other.boot()
	_, err = b.s.Adopt(ctx, "anna", store.Adoption{Code: other.sayHello().Code, Name: "SALES-018"})
	must(t, err)

	ack, err := l.report(j, 0, r)
	if ack.Certificate != "" || err == nil && ack.Fault == nil {
		t.Errorf("answered %+v, %v; want %s", ack, err, job.CodeNoCertificate)
	} else if err == nil && ack.Fault.Code != job.CodeNoCertificate {
		t.Errorf("refused with %v; want %s", ack.Fault, job.CodeNoCertificate)
	}
	b.noCertificates("it is in two laptops")
	_ = l.ended(j, job.Done) // the laptop may say what it likes
	if v, err := b.s.Job(ctx, j.ID); err != nil || v.State == job.Done {
		t.Errorf("job %s, %v", v.State, err)
	}
	if d := b.device("SALES-017"); d.State != store.Returned && d.State != store.Wiping {
		t.Errorf("it is %s", d.State)
	}
}
