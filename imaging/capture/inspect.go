package capture

import (
	"bufio"
	"bytes"
	"strings"

	"ingot/imaging"
	"ingot/imaging/fs"
	"ingot/imaging/gpt"
)

// The files that capture looks at, and how much of them it reads.
const (
	osReleasePath = "/etc/os-release"
	fstabPath     = "/etc/fstab"
	maxText       = 64 << 10
)

// roles finds out which partitions deploy treats specially, which system is installed and how the disk starts.
func (l *layout) roles(o Options) (imaging.Header, error) {
	h := imaging.Header{DiskSize: uint64(l.size), SectorSize: int(l.ss), Table: l.table, Partitions: l.header, Params: o.params(), Firmware: l.firmware()}
	root, err := l.findRoot(o.RootPartition)
	if err != nil {
		return h, err
	}
	if root != nil {
		h.RootPartition = root.number
		h.OS = l.system(root)
	}
	h.GrowPartition, err = l.findGrow(o.GrowPartition, root)
	if err != nil {
		return h, err
	}
	h.SwapPartition = l.swapBehind(h.GrowPartition)
	for i := range h.Partitions {
		h.Partitions[i].Grow = h.GrowPartition != 0 && h.Partitions[i].Number == h.GrowPartition
	}
	return h, nil
}

func (l *layout) part(number int) *part {
	for _, p := range l.parts {
		if p.number == number {
			return p
		}
	}
	return nil
}

// findRoot takes the partition that the operator names, else the only one of the type "Linux root (x86-64)",
// else the only one whose own fstab has a root.
func (l *layout) findRoot(named int) (*part, error) {
	if named != 0 {
		p := l.part(named)
		if p == nil || p.number == 0 {
			return nil, refuse(nil, "There is no partition %d to be the root.", named)
		}
		return p, nil
	}
	for _, is := range []func(*part) bool{
		func(p *part) bool { return p.guid == gpt.TypeLinuxRoot64 },
		func(p *part) bool { return hasRootInFstab(p) },
	} {
		var found []*part
		for _, p := range l.parts {
			if is(p) {
				found = append(found, p)
			}
		}
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			l.note(0, "More than one partition may be the root; name it when importing.")
			return nil, nil
		}
	}
	l.note(0, "No partition was recognised as the root of a Linux system.")
	return nil, nil
}

// hasRootInFstab reports whether a partition holds a system with an fstab that mounts a root.
func hasRootInFstab(p *part) bool { return mountsRoot(readText(p, fstabPath)) }

// mountsRoot reads the lines of fstab(5).
func mountsRoot(b []byte) bool {
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		if f := strings.Fields(sc.Text()); len(f) >= 2 && !strings.HasPrefix(f[0], "#") && f[1] == "/" {
			return true
		}
	}
	return false
}

// readText reads a small file of a partition, nil when that cannot be done.
func readText(p *part, path string) []byte {
	v, err := fs.Open(p.sec, p.sec.size())
	if err != nil {
		return nil
	}
	b, err := v.ReadFile(path, maxText)
	if err != nil {
		return nil
	}
	return b
}

// system tells what is installed on the root. It can be given a name when it is a Linux with systemd, whose
// names and first-boot units are at known places.
func (l *layout) system(root *part) imaging.OSInfo {
	v, err := fs.Open(root.sec, root.sec.size())
	if err != nil {
		l.note(root.number, "The system on %s was not looked at: %v.", root.name(), err)
		return imaging.OSInfo{}
	}
	b, err := v.ReadFile(osReleasePath, maxText)
	if err != nil {
		l.note(root.number, "%s has no readable /etc/os-release.", upper(root.name()))
		return imaging.OSInfo{}
	}
	rel := parseOSRelease(b)
	os := imaging.OSInfo{ID: clip(rel["ID"]), Name: clip(rel["PRETTY_NAME"])}
	if os.Name == "" {
		os.Name = os.ID
	}
	if os.ID != "" && l.nameable(root, v) {
		os.Personalise = "linux"
	}
	return os
}

// nameable reports whether the agent can give the system its name, and notes why not.
func (l *layout) nameable(root *part, v *fs.Volume) bool {
	switch root.info.Type {
	case fs.Ext2, fs.Ext3, fs.Ext4:
	default:
		l.note(root.number, "A system on %s cannot be given a name.", root.info.Type)
		return false
	}
	if s, err := v.Stat("/etc"); err != nil || s.Mode != fs.Dir {
		l.note(root.number, "The system has no /etc, so it cannot be given a name.")
		return false
	}
	for _, p := range []string{"/usr/lib/systemd/systemd", "/lib/systemd/systemd"} {
		if s, err := v.Stat(p); err == nil && s.Mode == fs.Regular {
			return true
		}
	}
	l.note(root.number, "The system has no systemd, so it cannot be given a name.")
	return false
}

// parseOSRelease reads the lines KEY=VALUE of os-release(5), with the quotes of a shell.
func parseOSRelease(b []byte) map[string]string {
	out := map[string]string{}
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		key, value, ok := strings.Cut(strings.TrimSpace(sc.Text()), "=")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		out[key] = printable(strings.NewReplacer(`\"`, `"`, `\$`, "$", "\\`", "`", `\\`, `\`).Replace(value))
	}
	return out
}

// clip keeps a text inside the header's bounds, at a whole character.
func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

// findGrow takes the partition that the operator names, none when that is NoGrow, else the root.
func (l *layout) findGrow(named int, root *part) (int, error) {
	switch {
	case named == NoGrow, l.table != "gpt" && named == 0:
		return 0, nil
	case named != 0:
		if p := l.part(named); p == nil || p.number == 0 {
			return 0, refuse(nil, "There is no partition %d to grow.", named)
		}
		if l.table != "gpt" {
			return 0, refuse(nil, "Partition %d cannot be grown: the disk has no GPT.", named)
		}
		return named, nil
	case root != nil:
		return root.number, nil
	}
	return 0, nil
}

// swapBehind gives the swap partition that lies next behind the one that grows, 0 when another does.
func (l *layout) swapBehind(grow int) int {
	for i, p := range l.parts[:max(len(l.parts)-1, 0)] {
		if next := l.parts[i+1]; grow != 0 && p.number == grow && next.info.Type == fs.Swap {
			return next.number
		}
	}
	return 0
}

// firmware tells in which modes a laptop can start the disk: uefi needs the fallback loader, since no boot
// entry comes with an image; bios needs a program in the first sector and, on GPT, a place for its rest.
func (l *layout) firmware() []string {
	var out []string
	if l.starts() {
		out = append(out, "uefi")
	}
	bios := l.boot && l.table == "mbr"
	for _, p := range l.parts {
		bios = bios || (l.boot && p.guid == gpt.TypeBIOSBoot)
	}
	if bios {
		out = append(out, "bios")
	}
	if len(out) == 0 {
		l.note(0, "No loader was found with which a laptop could start from this image.")
	}
	return out
}
