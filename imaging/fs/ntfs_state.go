package fs

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// The flags of $Volume.
const (
	ntfsDirty   = 0x0001
	ntfsChkdsk  = 0x4000 // chkdsk was at work
	hiberHeader = 4096
)

// The parts of a restart page of $LogFile.
const (
	logPage     = 4096 // the smallest; the second restart page lies behind the first
	logNoClient = 0xFFFF
	logIsClean  = 0x0002
)

// checkState refuses a volume that Windows still holds parts of in memory or in its log.
func (n *ntfs) checkState() error {
	for _, check := range []func() error{n.checkHibernation, n.checkVolume, n.checkLog, n.checkMirror} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// checkVolume reads version and flags. A version that is not known may place things elsewhere.
func (n *ntfs) checkVolume() error {
	s, err := n.stream(volumeRecord, ntfsVolumeInfo, "")
	if err != nil {
		return err
	}
	if s.value == nil || len(s.value) < 12 {
		return damagedf("NTFS is damaged: its $Volume says nothing")
	}
	major, minor, flags := s.value[8], s.value[9], binary.LittleEndian.Uint16(s.value[10:])
	switch {
	case major != 3 && major != 1 || major == 3 && minor > 1 || major == 1 && minor != 2:
		return unmappedf("NTFS has the unknown version %d.%d", major, minor)
	case flags&ntfsDirty != 0:
		return uncleanf("NTFS is marked dirty: it was not closed cleanly")
	case flags&ntfsChkdsk != 0:
		return uncleanf("NTFS was being checked by chkdsk when it was switched off")
	}
	return nil
}

// checkLog looks at the two restart pages of $LogFile. An empty log, all of whose bytes are 0xFF, is clean.
func (n *ntfs) checkLog() error {
	s, err := n.stream(logRecord, ntfsData, "")
	if err != nil {
		return err
	}
	if s.size < 2*logPage {
		return damagedf("NTFS is damaged: its $LogFile has %d bytes", s.size)
	}
	first := make([]byte, logPage)
	if err := s.readAt(first, 0); err != nil {
		return err
	}
	if bytes.Equal(first, bytes.Repeat([]byte{0xFF}, logPage)) {
		return nil
	}
	one := decodeRestart(first)
	second, err := n.secondRestart(s, first)
	if err != nil {
		return err
	}
	two := decodeRestart(second)
	last := one
	if one == nil || two != nil && two.lsn > one.lsn {
		last = two
	}
	switch {
	case last == nil:
		return uncleanf("NTFS has a log that cannot be read")
	case last.major >= 2: // a clean end takes the log back to version 1.1
		return asleepf("NTFS is held open by a Windows that was put to sleep (fast start) or not shut down")
	case !last.clean:
		return uncleanf("NTFS was not closed cleanly: its log must be replayed")
	}
	return nil
}

// secondRestart reads the other restart page, one system page behind the first.
func (n *ntfs) secondRestart(s *ntfsStream, first []byte) ([]byte, error) {
	at := int64(logPage)
	if size := int64(binary.LittleEndian.Uint32(first[16:])); isRestart(first) && size >= logPage && size <= 64<<10 && size%logPage == 0 {
		at = size
	}
	b := make([]byte, logPage)
	if at+logPage > s.size {
		return b, nil
	}
	return b, s.readAt(b, at)
}

// restart is what a restart page says.
type restart struct {
	lsn   uint64 // its age
	major uint16
	clean bool
}

func isRestart(b []byte) bool { return string(b[:4]) == "RSTR" || string(b[:4]) == "CHKD" }

// decodeRestart reads the head of a restart page, which never reaches into the bytes that the update sequence
// replaces; nil when it is none. The volume is clean when no client has the log open, or when the last one said
// so: Windows leaves it open.
func decodeRestart(b []byte) *restart {
	le := binary.LittleEndian
	at := int(le.Uint16(b[24:]))
	if !isRestart(b) || at < 30 || at%8 != 0 || at+24 > ntfsStride-2 {
		return nil
	}
	a := b[at:]
	return &restart{
		lsn: le.Uint64(a), major: le.Uint16(b[28:]),
		clean: le.Uint16(a[12:]) == logNoClient || le.Uint16(a[14:])&logIsClean != 0,
	}
}

// checkHibernation reads the head of hiberfil.sys. Without the file nothing sleeps.
func (n *ntfs) checkHibernation() error {
	num, err := n.lookupRoot("hiberfil.sys")
	if err != nil || num < 0 {
		return err
	}
	s, err := n.stream(num, ntfsData, "")
	if err != nil {
		return err
	}
	if s.size < hiberHeader {
		return asleepf("NTFS holds a hiberfil.sys of %d bytes, as a sleeping Windows leaves it on its other drives", s.size)
	}
	b := make([]byte, hiberHeader)
	if err := s.readAt(b, 0); err != nil {
		return err
	}
	switch magic := strings.ToUpper(string(b[:4])); {
	case magic == "HIBR":
		return asleepf("NTFS holds a Windows that was put to sleep: hibernation or fast start, which an ordinary shutdown is")
	case magic == "RSTR":
		return asleepf("NTFS holds a Windows that was switched off while it woke up")
	case magic == "WAKE", bytes.Equal(b, make([]byte, hiberHeader)):
		return nil
	}
	return asleepf("NTFS holds a hiberfil.sys that begins with %q, so Windows may be asleep", b[:4])
}

// checkMirror compares the first records of the $MFT with their copy.
func (n *ntfs) checkMirror() error {
	copies, err := n.stream(mirrorRecord, ntfsData, "")
	if err != nil {
		return err
	}
	for num := int64(0); num < 4 && (num+1)*n.g.record <= copies.size; num++ {
		rec, err := n.record(num)
		if err != nil {
			return err
		}
		b := make([]byte, n.g.record)
		if err := copies.readAt(b, num*n.g.record); err != nil {
			return err
		}
		used := min(int64(binary.LittleEndian.Uint32(rec[0x18:])), n.g.record)
		if !fixup(b, "FILE") || !bytes.Equal(b[:used], rec[:used]) {
			return uncleanf("NTFS keeps a second copy of record %d of its $MFT that differs", num)
		}
	}
	return nil
}
