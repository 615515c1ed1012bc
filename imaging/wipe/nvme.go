package wipe

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"ingot/imaging/passthru"
)

// NVMe's opcodes and constants (NVM Express Base 2.1).
const (
	opIdentify    = 0x06
	opGetLog      = 0x02
	opFormat      = 0x80
	opSecurityGet = 0x82
	opSanitize    = 0x84

	cnsNamespace  = 0
	cnsController = 1
	cnsActiveList = 2
	cnsEveryList  = 0x10 // of all that exist, attached to a controller or not

	logSanitize     = 0x81
	logSanitizeSize = 512

	everyNamespace = 0xffffffff
)

// NVMeAbility is what Identify tells about wiping.
type NVMeAbility struct {
	Version      uint32      `json:"version"`   // VER
	SANICAP      uint32      `json:"sanicap"`   // bit 0 crypto, 1 block, 2 overwrite
	OACS         uint16      `json:"oacs"`      // bit 0 security commands, 1 format, 3 namespace management
	FNA          uint8       `json:"fna"`       // bit 0 formats all namespaces, 1 erases all of them, 2 crypto erase
	Crypto       bool        `json:"crypto"`    // sanitize: crypto erase
	Block        bool        `json:"block"`     // sanitize: block erase
	Overwrite    bool        `json:"overwrite"` // sanitize: overwrite
	Format       bool        `json:"format"`
	FormatCrypto bool        `json:"format_crypto"`
	Security     bool        `json:"security"`          // Security Receive: Opal can be asked about
	Manages      bool        `json:"manages,omitempty"` // namespaces may exist that are attached to no controller
	Most         uint32      `json:"most,omitempty"`    // namespaces that there can be (NN)
	Namespaces   int         `json:"namespaces"`        // that exist; 0 when it could not be told
	NSID         uint32      `json:"nsid"`
	LBAFormat    uint8       `json:"lba_format"` // in use, kept by a format
	Log          SanitizeLog `json:"log"`
}

// identified is what a drive tells of itself.
type identified struct {
	Model, Serial, Firmware, WWN string
}

// parseController reads Identify Controller (figure 312).
func parseController(b []byte) (identified, NVMeAbility, error) {
	if len(b) < 4096 {
		return identified{}, NVMeAbility{}, fmt.Errorf("identify controller: %d bytes", len(b))
	}
	id := identified{Serial: text(b[4:24]), Model: text(b[24:64]), Firmware: text(b[64:72])}
	a := NVMeAbility{
		Version: binary.LittleEndian.Uint32(b[80:]),
		OACS:    binary.LittleEndian.Uint16(b[256:]),
		SANICAP: binary.LittleEndian.Uint32(b[328:]),
		Most:    binary.LittleEndian.Uint32(b[516:]),
		FNA:     b[524],
	}
	if id.Serial == "" && id.Model == "" {
		return identified{}, NVMeAbility{}, fmt.Errorf("identify controller: neither serial nor model")
	}
	a.Crypto, a.Block, a.Overwrite = a.SANICAP&1 != 0, a.SANICAP&2 != 0, a.SANICAP&4 != 0
	a.Security, a.Format, a.Manages = a.OACS&1 != 0, a.OACS&2 != 0, a.OACS&8 != 0
	a.FormatCrypto = a.Format && a.FNA&4 != 0
	return id, a, nil
}

// parseNamespace reads what a format must keep, and the namespace's own name (figure 114 of the NVM command set).
func parseNamespace(b []byte) (lbaFormat uint8, wwn string, err error) {
	if len(b) < 4096 {
		return 0, "", fmt.Errorf("identify namespace: %d bytes", len(b))
	}
	flbas := b[26]
	lbaFormat = flbas&0xf | flbas>>5&3<<4
	for _, name := range [][]byte{b[104:120], b[120:128]} { // NGUID, EUI64
		if strings.Trim(string(name), "\x00") != "" {
			return lbaFormat, fmt.Sprintf("eui.%x", name), nil
		}
	}
	return lbaFormat, "", nil
}

// countNamespaces reads a list of namespaces.
func countNamespaces(b []byte) int {
	n := 0
	for i := 0; i+4 <= len(b) && binary.LittleEndian.Uint32(b[i:]) != 0; i += 4 {
		n++
	}
	return n
}

// SanitizeLog is log page 81h (figure 292).
type SanitizeLog struct {
	Progress  uint16    `json:"progress"`  // of 65536, while it runs
	Status    uint16    `json:"status"`    // SSTAT
	Action    uint32    `json:"action"`    // SCDW10: dword 10 of the command that started it
	Estimates [6]uint32 `json:"estimates"` // seconds: overwrite, block, crypto, and the same without de-allocation
}

// What SSTAT says (bits 2:0) and its flags.
const (
	sanitizeNever   = 0
	sanitizeDone    = 1
	sanitizeRunning = 2
	sanitizeFailed  = 3
	sanitizeForced  = 4 // done, and de-allocated although asked not to

	statGlobalErased = 1 << 8
	statPurged       = 1 << 11
)

// State gives SSTAT's operation status.
func (l SanitizeLog) State() int { return int(l.Status & 7) }

// Completed reports whether the latest sanitize ended well, ours or not.
func (l SanitizeLog) Completed() bool {
	return l.State() == sanitizeDone || l.State() == sanitizeForced
}

// Erased is "global data erased": nothing was written since the latest sanitize.
func (l SanitizeLog) Erased() bool { return l.Status&statGlobalErased != 0 }

// Purged is the drive's own word that it purged, which it gives only when asked to.
func (l SanitizeLog) Purged() bool { return l.Status&statPurged != 0 }

func (l SanitizeLog) String() string {
	return fmt.Sprintf("SPROG %#04x SSTAT %#04x SCDW10 %#08x", l.Progress, l.Status, l.Action)
}

func parseSanitizeLog(b []byte) (SanitizeLog, error) {
	if len(b) < 32 {
		return SanitizeLog{}, fmt.Errorf("sanitize log: %d bytes", len(b))
	}
	l := SanitizeLog{Progress: binary.LittleEndian.Uint16(b), Status: binary.LittleEndian.Uint16(b[2:]), Action: binary.LittleEndian.Uint32(b[4:])}
	for i := range l.Estimates {
		l.Estimates[i] = binary.LittleEndian.Uint32(b[8+4*i:])
	}
	if l.State() > sanitizeForced {
		return SanitizeLog{}, fmt.Errorf("sanitize log: status %#04x is none that is known", l.Status)
	}
	return l, nil
}

// Sanitize actions (SANACT) and flags of dword 10.
const (
	actBlock     = 2
	actOverwrite = 3
	actCrypto    = 4

	onePass       = 1 << 4
	purgeRequired = 1 << 11 // since 2.2; see askPurge
)

// sanitizeAction is dword 10 of a technique.
func sanitizeAction(t Technique) uint32 {
	switch t {
	case NVMeCrypto:
		return actCrypto
	case NVMeBlock:
		return actBlock
	case NVMeOverwrite:
		return actOverwrite | onePass
	}
	return 0
}

// estimate gives the drive's own idea of how long an action takes.
func (l SanitizeLog) estimate(t Technique) (time.Duration, bool) {
	i := map[Technique]int{NVMeOverwrite: 0, NVMeBlock: 1, NVMeCrypto: 2}[t]
	if s := l.Estimates[i]; s != 0xffffffff && s != 0 {
		return time.Duration(s) * time.Second, true
	}
	return 0, false
}

// eraseSetting is Format NVM's SES. Its zero value is no setting: 0 on the wire would format without erasing.
type eraseSetting uint32

const (
	eraseUser   eraseSetting = 1
	eraseCrypto eraseSetting = 2
)

// formatCommand is Format NVM with the LBA format kept. A setting that erases nothing cannot be built.
func formatCommand(nsid uint32, lbaFormat uint8, ses eraseSetting, timeout time.Duration) (passthru.NVMe, error) {
	if ses != eraseUser && ses != eraseCrypto {
		return passthru.NVMe{}, fmt.Errorf("a format with secure erase setting %d erases nothing", ses)
	}
	c := passthru.NVMe{Opcode: opFormat, NSID: nsid, Timeout: timeout}
	c.CDW[0] = uint32(lbaFormat&0xf) | uint32(ses)<<9 | uint32(lbaFormat>>4&3)<<12
	return c, nil
}

// text keeps printable ASCII without the padding: drives choose what stands in these fields.
func text(b []byte) string {
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(b))
	return strings.TrimSpace(s)
}
