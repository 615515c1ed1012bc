package web

import (
	"fmt"

	"ingot/imaging/job"
	"ingot/store"
)

// Load is how busy the server is. What is not known is negative, or zero for the adapter.
type Load struct {
	CPU     float64 // share of all processors, 0 to 1
	Sending uint64  // bytes a second that leave by the busiest adapter of the bench
	Adapter uint64  // bytes a second that this adapter can send
}

// When something counts as the limit: nearly all of what it can do is used.
const (
	cpuFull  = 0.85
	linkFull = 0.80 // of what the adapter says: TCP and TLS take their share
)

// limitOf says in one sentence what the laptops wait for most; "" while nothing is written. It names a cause only when it
// was measured: the server's processors and adapter first, since they hold all laptops up, then the laptops' own links.
// What is left, the drives, is said where nothing else can be it.
func limitOf(l Load, tiles []store.Tile, fetch map[job.ID]float64) string {
	busy, full, known := 0, 0, 0
	for _, t := range tiles {
		if t.Colour != job.Blue || t.Rate == 0 {
			continue
		}
		busy++
		if t.Link > 0 {
			known++
			if fetch[t.Job] >= linkFull*float64(t.Link)*1e6/8 {
				full++
			}
		}
	}
	switch {
	case busy == 0:
		return ""
	case l.CPU >= cpuFull:
		return fmt.Sprintf("The server's processors are the limit (%.0f %% busy).", 100*l.CPU)
	case l.Adapter > 0 && float64(l.Sending) >= linkFull*float64(l.Adapter):
		return fmt.Sprintf("The network is the limit: the server's %s adapter is full.", linkWord(l.Adapter))
	case full > 0 && 2*full >= busy:
		return fmt.Sprintf("The network is the limit: the cables of %d laptops are full.", full)
	case l.CPU >= 0 && l.Adapter > 0 && known == busy:
		return "The laptops' own drives are the limit."
	}
	return ""
}

// linkWord is the speed of an adapter in bytes a second, as it is written on the box.
func linkWord(bytesPerSec uint64) string {
	if mbit := bytesPerSec * 8 / 1e6; mbit < 1000 {
		return fmt.Sprintf("%d Mbit/s", mbit)
	}
	return fmt.Sprintf("%g Gbit/s", float64(bytesPerSec)*8/1e9)
}
