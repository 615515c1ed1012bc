package benchmark

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// row is one figure beside what it is held against.
type row struct {
	work    string
	got     float64
	unit    string
	against string // in words; empty for a bare figure
	base    float64
	goal    float64 // of the ratio, or of the bare figure; 0 for none: a peer's row, or a remark
	atLeast bool    // the goal is a lower bound
	remark  string
}

func (r row) value() float64 {
	if r.base > 0 {
		return r.got / r.base
	}
	return r.got
}

func (r row) missed() bool {
	if r.goal == 0 {
		return false
	}
	if r.atLeast {
		return r.value() < r.goal
	}
	return r.value() > r.goal
}

// print writes the table and returns how many goals were missed.
func print(out io.Writer, rows []row) (missed int) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "WORK\tMEASURED\tBESIDE\tRATIO\tGOAL\t\tREMARK")
	for _, r := range rows {
		beside, ratio, goal, verdict := "-", "-", "-", ""
		if r.base > 0 {
			beside, ratio = fmt.Sprintf("%s %.4g %s", r.against, r.base, r.unit), fmt.Sprintf("%.2f", r.value())
		}
		if r.goal > 0 {
			goal, verdict = bound(r), "met"
			if r.missed() {
				verdict = "MISSED"
				missed++
			}
		}
		fmt.Fprintf(w, "%s\t%.4g %s\t%s\t%s\t%s\t%s\t%s\n", r.work, r.got, r.unit, beside, ratio, goal, verdict, r.remark)
	}
	w.Flush() // the terminal is gone if this fails
	return missed
}

func bound(r row) string {
	if r.atLeast {
		return fmt.Sprintf(">= %.4g", r.goal)
	}
	return fmt.Sprintf("<= %.4g", r.goal)
}

// median of at least one value.
func median[T cmp.Ordered](v []T) T {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// percentile of at least one value; 100 is the largest.
func percentile(v []float64, p int) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[(len(v)*p+99)/100-1]
}
