package screen

import (
	"fmt"
	"strings"

	"ingot/imaging/agent"
	"ingot/imaging/job"
)

// Figures is the line under the bar: share, speed and time left, as far as they are known.
func Figures(v agent.View) string {
	var parts []string
	if v.Bar >= 0 {
		parts = append(parts, fmt.Sprintf("%d %%", int(min(v.Bar, 1)*100)))
	}
	if v.Rate > 0 {
		parts = append(parts, job.RateWord(v.Rate))
	}
	if v.Bar >= 0 && v.Left >= 0 {
		parts = append(parts, job.LeftWord(v.Left))
	}
	return strings.Join(parts, "     ")
}
