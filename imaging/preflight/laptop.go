package preflight

import (
	"slices"
	"strings"

	"ingot/imaging/job"
)

// AgentMemory is what the agent's work needs, in bytes that the kernel manages: kernel and boot environment, stage 2
// packed and unpacked, and the buffers of the restore. A laptop with 1 GB has more.
const AgentMemory = 700 << 20

// Starts refuses an image that the laptop's firmware cannot start. arch is that of the firmware; empty is unknown.
func Starts(n job.Needs, firmware, arch string) error {
	if len(n.Firmware) > 0 && firmware != "" && !slices.Contains(n.Firmware, firmware) {
		return job.Faultf(job.CodeFirmwareMode, "Image: %s. Laptop: %s.", strings.Join(n.Firmware, ", "), firmware)
	}
	if firmware != "uefi" || arch == "" || len(n.Loaders) == 0 {
		return nil
	}
	if _, ok := loaderFor(n.Loaders, arch); !ok {
		return job.Faultf(job.CodeArch, "Image: %s. Laptop: %s.", arches(n.Loaders), arch)
	}
	return nil
}

func loaderFor(all []job.Loader, arch string) (job.Loader, bool) {
	for _, l := range all {
		if l.Arch == arch {
			return l, true
		}
	}
	return job.Loader{}, false
}

func arches(all []job.Loader) string {
	var out []string
	for _, l := range all {
		out = append(out, l.Arch)
	}
	return strings.Join(out, ", ")
}

// Memory refuses a laptop with too little. have is what the kernel manages; 0 is unknown, which the note says. An
// image's need is the installed memory, of which firmware and graphics take a part before the kernel counts: an
// eighth is granted for it.
func Memory(n job.Needs, have uint64) (note string, err error) {
	switch {
	case have == 0:
		return "The laptop does not tell how much memory it has.", nil
	case have < AgentMemory:
		return "", job.Faultf(job.CodeLowMemory, "Imaging: %d MB. Laptop: %d MB.", AgentMemory>>20, have>>20)
	case have < n.MemoryBytes-n.MemoryBytes/8:
		return "", job.Faultf(job.CodeLowMemory, "Image: %d MB. Laptop: %d MB.", n.MemoryBytes>>20, have>>20)
	}
	return "", nil
}

// Healthy refuses a drive that reports failing, unless the operator wants it despite that.
func Healthy(h job.Health, despite bool) (note string, err error) {
	switch h.State {
	case job.HealthGood:
		return "", nil
	case job.HealthFailing:
		if despite {
			return "The drive reports that it is failing; the operator ordered despite that.", nil
		}
		return "", job.Faultf(job.CodeDriveHealth, "It says: %s.", h.Text)
	}
	return "The drive's health is unknown.", nil
}

// LowBattery is the charge, in percent, below which writing does not begin without mains.
const LowBattery = 30

// Powered reports whether there is power enough to begin. A laptop without a battery is on mains; a battery that
// does not tell its charge is not relied on.
func Powered(p job.Power) bool { return !p.Battery || p.Mains || p.Percent >= LowBattery }
