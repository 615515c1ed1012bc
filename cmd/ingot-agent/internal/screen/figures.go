package screen

import (
	"fmt"
	"strings"
	"time"

	"ingot/imaging/agent"
)

// Figures is the line under the bar: share, speed and time left, as far as they are known.
func Figures(v agent.View) string {
	var parts []string
	if v.Bar >= 0 {
		parts = append(parts, fmt.Sprintf("%d %%", int(min(v.Bar, 1)*100)))
	}
	if v.Rate > 0 {
		parts = append(parts, Rate(v.Rate))
	}
	if v.Bar >= 0 && v.Left >= 0 {
		parts = append(parts, Left(v.Left))
	}
	return strings.Join(parts, "     ")
}

// Rate is a speed in MB/s (10^6 bytes), as peers and drives state it.
func Rate(bytesPerSec uint64) string {
	mb := float64(bytesPerSec) / 1e6
	if mb < 10 {
		return fmt.Sprintf("%.1f MB/s", mb)
	}
	return fmt.Sprintf("%.0f MB/s", mb)
}

// Left is how long it takes still, in the words that one says aloud.
func Left(d time.Duration) string {
	switch s := int(d.Round(time.Second).Seconds()); {
	case s < 60:
		return fmt.Sprintf("%d s left", s)
	case s < 3600:
		return fmt.Sprintf("%d min %02d s left", s/60, s%60)
	default:
		return fmt.Sprintf("%d h %02d min left", s/3600, s%3600/60)
	}
}
