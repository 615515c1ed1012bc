package deploy_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

func text(s string) *string { return &s }

func TestCorrectionsKeepTheOldEntryAndItsReason(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.full(1)
	l.adoptAs("PC-1")
	b.full(2).adoptAs("PC-2")
	set := func(ref string, c store.Correction) (store.DeviceView, error) {
		return b.s.SetDevice(ctx, "anna", ref, c)
	}
	d, err := set("PC-1", store.Correction{Asset: text(" 00815 "), Owner: text("B. Meyer"), Note: text("lid scratched")})
	must(t, err)
	if d.Asset != "00815" || d.Owner != "B. Meyer" || d.Note != "lid scratched" {
		t.Fatalf("set to %+v", d.Device)
	}
	for name, c := range map[string]struct {
		ref  string
		c    store.Correction
		want job.Code
	}{
		"nothing to set":               {"PC-1", store.Correction{Reason: "x"}, job.CodeBadRequest},
		"a replacement without why":    {"PC-1", store.Correction{Owner: text("C. Braun")}, job.CodeBadRequest},
		"clearing without why":         {"PC-1", store.Correction{Owner: text("")}, job.CodeBadRequest},
		"an owner of 65 characters":    {"PC-2", store.Correction{Owner: text(strings.Repeat("x", 65))}, job.CodeBadRequest},
		"a note with an escape":        {"PC-2", store.Correction{Note: text("\x1b[2J")}, job.CodeBadRequest},
		"a reason of a thousand":       {"PC-1", store.Correction{Owner: text("x"), Reason: strings.Repeat("x", 1000)}, job.CodeBadRequest},
		"an empty serial":              {"PC-1", store.Correction{Serial: text(""), Reason: "x"}, job.CodeBadRequest},
		"a junk serial":                {"PC-1", store.Correction{Serial: text("Default string"), Reason: "x"}, job.CodeBadRequest},
		"another device's serial":      {"PC-1", store.Correction{Serial: text("abc1202"), Reason: "x"}, job.CodeTaken},
		"another device's asset tag":   {"PC-2", store.Correction{Asset: text("00815")}, job.CodeTaken},
		"a device that is not there":   {"PC-9", store.Correction{Owner: text("x")}, job.CodeNotFound},
		"two entries, one of them bad": {"PC-2", store.Correction{Owner: text("good"), Serial: text("?"), Reason: "x"}, job.CodeBadRequest},
	} {
		_, err := set(c.ref, c.c)
		wantCode(t, name, err, c.want)
	}
	if two := b.device("PC-2"); two.Owner != "" || len(two.History) != 0 {
		t.Errorf("refused corrections left %+v", two.Device)
	}
	again, err := set("PC-1", store.Correction{Asset: text("00815")})
	must(t, err)
	if len(again.History) != 3 {
		t.Errorf("setting what stands already left %d changes; want 3", len(again.History))
	}
	d, err = set("PC-1", store.Correction{Serial: text("XYZ9999"), Owner: text(""), Reason: "board replaced, sticker kept"})
	must(t, err)
	last := d.History[len(d.History)-1]
	if d.Serial != "XYZ9999" || d.Owner != "" || last.Old != "ABC1201" || last.New != "XYZ9999" || last.By != "anna" || last.Why != "board replaced, sticker kept" || last.Time.IsZero() {
		t.Errorf("serial %s, owner %q, last change %+v", d.Serial, d.Owner, last)
	}
	trail, err := b.s.Audit(ctx, d.ID, 100)
	must(t, err)
	if !strings.Contains(fmt.Sprint(trail), "board replaced, sticker kept") {
		t.Error("the reason is not in the audit trail")
	}
	b.clk.pass(16 * time.Minute)
	l.boot()
	if r := l.sayHello(); r.Device != d.ID || b.device("XYZ9999").ID != d.ID {
		t.Error("after its serial was corrected the laptop is not known by what its firmware tells, and found by what a person reads")
	}
	b.order("XYZ9999")
	if j := l.work(); j.Serial != "ABC1201" {
		t.Errorf("the order is for serial %s; want what the laptop compares it with", j.Serial)
	}
}
