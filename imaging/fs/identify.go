package fs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// swapHeader is the page that mkswap writes, on machines with pages of 4096 bytes.
const swapHeader = 4096

// probeSize is how much of a volume's start the probes look at.
const probeSize = 68 << 10

// Identify tells what a volume of size bytes is. Encryption and containers are looked for first, since their
// content may begin like anything. The error is the reader's.
func Identify(r io.ReaderAt, size int64) (Info, error) {
	b := make([]byte, probeSize)
	n := min(size, probeSize)
	if n < 0 {
		return Info{}, fmt.Errorf("identify volume: size %d", size)
	}
	if err := readFull(r, b[:n], 0); err != nil {
		return Info{}, fmt.Errorf("identify volume: %w", err)
	}
	for _, probe := range []func([]byte) Info{probeCrypt, probeMember} {
		if i := probe(b); i.Type != Unknown {
			return i, nil
		}
	}
	if raidAtEnd(r, size) {
		return Info{Type: RAID}, nil
	}
	for _, probe := range []func([]byte) Info{probeSwap, probeNTFS, probeLinux, probeExt} {
		if i := probe(b); i.Type != Unknown {
			return i, nil
		}
	}
	return probeFAT(r, size, b), nil
}

// bitLockerToGo is the GUID at byte 424 of a removable volume that is encrypted, whose boot sector looks like
// FAT.
var bitLockerToGo = []byte{0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a, 0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01}

func probeCrypt(b []byte) Info {
	switch {
	case bytes.HasPrefix(b, []byte("LUKS\xba\xbe")):
		return Info{Type: LUKS, UUID: text(b[168:208])}
	case string(b[3:11]) == "-FVE-FS-", bytes.Equal(b[424:440], bitLockerToGo):
		return Info{Type: BitLocker}
	}
	return Info{}
}

// probeMember finds parts of something larger: an LVM label in one of the first four sectors, an md superblock
// of version 1.1 or 1.2.
func probeMember(b []byte) Info {
	for at := 0; at < 4*512; at += 512 {
		if string(b[at:at+8]) == "LABELONE" && string(b[at+24:at+32]) == "LVM2 001" {
			return Info{Type: LVM, UUID: text(b[at+32 : at+64])}
		}
	}
	for _, at := range []int{0, 4096} {
		if binary.LittleEndian.Uint32(b[at:]) == mdMagic && binary.LittleEndian.Uint32(b[at+4:]) == 1 {
			return Info{Type: RAID, UUID: uuidText(b[at+16 : at+32]), Label: text(b[at+32 : at+64])}
		}
	}
	return Info{}
}

const mdMagic = 0xa92b4efc

// raidAtEnd finds an md superblock of version 1.0 or 0.90, which lie at the volume's end: its start looks like
// the file system inside.
func raidAtEnd(r io.ReaderAt, size int64) bool {
	for _, at := range []int64{(size/512 - 16) &^ 7 * 512, size&^0xFFFF - 0x10000} {
		var b [4]byte
		if at > 0 && readFull(r, b[:], at) == nil && binary.LittleEndian.Uint32(b[:]) == mdMagic {
			return true
		}
	}
	return false
}

func probeSwap(b []byte) Info {
	switch magic := string(b[swapHeader-10 : swapHeader]); {
	case magic == "SWAPSPACE2" && binary.LittleEndian.Uint32(b[1024:]) == 1:
		return Info{Type: Swap, UUID: uuidText(b[1036:1052]), Label: text(b[1052:1068])}
	case magic == "S1SUSPEND\x00", magic == "S2SUSPEND\x00", magic == "ULSUSPEND\x00", magic == "LINHIB0001":
		return Info{Type: Suspended}
	}
	return Info{}
}

func probeNTFS(b []byte) Info {
	switch string(b[3:11]) {
	case "NTFS    ":
		return Info{Type: NTFS, UUID: fmt.Sprintf("%016X", binary.LittleEndian.Uint64(b[72:]))}
	case "EXFAT   ":
		id := binary.LittleEndian.Uint32(b[100:])
		return Info{Type: ExFAT, UUID: fmt.Sprintf("%04X-%04X", id>>16, id&0xFFFF)}
	}
	return Info{}
}

func probeLinux(b []byte) Info {
	const btrfs = 64 << 10
	switch {
	case bytes.HasPrefix(b, []byte("XFSB")):
		return Info{Type: XFS, UUID: uuidText(b[32:48]), Label: text(b[108:120])}
	case string(b[btrfs+64:btrfs+72]) == "_BHRfS_M":
		return Info{Type: Btrfs, UUID: uuidText(b[btrfs+32 : btrfs+48]), Label: text(b[btrfs+299 : btrfs+555])}
	}
	return Info{}
}

func probeExt(b []byte) Info {
	sb := b[superOffset : superOffset+superSize]
	if binary.LittleEndian.Uint16(sb[0x38:]) != extMagic {
		return Info{}
	}
	i := Info{Type: Ext2, UUID: uuidText(sb[0x68:0x78]), Label: text(sb[0x78:0x88])}
	const ext3Incompat, ext3ROCompat = incompatFiletype | incompatRecover | incompatMetaBG, roSparseSuper | roLargeFile | 0x4
	le := binary.LittleEndian
	switch {
	case le.Uint32(sb[0x60:])&^uint32(ext3Incompat) != 0, le.Uint32(sb[0x64:])&^uint32(ext3ROCompat) != 0:
		i.Type = Ext4
	case le.Uint32(sb[0x5C:])&compatJournal != 0:
		i.Type = Ext3
	}
	return i
}

func probeFAT(r io.ReaderAt, size int64, b []byte) Info {
	g, err := parseFAT(b[:512], size)
	if u := (*Unmapped)(nil); errors.As(err, &u) && u.Truncated {
		return Info{Type: VFAT}
	}
	if err != nil {
		return Info{}
	}
	id := b[0x27:]
	label := b[0x2B : 0x2B+11]
	if g.bits == 32 {
		id, label = b[0x43:], b[0x47:0x47+11]
	}
	n := binary.LittleEndian.Uint32(id)
	i := Info{Type: VFAT, UUID: fmt.Sprintf("%04X-%04X", n>>16, n&0xFFFF), Label: text(label)}
	if v, err := openFAT(r, g); err == nil {
		if l, ok := v.volumeLabel(); ok {
			i.Label = l
		}
	}
	if i.Label == "NO NAME" {
		i.Label = ""
	}
	return i
}
