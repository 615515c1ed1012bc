package doctor

import (
	"fmt"
	"strings"
	"time"
)

// Level is how bad a finding is.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Finding is one line of the doctor's.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Do    string `json:"do,omitempty"` // what to do; empty when it is ok
}

// checks is what is looked at, in the order in which a person would.
var checks = []struct {
	name  string
	judge func(Facts) []Finding
}{
	{"configuration", judgeConfig},
	{"folder", judgeFolder},
	{"disk", judgeDisk},
	{"clock", judgeClock},
	{"keys", judgeKeys},
	{"bundle", judgeBundle},
	{"interface", judgeInterfaces},
	{"dhcp", judgeDHCP},
	{"ports", judgePorts},
	{"firewall", judgeFirewall},
	{"daemon", judgeDaemon},
	{"pin", judgePin},
	{"bench", judgeBench},
	{"images", judgeImages},
}

// Judge holds the facts against every check.
func Judge(f Facts) []Finding {
	var out []Finding
	for _, c := range checks {
		for _, found := range c.judge(f) {
			found.Check = c.name
			out = append(out, found)
		}
	}
	return out
}

// Worst is the worst level among findings.
func Worst(all []Finding) Level {
	worst := OK
	for _, f := range all {
		if f.Level == Fail || f.Level == Warn && worst == OK {
			worst = f.Level
		}
	}
	return worst
}

func ok(format string, args ...any) []Finding {
	return []Finding{{Level: OK, Text: fmt.Sprintf(format, args...)}}
}

func warn(do, format string, args ...any) []Finding {
	return []Finding{{Level: Warn, Text: fmt.Sprintf(format, args...), Do: do}}
}

func fail(do, format string, args ...any) []Finding {
	return []Finding{{Level: Fail, Text: fmt.Sprintf(format, args...), Do: do}}
}

// notSeen is a fact that could not be looked at.
func notSeen(what string) []Finding {
	return warn("Run it as root: sudo ingot doctor", "%s could not be looked at.", what)
}

func judgeConfig(f Facts) []Finding {
	switch {
	case f.Config.Invalid != "":
		return fail("Mend that line, or run: sudo ingot setup", "%s", f.Config.Invalid)
	case !f.Config.There:
		return warn("sudo ingot setup", "There is no configuration %s.", f.Config.Path)
	}
	return ok("%s is valid", f.Config.Path)
}

func judgeFolder(f Facts) []Finding {
	d := f.Folder
	switch {
	case d.Err != nil:
		return notSeen("The data folder " + d.Path)
	case !d.There:
		return fail("sudo ingot setup", "There is no data folder %s.", d.Path)
	case d.Mode&0o007 != 0:
		return fail("sudo chmod o= "+d.Path, "Everybody on this server may look into %s, where the keys lie.", d.Path)
	case d.Mode&0o060 != 0:
		return warn("sudo chmod g=x "+d.Path, "The group of %s may list or change it.", d.Path)
	case d.Service != "" && d.Owner != d.Service:
		return fail("sudo ingot setup", "%s belongs to %s, so the service's user %s cannot work in it.", d.Path, d.Owner, d.Service)
	case len(d.Others) > 0:
		return fail(fmt.Sprintf("sudo chown -hR %s: %s", d.Owner, d.Path), "%s and %d more in %s do not belong to %s.", d.Others[0], len(d.Others)-1, d.Path, d.Owner)
	}
	return ok("%s belongs to %s", d.Path, d.Owner)
}

// Room that a server needs: an image of a laptop takes some gigabytes.
const (
	roomWarn = 20e9
	roomFail = 2e9
)

func judgeDisk(f Facts) []Finding {
	if f.Disk.Err != nil {
		return notSeen("The room on the disk of " + f.Folder.Path)
	}
	text := fmt.Sprintf("%.1f GB of %.1f GB are free", float64(f.Disk.Free)/1e9, float64(f.Disk.Size)/1e9)
	switch {
	case f.Disk.Free < roomFail:
		return fail("Make room, or move the data folder to a larger disk.", "Only %s.", text)
	case f.Disk.Free < roomWarn:
		return warn("Make room before the next image.", "Only %s.", text)
	}
	return ok("%s", text)
}

// slack is how far a clock may be behind a file that it wrote.
const slack = 10 * time.Minute

func judgeClock(f Facts) []Finding {
	c := f.Clock
	switch {
	case c.Now.Add(slack).Before(c.Newest):
		return fail("sudo timedatectl set-ntp true", "The clock says %s, but %s is of %s.", day(c.Now), c.What, day(c.Newest))
	case c.Err != nil:
		return notSeen("Whether the clock is kept right")
	case !c.Synced:
		return warn("sudo timedatectl set-ntp true", "Nothing keeps the clock right; records will tell wrong times.")
	}
	return ok("%s, kept right by NTP", c.Now.Format("2006-01-02 15:04 MST"))
}

func day(t time.Time) string { return t.Format("2006-01-02 15:04") }

func judgeKeys(f Facts) []Finding {
	var bad []Finding
	missing := 0
	for _, k := range f.Keys {
		switch {
		case k.Err != nil:
			bad = append(bad, notSeen("The key "+k.Name)...)
		case !k.There:
			missing++
		case k.Mode&0o077 != 0:
			bad = append(bad, fail("sudo chmod 600 "+k.Name, "Others may read the key %s (mode %o): whoever has it is this server.", k.Name, k.Mode.Perm())...)
		}
	}
	switch {
	case len(bad) > 0:
		return bad
	case missing == len(f.Keys):
		return ok("none yet: the daemon makes them at its first start")
	case missing > 0:
		return fail("Put it back from the backup. A new one locks out every system that has not called home yet.", "A key is missing in %s.", f.Folder.Path)
	}
	return ok("%d keys, readable by their owner only", len(f.Keys))
}

// bundleAge is from when on newer packages are likely to hold security fixes that firmware asks for.
const bundleAge = 90 * 24 * time.Hour

func judgeBundle(f Facts) []Finding {
	b := f.Bundle
	age := f.Clock.Now.Sub(b.Built)
	switch {
	case b.Err != nil:
		return notSeen("The boot bundle")
	case !b.There:
		return fail("sudo ingot firmware build", "There is no boot bundle, so no laptop can start.")
	case len(b.Problems) > 0:
		return fail("sudo ingot firmware build", "The boot bundle is damaged: %s.", strings.TrimRight(b.Problems[0], "."))
	case age > bundleAge:
		return warn("sudo ingot firmware build", "The boot bundle is %d days old.", int(age.Hours()/24))
	}
	return ok("every file as built, %d days old", int(max(age, 0).Hours()/24))
}

func judgeDaemon(f Facts) []Finding {
	start := "sudo ingot daemon"
	if f.Daemon.Systemd {
		start = "sudo systemctl start ingot; why it stopped: journalctl -u ingot"
	}
	switch {
	case f.Daemon.Denied:
		return warn("Use sudo, or become a member of the group ingot.", "You may not speak to the daemon.")
	case !f.Daemon.Answers:
		return fail(start, "No daemon answers.")
	case !sameSet(f.Daemon.Interfaces, names(f.Interfaces)) || f.Config.Mode != f.Daemon.Mode:
		return warn("Start the daemon again: sudo systemctl restart ingot", "The daemon runs with other settings (%s on %s) than the configuration has.", f.Daemon.Mode, orNone(f.Daemon.Interfaces))
	}
	return ok("answers since %s, on %s as %s", day(f.Daemon.Since.Local()), orNone(f.Daemon.Interfaces), f.Daemon.Mode)
}

func names(all []Interface) (out []string) {
	for _, i := range all {
		out = append(out, i.Name)
	}
	return out
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "no interface"
	}
	return strings.Join(list, ", ")
}

func sameSet(a, b []string) bool {
	in := map[string]int{}
	for _, s := range a {
		in[s]++
	}
	for _, s := range b {
		in[s]--
	}
	for _, n := range in {
		if n != 0 {
			return false
		}
	}
	return true
}

func judgePin(f Facts) []Finding {
	p := f.Pin
	switch {
	case !f.Daemon.Answers:
		return nil
	case p.Err != nil:
		return fail("sudo systemctl restart ingot", "The agent listener does not answer.")
	case p.File != "" && p.Served != p.File || f.Daemon.Pin != "" && p.Served != f.Daemon.Pin:
		return fail("Find out what else listens there; if nothing does: sudo systemctl restart ingot", "The agent listener serves the key %.19s, the daemon's is %.19s: every laptop would refuse it.", p.Served, first(p.File, f.Daemon.Pin))
	case p.File == "":
		return notSeen("The key file of the agent listener")
	}
	return ok("the agent listener serves the daemon's own key")
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func judgeBench(f Facts) []Finding {
	switch {
	case !f.Bench.Known:
		return nil
	case f.Clock.Now.Before(f.Bench.OpenUntil):
		return ok("open until %s", day(f.Bench.OpenUntil.Local()))
	}
	return ok("closed: unknown laptops are refused; \"ingot bench open 4h\" lets them boot")
}

// scrubLate is when a full reading of the image store is overdue: it begins once a week and takes its time.
const scrubLate = 30 * 24 * time.Hour

func judgeImages(f Facts) []Finding {
	i := f.Images
	switch {
	case !i.Known:
		return nil
	case i.Locked > 0:
		return fail("\"ingot check\" names the versions that are hit. Import or capture them again: that heals them (those of an older Ingot only by import).", "%d damaged pieces of images are locked away.", i.Locked)
	case i.Last.IsZero() && i.Total == 0:
		return ok("no image is damaged as far as is known")
	case i.Last.IsZero():
		return ok("no damage as far as is known; %d of %d packs have been read for the first time", i.Done, i.Total)
	case f.Clock.Now.Sub(i.Last) > scrubLate:
		return warn("Run \"ingot check --read-data\"; is images.scrub turned off?", "The image store was read whole on %s last.", day(i.Last.Local()))
	}
	return ok("read whole on %s, no damage", day(i.Last.Local()))
}
