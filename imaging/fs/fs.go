package fs

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Type names a kind of volume, in the words of blkid where it has one.
type Type string

// The kinds that Identify knows. Unknown is none of them: perhaps empty, perhaps something new.
const (
	Unknown   Type = ""
	Ext2      Type = "ext2"
	Ext3      Type = "ext3"
	Ext4      Type = "ext4"
	VFAT      Type = "vfat"
	ExFAT     Type = "exfat"
	NTFS      Type = "ntfs"
	XFS       Type = "xfs"
	Btrfs     Type = "btrfs"
	Swap      Type = "swap"
	Suspended Type = "swsuspend" // swap that holds the memory of a sleeping system
	LUKS      Type = "crypto_LUKS"
	BitLocker Type = "BitLocker"
	LVM       Type = "LVM2_member"
	RAID      Type = "linux_raid_member"
)

// Info describes a volume.
type Info struct {
	Type  Type
	Label string // printable, at most 255 bytes
	UUID  string // as fstab writes it
}

// Unmapped says in words why a volume has no map and is to be copied whole.
type Unmapped struct {
	Why       string
	Truncated bool // the file system is longer than its volume: what is missing cannot be copied at all
}

// Error implements error.
func (u *Unmapped) Error() string { return u.Why }

func unmappedf(format string, args ...any) error { return &Unmapped{Why: fmt.Sprintf(format, args...)} }

func truncatedf(format string, args ...any) error {
	return &Unmapped{Why: fmt.Sprintf(format, args...), Truncated: true}
}

// Cause tells why a volume is Refused.
type Cause int

// The causes, each with its own thing to do.
const (
	Unclean Cause = iota + 1 // not closed cleanly, or damaged: check it
	Asleep                   // a sleeping system holds parts of it in memory: shut it down fully
)

// Refused says in words why a volume must not become an image, not even as a copy of every byte.
type Refused struct {
	Why   string
	Cause Cause
}

// Error implements error.
func (r *Refused) Error() string { return r.Why }

func uncleanf(format string, args ...any) error {
	return &Refused{Why: fmt.Sprintf(format, args...), Cause: Unclean}
}

// damagedf is uncleanf for what no sound file system says.
func damagedf(format string, args ...any) error { return uncleanf(format, args...) }

func asleepf(format string, args ...any) error {
	return &Refused{Why: fmt.Sprintf(format, args...), Cause: Asleep}
}

// Map tells which bytes of a volume are used.
type Map struct {
	size int64
	runs runs
}

// runs is how a file system finds allocated runs.
type runs interface {
	// next finds the first used run at or behind off; start == the volume's size when there is none. end may
	// stop short of the run's end.
	next(off int64) (start, end int64, err error)
}

// Next finds the first used run at or behind off, in bytes of the volume; what follows end is told by the next
// call. Bytes before start are proven unallocated. start == end == the volume's size ends the walk. A Map is
// not for several goroutines.
func (m *Map) Next(off int64) (start, end int64, err error) {
	if off >= m.size {
		return m.size, m.size, nil
	}
	start, end, err = m.runs.next(max(off, 0))
	if err != nil {
		return 0, 0, fmt.Errorf("read used-block map at %d: %w", off, err)
	}
	return min(start, m.size), min(end, m.size), nil
}

// Used gives the map of a volume of size bytes. Errors: *Unmapped when the volume must be copied whole, *Refused
// when it must not be imaged, and those of the reader.
func Used(r io.ReaderAt, size int64) (*Map, error) {
	info, err := Identify(r, size)
	if err != nil {
		return nil, err
	}
	switch info.Type {
	case Ext2, Ext3, Ext4:
		return usedExt4(r, size)
	case VFAT:
		return usedFAT(r, size)
	case NTFS:
		return usedNTFS(r, size)
	case Swap:
		return &Map{size: size, runs: headOnly(swapHeader)}, nil
	case Unknown:
		return nil, unmappedf("no known file system")
	}
	return nil, unmappedf("free space of %s is not read", info.Type)
}

// headOnly is the map of a volume of which only the first bytes matter.
type headOnly int64

func (h headOnly) next(off int64) (start, end int64, err error) {
	if off < int64(h) {
		return off, int64(h), nil
	}
	return 1<<63 - 1, 1<<63 - 1, nil
}

// readFull reads all of b; the reader's end before that is an error.
func readFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read %d bytes at %d of the volume: %w", len(b), off, err)
}

// text makes a name from a fixed field: up to the first zero, trimmed, printable.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "?")
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.TrimSpace(s))
	for len(s) > 255 {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// uuidText writes 16 bytes in the order in which they lie.
func uuidText(b []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
