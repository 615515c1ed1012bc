// Package supply reads what feeds a laptop, from the kernel's class of power supplies.
package supply

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"ingot/imaging/job"
)

const (
	maxSupplies = 32
	maxAttr     = 256
)

// Read looks into a folder such as /sys/class/power_supply. Batteries of mice and headsets do not count. Two
// batteries count together. What charges a battery is mains, whatever it calls itself. A folder that is not there, or
// is empty, is a desktop: no battery.
func Read(dir string) job.Power {
	var p job.Power
	var full, now, best float64
	weighed := true
	entries, err := os.ReadDir(dir)
	if err != nil {
		return p
	}
	for _, e := range entries[:min(len(entries), maxSupplies)] {
		s := source(filepath.Join(dir, e.Name()))
		if s.text("scope") == "Device" {
			continue
		}
		switch s.text("type") {
		case "Mains", "USB":
			p.Mains = p.Mains || s.text("online") == "1"
		case "Battery":
			if s.text("present") == "0" {
				continue
			}
			p.Battery = true
			switch s.text("status") {
			case "Charging", "Full":
				p.Mains = true
			}
			if percent, ok := s.number("capacity"); ok && percent <= 100 {
				best = max(best, percent+1) // 0 stays "does not tell"
				if f, ok := s.either("energy_full", "charge_full"); ok {
					full, now = full+f, now+f*percent/100
					continue
				}
			}
			weighed = false
		}
	}
	switch {
	case !p.Battery:
	case weighed && full > 0:
		p.Percent = int(100 * now / full)
	case best > 0:
		p.Percent = int(best) - 1
	default:
		p.Percent = -1
	}
	return p
}

// source is the folder of one power supply.
type source string

func (s source) text(name string) string {
	f, err := os.Open(filepath.Join(string(s), name))
	if err != nil {
		return ""
	}
	defer f.Close()                                  // reading only
	b, err := io.ReadAll(io.LimitReader(f, maxAttr)) // an absent battery answers with an error (ENODEV)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (s source) number(name string) (float64, bool) {
	n, err := strconv.ParseUint(s.text(name), 10, 48)
	return float64(n), err == nil
}

func (s source) either(names ...string) (float64, bool) {
	for _, n := range names {
		if v, ok := s.number(n); ok && v > 0 {
			return v, true
		}
	}
	return 0, false
}
