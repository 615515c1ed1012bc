package disk

import (
	"context"
	"testing"

	"ingot/imaging/job"
)

// TestADriveThatHangsDoesNotKeepTheOthers lets the first of two drives answer never.
func TestADriveThatHangsDoesNotKeepTheOthers(t *testing.T) {
	drives := []job.Drive{{Path: "/dev/sda", Serial: "HANGS"}, {Path: "/dev/sdb", Serial: "GOOD"}}
	ctx, cancel := context.WithCancel(t.Context())
	hang, good := make(chan struct{}), make(chan struct{})
	go func() { <-good; cancel() }() // the time is over once the good one has answered
	examine(ctx, drives, func(d job.Drive) job.Drive {
		if d.Serial == "HANGS" {
			<-hang
			return d
		}
		d.Health.State, d.Holds = job.HealthGood, []string{"swap"}
		defer close(good)
		return d
	})
	close(hang)
	if d := drives[0]; d.Health.State != job.HealthUnknown || d.Health.Text == "" || len(d.Holds) != 1 {
		t.Errorf("the drive that hangs is %+v; want unknown, said in words", d)
	}
}

// TestExamineTellsWhatIsThere asks two drives that are files: they have no health to tell, and hold something.
func TestExamineTellsWhatIsThere(t *testing.T) {
	drives := []job.Drive{{Path: "/dev/null-that-is-not-there", Transport: "nvme", SizeBytes: 1 << 20, SectorSize: 512}, {Path: "/dev/zero", Transport: "mmc", SizeBytes: 2 << 20, SectorSize: 512}}
	Examine(drives)
	if d := drives[0]; d.Health.Text != "the drive cannot be opened" || len(d.Holds) != 1 {
		t.Errorf("a drive that is not there is %+v", d)
	}
	if d := drives[1]; d.Health.Text != "a drive on mmc is not asked" || len(d.Holds) != 0 {
		t.Errorf("a drive of zeros is %+v", d)
	}
}
