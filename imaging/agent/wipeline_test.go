package agent

import (
	"testing"

	"ingot/imaging/job"
)

// TestADriveOnTheScreenIsTold as one says it aloud: two hours are no "2h0m5s".
func TestADriveOnTheScreenIsTold(t *testing.T) {
	for _, c := range []struct {
		p        job.DriveProgress
		finished bool
		want     string
	}{
		{job.DriveProgress{Serial: "WD1", Phase: "wiping", DoneBytes: 1, TotalBytes: 4, SecondsLeft: 7205, Say: "one overwrite"}, false, "drive WD1: wiping 25 %, 2 h 00 min left, one overwrite"},
		{job.DriveProgress{Serial: "WD1", Phase: "wiping", DoneBytes: 1, TotalBytes: 4, SecondsLeft: -1}, false, "drive WD1: wiping 25 %"},
		{job.DriveProgress{Serial: "WD1", Phase: "done", DoneBytes: 1, TotalBytes: 1, Say: "certificate W-000001"}, true, "drive WD1: done, certificate W-000001"},
		{job.DriveProgress{Serial: "WD1", Phase: "waiting"}, false, "drive WD1: waiting"},
	} {
		if got := driveLine(c.p, c.finished); got != c.want {
			t.Errorf("%+v: %q; want %q", c.p, got, c.want)
		}
	}
}
