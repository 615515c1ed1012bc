package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"ingot/imaging/inspect"
)

func diff(t *testing.T, a, b inspect.Disk) map[string]inspect.Area {
	t.Helper()
	c, err := inspect.Diff(context.Background(), inspect.Pair{A: a, B: b}, func(uint64) {})
	if err != nil || c.Unread != 0 {
		t.Fatalf("Diff: %v, %d unread: %v", err, c.Unread, c.Why)
	}
	out := map[string]inspect.Area{}
	for _, x := range c.Areas {
		out[x.Area] = x
	}
	return out
}

func TestADiffCountsFilesByAreaAndByTheirBytes(t *testing.T) {
	base := map[string]string{"etc/os-release": "ID=debian\n", "usr/bin/same": strings.Repeat("s", 500_000), "usr/bin/changed": strings.Repeat("a", 9000),
		"usr/old/gone": "xyz", "usr/old/deeper/gone": "12", "home/anna/letter": "dear", "link": "-> usr/bin/same", "opt/x": "file", "var/kind/f": "1"}
	next := map[string]string{"etc/os-release": "ID=debian\n", "usr/bin/same": base["usr/bin/same"], "usr/bin/changed": strings.Repeat("a", 8999) + "b",
		"home/anna/letter": "dear", "home/bo/new": "12345", "link": "-> usr/bin/changed", "opt/x/inside": "folder", "var/kind": "now a file"}
	got := diff(t, ext4(t, files(t, base)), ext4(t, files(t, next)))
	want := map[string]inspect.Area{
		"/usr":  {Area: "/usr", Removed: 2, RemovedBytes: 5, Changed: 1, ChangedBytes: 9000},
		"/home": {Area: "/home", Added: 1, AddedBytes: 5},
		"/":     {Area: "/", Changed: 1, ChangedBytes: uint64(len("usr/bin/changed"))},
		"/opt":  {Area: "/opt", Added: 1, AddedBytes: 6, Removed: 1, RemovedBytes: 4},
		"/var":  {Area: "/var", Added: 1, AddedBytes: 10, Removed: 1, RemovedBytes: 1},
	}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s: %+v; want %+v", name, got[name], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("areas %+v; want %d", got, len(want))
	}
	if same := diff(t, ext4(t, files(t, base)), ext4(t, files(t, base))); len(same) != 0 {
		t.Errorf("two volumes made of one tree differ: %+v", same)
	}
}

func TestWhatIsKnownAsEqualIsNotRead(t *testing.T) {
	a, b := ext4(t, files(t, map[string]string{"etc/os-release": "ID=x\n", "f": "one"})), ext4(t, files(t, map[string]string{"etc/os-release": "ID=x\n", "f": "two"}))
	asked := 0
	c, err := inspect.Diff(context.Background(), inspect.Pair{A: a, B: b, Equal: func(_, _, limit int64) (int64, error) { asked++; return limit, nil }}, func(uint64) {})
	if err != nil || asked != 2 || len(c.Areas) != 0 {
		t.Errorf("asked %d times, areas %v, %v; want two files believed", asked, c.Areas, err)
	}
	broken := errors.New("no such chunk")
	c, err = inspect.Diff(context.Background(), inspect.Pair{A: a, B: b, Equal: func(_, _, limit int64) (int64, error) { return 0, broken }}, func(uint64) {})
	if err != nil || c.Unread != 2 || !strings.Contains(fmt.Sprint(c.Why), "no such chunk") {
		t.Errorf("%d unread, %v, %v; want both files told", c.Unread, c.Why, err)
	}
}

func TestADiffEndsWhenNobodyWaits(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d := ext4(t, files(t, clean))
	if _, err := inspect.Diff(ctx, inspect.Pair{A: d, B: d}, func(uint64) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("Diff = %v; want its context's end", err)
	}
	if _, err := inspect.Look(ctx, d, inspect.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Look = %v; want its context's end", err)
	}
}
