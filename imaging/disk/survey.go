package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"ingot/imaging/fs"
	"ingot/imaging/gpt"
	"ingot/imaging/job"
)

// maxSurvey bounds the lines about one drive.
const maxSurvey = 24

// examineTime is how long all drives together have to answer: a failing one may keep a reader for minutes, and the
// laptop has something to show meanwhile.
const examineTime = 15 * time.Second

// Examine asks each drive how it is and looks at what lies on it, all at once. It writes nothing. A drive that does
// not answer in time is not known.
func Examine(drives []job.Drive) {
	ctx, cancel := context.WithTimeout(context.Background(), examineTime)
	defer cancel()
	examine(ctx, drives, func(d job.Drive) job.Drive {
		d.Health = health(d)
		f, err := os.Open(d.Path)
		if err != nil {
			d.Holds = []string{"not known: the drive cannot be opened"}
			return d
		}
		defer f.Close() // reading only
		d.Holds = Survey(f, int64(d.SizeBytes), d.SectorSize)
		return d
	})
}

// examine lets look see each drive by itself. A look that hangs ends with the kernel's own patience, long after
// anybody listens.
func examine(ctx context.Context, drives []job.Drive, look func(job.Drive) job.Drive) {
	seen := make([]chan job.Drive, len(drives))
	for i, d := range drives {
		seen[i] = make(chan job.Drive, 1)
		go func() { seen[i] <- look(d) }()
	}
	for i := range drives {
		select {
		case drives[i] = <-seen[i]:
		case <-ctx.Done():
			select {
			case drives[i] = <-seen[i]: // it was in time, and another was not
			default:
				drives[i].Health, drives[i].Holds = job.Health{Text: "the drive did not answer in time"}, []string{"not known: the drive did not answer in time"}
			}
		}
	}
}

// Survey tells what lies on a drive, one plain line each: an encrypted volume, a file system, data that nothing is
// known about. A drive on which nothing is found gives none.
func Survey(r io.ReaderAt, size int64, sector int) []string {
	var out []string
	for _, v := range volumes(r, size, sector, func(s string) { out = append(out, s) }) {
		if line := v.describe(); line != "" {
			out = append(out, line)
		}
	}
	if len(out) > maxSurvey {
		out = append(out[:maxSurvey-1], fmt.Sprintf("and %d more", len(out)-maxSurvey+1))
	}
	return out
}

// Survey tells what lies on the open drive now.
func (d *Disk) Survey() []string { return Survey(wholeBlocks{d}, int64(d.Size()), d.SectorSize()) }

// Health asks the open drive how it is; a file is what it was said to be.
func (d *Disk) Health() job.Health {
	if d.block == nil {
		return d.drive.Health
	}
	return health(d.drive)
}

// volume is a partition, or the whole drive.
type volume struct {
	name string
	r    *io.SectionReader
}

// volumes finds the partitions; a drive without a table is one volume.
func volumes(r io.ReaderAt, size int64, sector int, say func(string)) []volume {
	var out []volume
	part := func(n int, first, last uint64) {
		at := int64(first) * int64(sector)
		out = append(out, volume{fmt.Sprintf("partition %d: ", n), io.NewSectionReader(r, at, (int64(last)+1)*int64(sector)-at)})
	}
	t, err := gpt.ReadTable(r, size, sector)
	if err == nil {
		for _, n := range t.Used() {
			e, _ := t.Partition(n)
			if e.Type == gpt.TypeBIOSBoot { // a piece of a boot loader
				continue
			}
			part(n, e.First, e.Last)
		}
		return out
	}
	if !errors.Is(err, gpt.ErrNoTable) {
		say("a damaged partition table")
		return nil
	}
	m, err := gpt.ReadMBR(r, size, sector)
	if err == nil {
		for _, p := range m.Partitions {
			part(p.Number, p.First, p.Last)
		}
		return out
	}
	if !errors.Is(err, gpt.ErrNoMBR) {
		say("a damaged partition table")
		return nil
	}
	return []volume{{"", io.NewSectionReader(r, 0, size)}}
}

// words are what people call a kind of volume; the others go by their own name.
var words = map[fs.Type]string{fs.LUKS: "encrypted (LUKS)", fs.BitLocker: "encrypted (BitLocker)", fs.LVM: "a part of an LVM group",
	fs.RAID: "a part of a RAID", fs.Swap: "swap", fs.Suspended: "the memory of a sleeping system"}

func (v volume) describe() string {
	if v.r.Size() < sniffed {
		return ""
	}
	i, err := fs.Identify(v.r, v.r.Size())
	switch {
	case err != nil:
		return v.name + "cannot be read"
	case i.Type == fs.Unknown && empty(v.r):
		return ""
	case i.Type == fs.Unknown:
		return v.name + "data of an unknown kind"
	case words[i.Type] != "":
		return v.name + words[i.Type]
	}
	line := v.name + string(i.Type) + " file system"
	if i.Label != "" {
		line += " " + clean([]byte(i.Label))
	}
	return line
}

// sniffed is how much of a volume's start is looked at when no kind is recognised. An encrypted volume without a
// header, and most else, shows there.
const sniffed = 1 << 20

func empty(r io.ReaderAt) bool {
	b := make([]byte, sniffed)
	if n, err := r.ReadAt(b, 0); n < len(b) && err != nil {
		return false
	}
	return len(bytes.TrimLeft(b, "\x00")) == 0
}
