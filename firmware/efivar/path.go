package efivar

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// The node types that this package looks into (UEFI 2.10, section 10.3).
const (
	typeMedia     = 4
	typeMessaging = 3
	typeEnd       = 0x7f
	subHD         = 1
	subFile       = 4
	subMAC        = 11
	subIPv4       = 12
	subIPv6       = 13
	subURI        = 24
	hdLen         = 38 // bytes of an HD node without its header
)

// Node is one device path node, kept as the firmware wrote it.
type Node struct {
	Type, SubType byte
	Data          []byte // without the four bytes of the header
}

// DevicePath is a list of nodes without the end node.
type DevicePath []Node

// ParseDevicePath reads the nodes of one path and wants its end node at the end of b.
func ParseDevicePath(b []byte) (DevicePath, error) {
	p, rest, err := cutDevicePath(b)
	if err == nil && len(rest) > 0 {
		return nil, fmt.Errorf("parse device path: %d bytes behind its end", len(rest))
	}
	return p, err
}

// cutDevicePath reads the nodes up to the first end node and gives what stands behind it.
func cutDevicePath(b []byte) (DevicePath, []byte, error) {
	var p DevicePath
	for {
		if len(b) < 4 {
			return nil, nil, fmt.Errorf("parse device path: node cut at %d bytes", len(b))
		}
		length := int(binary.LittleEndian.Uint16(b[2:]))
		if length < 4 || length > len(b) {
			return nil, nil, fmt.Errorf("parse device path: node of %d bytes, %d left", length, len(b))
		}
		if b[0] == typeEnd {
			if b[1] != 0xff || length != 4 {
				return nil, nil, fmt.Errorf("parse device path: end node of kind %#x and %d bytes", b[1], length)
			}
			return p, b[4:], nil
		}
		if len(p) == maxNodes {
			return nil, nil, fmt.Errorf("parse device path: more than %d nodes", maxNodes)
		}
		p = append(p, Node{Type: b[0], SubType: b[1], Data: append([]byte(nil), b[4:length]...)})
		b = b[length:]
	}
}

// Marshal writes the nodes and the end node.
func (p DevicePath) Marshal() ([]byte, error) {
	if len(p) > maxNodes {
		return nil, fmt.Errorf("device path: %d nodes, at most %d", len(p), maxNodes)
	}
	var b []byte
	for _, n := range p {
		if len(n.Data) > maxOption || n.Type == typeEnd {
			return nil, fmt.Errorf("device path: node type %#x with %d bytes", n.Type, len(n.Data))
		}
		b = append(b, n.Type, n.SubType)
		b = binary.LittleEndian.AppendUint16(b, uint16(4+len(n.Data)))
		b = append(b, n.Data...)
	}
	if len(b) > maxOption {
		return nil, fmt.Errorf("device path: %d bytes, at most %d", len(b), maxOption)
	}
	return append(b, typeEnd, 0xff, 4, 0), nil
}

// Partition is what a hard drive node names. Start and Size count the drive's logical sectors.
type Partition struct {
	Number      uint32 // entry number of the partition table, from 1
	Start, Size uint64
	GUID        GUID // the partition's unique GUID
}

// PartitionPath is the short form HD(...)/File(...) that firmware expands by the partition's GUID. The loader is
// written with backslashes, as \EFI\BOOT\BOOTX64.EFI.
func PartitionPath(p Partition, loader string) DevicePath {
	hd := binary.LittleEndian.AppendUint32(nil, p.Number)
	hd = binary.LittleEndian.AppendUint64(hd, p.Start)
	hd = binary.LittleEndian.AppendUint64(hd, p.Size)
	hd = append(append(hd, p.GUID[:]...), 2, 2) // GPT, GUID signature
	var file []byte
	for _, c := range append(utf16.Encode([]rune(slashes(loader))), 0) {
		file = binary.LittleEndian.AppendUint16(file, c)
	}
	return DevicePath{{typeMedia, subHD, hd}, {typeMedia, subFile, file}}
}

func slashes(loader string) string {
	s := strings.ReplaceAll(loader, "/", `\`)
	if !strings.HasPrefix(s, `\`) {
		s = `\` + s
	}
	return s
}

// Partition gives the GPT partition that the path leads through.
func (p DevicePath) Partition() (Partition, bool) {
	for _, n := range p {
		if n.Type == typeMedia && n.SubType == subHD && len(n.Data) == hdLen && n.Data[36] == 2 && n.Data[37] == 2 {
			return Partition{
				Number: binary.LittleEndian.Uint32(n.Data),
				Start:  binary.LittleEndian.Uint64(n.Data[4:]),
				Size:   binary.LittleEndian.Uint64(n.Data[12:]),
				GUID:   GUID(n.Data[20:36]),
			}, true
		}
	}
	return Partition{}, false
}

// File gives the loader's path, the file nodes joined; "" when the path names none.
func (p DevicePath) File() string {
	var parts []string
	for _, n := range p {
		if n.Type == typeMedia && n.SubType == subFile {
			if s, _, err := cutUTF16(n.Data); err == nil {
				parts = append(parts, strings.Trim(s, `\`))
			}
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return `\` + strings.Join(parts, `\`)
}
