package benchmark

import (
	"os"
	"strings"
	"testing"
)

func TestTheTableSaysWhichGoalsWereMissed(t *testing.T) {
	cases := map[string]struct {
		row    row
		missed bool
		want   string
	}{
		"a ratio below its goal":       {row{work: "w", got: 9, unit: "s", against: "wire", base: 10, goal: 1.15}, false, "met"},
		"a ratio above its goal":       {row{work: "w", got: 12, unit: "s", against: "wire", base: 10, goal: 1.15}, true, "MISSED"},
		"a bare figure above its goal": {row{work: "w", got: 151, unit: "MB", goal: 150}, true, "<= 150"},
		"fewer than wanted":            {row{work: "w", got: 199, unit: "names", goal: 200, atLeast: true}, true, ">= 200"},
		"as many as wanted":            {row{work: "w", got: 200, unit: "names", goal: 200, atLeast: true}, false, "met"},
		"a peer without a goal":        {row{work: "w", got: 99, unit: "s", against: "wire", base: 10}, false, "9.90"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if n := print(&out, []row{c.row}); (n == 1) != c.missed {
				t.Errorf("%d goals missed; want missed %v", n, c.missed)
			}
			if !strings.Contains(out.String(), c.want) {
				t.Errorf("the table says\n%s\nwant %q", out.String(), c.want)
			}
		})
	}
}

// running is a program that does not end.
type running struct{}

func (running) Done() <-chan struct{} { return nil }
func (running) Err() error            { return nil }
func (running) Tail(int) string       { return "" }

func TestTheConsoleTimesTheOrder(t *testing.T) {
	c := newConsole()
	for _, part := range []string{"ingot: hello accepted code AB", "CD-EFGH\ningot: job x deploy\n", "ingot: state claimed\n", "ingot: state writing\ningot: done\n"} {
		if _, err := c.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if code, err := c.wait(t.Context(), running{}, "hello accepted code "); err != nil || code != "ABCD-EFGH" {
		t.Errorf("code %q, %v; want ABCD-EFGH", code, err)
	}
	if c.took() < 0 || c.done.IsZero() || !strings.HasPrefix(c.phases(), "claimed 0.0") || !strings.Contains(c.phases(), "writing") {
		t.Errorf("took %s, phases %q; want both states and a time", c.took(), c.phases())
	}
}

func TestAProcessIsLookedAt(t *testing.T) {
	u, err := look(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if u.anon < mib || u.high < u.anon {
		t.Errorf("this process has %d bytes of anonymous memory, high water %d", u.anon, u.high)
	}
	if _, err := look(1 << 30); err == nil {
		t.Error("a process that does not exist was looked at")
	}
	if got := field([]byte("Name:\tx\nRssAnon:\t    12 kB\n"), "RssAnon:"); got != 12<<10 {
		t.Errorf("RssAnon is %d; want %d", got, 12<<10)
	}
}

func TestPercentile(t *testing.T) {
	v := []float64{5, 1, 4, 2, 3}
	for p, want := range map[int]float64{100: 5, 99: 5, 80: 4, 20: 1} {
		if got := percentile(v, p); got != want {
			t.Errorf("%d in 100 of %v: %v, want %v", p, v, got, want)
		}
	}
}

func TestMedian(t *testing.T) {
	if got := median([]float64{3, 1, 2}); got != 2 {
		t.Errorf("median %v; want 2", got)
	}
}
