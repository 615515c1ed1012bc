package pxe

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
)

// MAC is a 48-bit Ethernet address.
type MAC [6]byte

// ParseMAC reads six hex pairs joined by colons or hyphens (52:54:00:aa:00:01, as GRUB and iPXE write it),
// either case. Anything else, and an address that no single machine can have (all zero, or multicast), is an
// error.
func ParseMAC(s string) (MAC, error) {
	var m MAC
	if len(s) != 17 {
		return m, fmt.Errorf("parse MAC: %d characters, want 17", len(s))
	}
	for i := range m {
		if i > 0 && s[3*i-1] != s[2] || s[2] != ':' && s[2] != '-' {
			return MAC{}, fmt.Errorf("parse MAC %q: want six pairs joined by colons", s)
		}
		if _, err := hex.Decode(m[i:i+1], []byte(s[3*i:3*i+2])); err != nil {
			return MAC{}, fmt.Errorf("parse MAC %q: %w", s, err)
		}
	}
	if !m.Valid() {
		return MAC{}, fmt.Errorf("parse MAC %q: not the address of one machine", s)
	}
	return m, nil
}

// Valid reports whether one machine can have this address: not all zero, not multicast.
func (m MAC) Valid() bool { return m != MAC{} && m[0]&1 == 0 }

// String is the address in lower case with colons.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// MarshalText implements encoding.TextMarshaler; the zero MAC, of an event whose machine is unknown, is empty.
func (m MAC) MarshalText() ([]byte, error) {
	if m == (MAC{}) {
		return nil, nil
	}
	return []byte(m.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MAC) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*m = MAC{}
		return nil
	}
	p, err := ParseMAC(string(b))
	if err != nil {
		return err
	}
	*m = p
	return nil
}

// Arch is the client's architecture, DHCP option 93 (RFC 4578 section 2.1 and the registry behind it).
type Arch uint16

// The architectures that we know by name.
const (
	ArchBIOS      Arch = 0
	ArchIA32      Arch = 6
	ArchX64       Arch = 7
	ArchEBC       Arch = 9 // what some x64 firmware sends instead of 7
	ArchARM32     Arch = 10
	ArchARM64     Arch = 11
	ArchIA32HTTP  Arch = 15
	ArchX64HTTP   Arch = 16
	ArchARM32HTTP Arch = 18
	ArchARM64HTTP Arch = 19
)

// String names the architecture for people.
func (a Arch) String() string {
	switch a {
	case ArchBIOS:
		return "BIOS"
	case ArchIA32, ArchIA32HTTP:
		return "UEFI 32-bit"
	case ArchX64, ArchEBC:
		return "UEFI x64"
	case ArchX64HTTP:
		return "UEFI x64 HTTP Boot"
	case ArchARM32, ArchARM32HTTP:
		return "UEFI ARM 32-bit"
	case ArchARM64, ArchARM64HTTP:
		return "UEFI ARM 64-bit"
	}
	return fmt.Sprintf("architecture %d", uint16(a))
}

// Loader is the program that speaks to us, as far as it tells.
type Loader string

// The loaders that a request can come from.
const (
	LoaderNone Loader = ""     // an ordinary DHCP client: an OS, our agent
	LoaderPXE  Loader = "pxe"  // firmware or option ROM, class PXEClient
	LoaderHTTP Loader = "http" // UEFI HTTP Boot, class HTTPClient
	LoaderIPXE Loader = "ipxe" // iPXE, whatever its class says
	LoaderGRUB Loader = "grub" // GRUB, asking for its configuration
)

// Machine is a client seen on the wire before we know it. Every field is hostile input, within bounds.
type Machine struct {
	MAC    MAC        `json:"mac"`
	UUID   string     `json:"uuid,omitempty"` // option 97 as SMBIOS text (the first three fields little-endian on the wire); empty if absent, all zeros or all ones
	Arch   Arch       `json:"arch"`           // option 93; meaningless when Loader is LoaderNone
	Loader Loader     `json:"loader"`
	IP     netip.Addr `json:"ip"`    // its address where known
	Relay  netip.Addr `json:"relay"` // giaddr of a relayed request
}

// OtherUUID is the machine's UUID with the first three fields in the other byte order: some firmware sends
// option 97 big-endian. It is empty when UUID is.
func (m Machine) OtherUUID() string { return swapUUID(m.UUID) }

// formatUUID writes 16 bytes of option 97 as SMBIOS text; all zeros and all ones are no UUID.
func formatUUID(b []byte) string {
	if len(b) != 16 || same(b, 0) || same(b, 0xff) {
		return ""
	}
	return fmt.Sprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%x-%x", b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8:10], b[10:16])
}

// parseUUID checks UUID text (8-4-4-4-12 hex digits) and gives it in lower case.
func parseUUID(s string) (string, bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return "", false
	}
	b, err := hex.DecodeString(s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36])
	if err != nil || same(b, 0) || same(b, 0xff) {
		return "", false
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16]), true
}

func swapUUID(s string) string {
	u, ok := parseUUID(s)
	if !ok {
		return ""
	}
	return u[6:8] + u[4:6] + u[2:4] + u[0:2] + "-" + u[11:13] + u[9:11] + "-" + u[16:18] + u[14:16] + u[18:]
}

func same(b []byte, v byte) bool {
	for _, x := range b {
		if x != v {
			return false
		}
	}
	return true
}
