package gpt

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// GUID is an identifier in the byte order of the disk: its first three fields are little endian.
type GUID [16]byte

// The partition types that imaging must tell apart (UEFI specification; Discoverable Partitions Specification).
var (
	TypeESP         = MustParseGUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
	TypeBIOSBoot    = MustParseGUID("21686148-6449-6e6f-744e-656564454649")
	TypeLinux       = MustParseGUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
	TypeLinuxRoot64 = MustParseGUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709") // root, x86-64
	TypeLinuxSwap   = MustParseGUID("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f")
	TypeLinuxLVM    = MustParseGUID("e6d6d379-f507-44c2-a23c-238f2a3df928")
	TypeLinuxRAID   = MustParseGUID("a19d880f-05fc-4d3b-a006-743f0f84911e")
	TypeMSReserved  = MustParseGUID("e3c9e316-0b5c-4db8-817d-f92df00215ae")
	TypeMSBasic     = MustParseGUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")
	TypeMSRecovery  = MustParseGUID("de94bba4-06d1-4d40-a16a-bfd50179d6ac")
)

// ParseGUID reads the usual text form, 8-4-4-4-12 hex digits of either case.
func ParseGUID(s string) (GUID, error) {
	var g GUID
	p := strings.Split(s, "-")
	if len(s) != 36 || len(p) != 5 || len(p[0]) != 8 || len(p[1]) != 4 || len(p[2]) != 4 || len(p[3]) != 4 {
		return g, fmt.Errorf("parse GUID %.40q: want 8-4-4-4-12 hex digits", s)
	}
	raw, err := hex.DecodeString(strings.Join(p, ""))
	if err != nil {
		return g, fmt.Errorf("parse GUID %.40q: %w", s, err)
	}
	return swap(GUID(raw)), nil
}

// MustParseGUID is ParseGUID for constants of the program; it panics on a wrong one.
func MustParseGUID(s string) GUID {
	g, err := ParseGUID(s)
	if err != nil {
		panic(err)
	}
	return g
}

// String is the usual text form in lower case.
func (g GUID) String() string {
	t := swap(g)
	return fmt.Sprintf("%x-%x-%x-%x-%x", t[0:4], t[4:6], t[6:8], t[8:10], t[10:])
}

// IsZero reports whether g is all zeros: as a type it marks an unused entry.
func (g GUID) IsZero() bool { return g == GUID{} }

// MarshalText implements encoding.TextMarshaler.
func (g GUID) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (g *GUID) UnmarshalText(b []byte) error {
	p, err := ParseGUID(string(b))
	if err != nil {
		return err
	}
	*g = p
	return nil
}

// swap turns the disk's byte order into the text's, and back.
func swap(g GUID) GUID {
	binary.BigEndian.PutUint32(g[0:], binary.LittleEndian.Uint32(g[0:]))
	binary.BigEndian.PutUint16(g[4:], binary.LittleEndian.Uint16(g[4:]))
	binary.BigEndian.PutUint16(g[6:], binary.LittleEndian.Uint16(g[6:]))
	return g
}
