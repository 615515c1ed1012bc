package deploy_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"ingot/imaging/job"
)

// TestWordsOfAnAgentAreBoundedInTheRecord: an agent's own fault is text of a stranger. What is kept of it, in
// the job and the trail that is never shortened, has a bound.
func TestWordsOfAnAgentAreBoundedInTheRecord(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	for name, c := range map[string]struct {
		fault job.Fault
		byEnd bool // told with the Result rather than with the state
		want  job.Code
	}{
		"a long fact with the state":        {job.Fault{Code: job.CodeReadBack, Fact: long}, false, job.CodeReadBack},
		"a long fact with the result":       {job.Fault{Code: job.CodeReadBack, Fact: long}, true, job.CodeReadBack},
		"a code that we have no words for":  {job.Fault{Code: "E999"}, false, "E999"},
		"a code that is none, with result":  {job.Fault{Code: "E305 <script>"}, true, job.CodeInternal},
		"a code of 200 kB with the state":   {job.Fault{Code: job.Code(long)}, false, job.CodeInternal},
		"a code of 200 kB with the result":  {job.Fault{Code: job.Code(long)}, true, job.CodeInternal},
		"control characters with the state": {job.Fault{Code: job.CodeDriveRead, Fact: "at\x1b[2J\n0"}, false, job.CodeDriveRead},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			l := b.adopted("ABC1234", "PC-1")
			b.order("PC-1")
			j := l.work()
			l.reach(j, job.Writing)
			ctx := context.Background()
			if c.byEnd {
				_, err := l.c.Result(ctx, j.ID, job.Result{Job: j.ID, State: job.Failed, Fault: &c.fault, DiskTouched: true})
				must(t, err)
			} else {
				_, err := l.c.State(ctx, j.ID, job.StateEvent{Seq: 4, State: job.Failed, Fault: &c.fault})
				must(t, err)
				_, err = l.c.Result(ctx, j.ID, job.Result{Job: j.ID, State: job.Failed, Fault: &c.fault, DiskTouched: true})
				must(t, err)
			}
			v, err := b.s.Job(ctx, j.ID)
			must(t, err)
			kept, err := json.Marshal(v)
			must(t, err)
			if v.State != job.Failed || v.Fault == nil || v.Fault.Code != c.want || len(kept) > 8000 {
				t.Errorf("kept %d bytes, fault %.80v; want %s in at most 8000", len(kept), v.Fault, c.want)
			}
			trail, err := b.s.Audit(ctx, "", 100)
			must(t, err)
			for _, e := range trail {
				if len(e.Text) > 1000 || strings.ContainsAny(e.Text, "\x1b\n") {
					t.Errorf("the trail keeps %d bytes: %.80q", len(e.Text), e.Text)
				}
			}
		})
	}
}
