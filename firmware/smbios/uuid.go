package smbios

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
)

// UUID is a machine's UUID, in the order in which its text is written (RFC 9562). The zero value means unknown.
//
// Firmware disagrees about the byte order of the first three fields, and an update of the firmware may turn
// them round. Machines are therefore compared by Equal or by the Canonical form.
type UUID [16]byte

// ParseUUID reads the text with or without hyphens and braces, in either case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) > 64 {
		return u, fmt.Errorf("parse UUID: %d characters", len(s))
	}
	plain := strings.ReplaceAll(strings.Trim(strings.TrimSpace(s), "{}"), "-", "")
	if len(plain) != 32 {
		return u, fmt.Errorf("parse UUID %q: want 32 hex digits", s)
	}
	if _, err := hex.Decode(u[:], []byte(plain)); err != nil {
		return UUID{}, fmt.Errorf("parse UUID %q: %w", s, err)
	}
	return u, nil
}

// FromOption97 reads DHCP option 97 (RFC 4578 section 2.3): a type byte 0 and the 16 bytes as SMBIOS stores
// them, little endian in the first three fields.
func FromOption97(b []byte) (UUID, error) {
	if len(b) != 17 || b[0] != 0 {
		return UUID{}, fmt.Errorf("parse client UUID: %d bytes of type %v, want 17 of type 0", len(b), b[:min(1, len(b))])
	}
	return UUID(b[1:]).Swapped(), nil
}

// String is the lower-case text, "" when unknown.
func (u UUID) String() string {
	if u == (UUID{}) {
		return ""
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// Swapped turns the bytes of the first three fields round.
func (u UUID) Swapped() UUID {
	return UUID{u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]}
}

// Canonical is the smaller of the two byte orders: a key under which a machine is found whatever its firmware
// thinks.
func (u UUID) Canonical() UUID {
	if s := u.Swapped(); bytes.Compare(s[:], u[:]) < 0 {
		return s
	}
	return u
}

// Equal reports whether both name one machine, in either byte order. Unknown equals nothing.
func (u UUID) Equal(v UUID) bool {
	return u != (UUID{}) && u.Canonical() == v.Canonical()
}

// Junk reports whether the UUID is one that makers ship in many machines, in either byte order: nothing may be
// matched by it.
func (u UUID) Junk() bool {
	same := true
	for _, b := range u {
		same = same && b == u[0]
	}
	return same || junkUUID(u) || junkUUID(u.Swapped())
}

func junkUUID(u UUID) bool {
	text := u.String()
	for _, j := range junkUUIDs {
		if text == j {
			return true
		}
	}
	for _, tail := range junkUUIDTails {
		if strings.HasSuffix(text, tail) {
			return true
		}
	}
	return strings.HasPrefix(text, "deadbeef-")
}
