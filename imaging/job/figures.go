package job

import (
	"fmt"
	"time"
)

// RateWord is a speed in MB/s (10^6 bytes), as peers and drives state it.
func RateWord(bytesPerSec uint64) string {
	mb := float64(bytesPerSec) / 1e6
	if mb < 10 {
		return fmt.Sprintf("%.1f MB/s", mb)
	}
	return fmt.Sprintf("%.0f MB/s", mb)
}

// LeftWord is how long it takes still, in the words that one says aloud.
func LeftWord(d time.Duration) string {
	switch s := int(d.Round(time.Second).Seconds()); {
	case s < 60:
		return fmt.Sprintf("%d s left", s)
	case s < 3600:
		return fmt.Sprintf("%d min %02d s left", s/60, s%60)
	default:
		return fmt.Sprintf("%d h %02d min left", s/3600, s%3600/60)
	}
}
