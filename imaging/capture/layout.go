package capture

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"ingot/imaging"
	"ingot/imaging/fs"
	"ingot/imaging/gpt"
	"ingot/imaging/job"
)

// Note is something about the image that its maker should know, and that does not stop the capture.
type Note struct {
	Partition int    // 0 for the disk as a whole
	Text      string // a plain sentence
}

// part is one partition with what was found in it.
type part struct {
	number int
	sec    section
	info   fs.Info
	used   *fs.Map // nil: copied whole
	typ    string  // GPT type GUID in text form, or "0x83" of an MBR
	guid   gpt.GUID
	mbr    byte
}

// layout is the plan of a capture: what is where, and what of it counts.
type layout struct {
	table  string
	ss     int64
	size   int64
	parts  []*part // in disk order
	header []imaging.Partition
	dead   [2]int64 // bytes of the second GPT: they count as zeros, and whole blocks of them as free
	boot   bool     // the first sector holds a program
	notes  []Note
}

func (l *layout) note(partition int, format string, args ...any) {
	l.notes = append(l.notes, Note{partition, fmt.Sprintf(format, args...)})
}

// plan reads the partition table and looks into every partition.
func plan(src Source) (*layout, error) {
	l := &layout{table: "none", ss: int64(src.SectorSize()), size: src.Size()}
	if l.size <= 0 || l.size > imaging.MaxDisk || l.size%l.ss != 0 {
		return nil, refuse(nil, "A disk of %d bytes is not a whole number of sectors of %d bytes.", l.size, l.ss)
	}
	if err := l.readTable(src); err != nil {
		return nil, err
	}
	slices.SortFunc(l.parts, func(a, b *part) int { return int(min(max(a.sec.start-b.sec.start, -1), 1)) })
	for _, p := range l.parts {
		if err := l.look(p); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *layout) readTable(src Source) error {
	t, err := gpt.ReadTable(src, l.size, src.SectorSize())
	if err == nil {
		return l.takeGPT(src, t)
	}
	if !errors.Is(err, gpt.ErrNoTable) {
		return worded(err, "reading the partition table")
	}
	m, err := gpt.ReadMBR(src, l.size, src.SectorSize())
	if err == nil {
		return l.takeMBR(src, m)
	}
	if !errors.Is(err, gpt.ErrNoMBR) {
		return worded(err, "reading the partition table")
	}
	l.note(0, "The disk has no partition table.")
	l.parts = []*part{{sec: section{src, 0, l.size}}}
	return nil
}

func (l *layout) takeGPT(src Source, t *gpt.Table) error {
	if t.PrimaryErr != nil {
		return refuse(t.PrimaryErr, "The first partition table is damaged (%v); mend it with gdisk.", t.PrimaryErr)
	}
	if t.BackupErr != nil {
		l.note(0, "The second partition table is damaged; every deploy writes a new one.")
	}
	first, last := t.BackupLBAs()
	l.table, l.boot = "gpt", t.BootCode()
	l.dead = [2]int64{int64(first) * l.ss, (int64(last) + 1) * l.ss}
	for _, n := range t.Used() {
		e, _ := t.Partition(n)
		l.header = append(l.header, imaging.Partition{Number: n, TypeGUID: e.Type.String(), UniqueGUID: e.Unique.String(), Name: printable(e.Label()), FirstLBA: e.First, LastLBA: e.Last})
		l.parts = append(l.parts, &part{number: n, sec: l.section(src, e.First, e.Last), typ: e.Type.String(), guid: e.Type})
	}
	return nil
}

func (l *layout) takeMBR(src Source, m *gpt.MBR) error {
	l.table, l.boot = "mbr", m.BootCode
	for _, p := range m.Partitions {
		typ := fmt.Sprintf("0x%02x", p.Type)
		l.header = append(l.header, imaging.Partition{Number: p.Number, TypeGUID: typ, UniqueGUID: fmt.Sprintf("%08x-%02d", m.Signature, p.Number), FirstLBA: p.First, LastLBA: p.Last})
		l.parts = append(l.parts, &part{number: p.Number, sec: l.section(src, p.First, p.Last), typ: typ, mbr: p.Type})
	}
	return nil
}

func (l *layout) section(src Source, first, last uint64) section {
	return section{src, int64(first) * l.ss, (int64(last) + 1) * l.ss}
}

// look identifies a partition, refuses what must not be imaged, and takes its map if it has one.
func (l *layout) look(p *part) error {
	var err error
	if p.info, err = fs.Identify(p.sec, p.sec.size()); err != nil {
		return worded(err, "looking into "+p.name())
	}
	if code, why := forbidden(p.info.Type); why != "" {
		return refuseAs(code, nil, "%s %s", upper(p.name()), why)
	}
	p.used, err = fs.Used(p.sec, p.sec.size())
	var u *fs.Unmapped
	var r *fs.Refused
	switch {
	case errors.As(err, &r):
		return refuseAs(causes[r.Cause], err, "%s cannot be imaged: %s.", upper(p.name()), r.Why)
	case errors.As(err, &u) && u.Truncated:
		return refuse(err, "The file was cut off, or %s is damaged: %s.", p.name(), u.Why)
	case errors.As(err, &u):
		if p.info.Type != fs.Unknown {
			l.note(p.number, "%s is copied whole: %s.", upper(p.name()), u.Why)
		}
	case err != nil:
		return worded(err, "looking into "+p.name())
	}
	l.describe(p)
	return nil
}

// causes gives each cause of a refused file system its code.
var causes = map[fs.Cause]job.Code{fs.Unclean: job.CodeUnclean, fs.Asleep: job.CodeAsleep}

// forbidden says why a kind of volume cannot be imaged, "" when it can.
func forbidden(t fs.Type) (job.Code, string) {
	switch t {
	case fs.BitLocker:
		return job.CodeEncrypted, "is encrypted with BitLocker."
	case fs.LUKS:
		return job.CodeEncrypted, "is encrypted with LUKS."
	case fs.Suspended:
		return job.CodeAsleep, "holds the memory of a sleeping system."
	}
	return "", ""
}

// describe copies what was found into the header's row of the partition.
func (l *layout) describe(p *part) {
	for i := range l.header {
		if h := &l.header[i]; h.Number == p.number {
			h.FileSystem, h.Label, h.UUID = string(p.info.Type), p.info.Label, p.info.UUID
		}
	}
}

func (p *part) name() string {
	if p.number == 0 {
		return "the disk"
	}
	return fmt.Sprintf("partition %d", p.number)
}

// printable keeps a name from the disk fit for a screen.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
