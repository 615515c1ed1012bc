package wipe

import (
	"encoding/binary"
	"fmt"
	"time"

	"ingot/imaging/passthru"
)

// ATA's commands (ACS-4; HPA and DCO of ATA8-ACS).
const (
	ataIdentify        = 0xec
	ataSanitize        = 0xb4
	ataTrustedGet      = 0x5c
	ataReadNativeMax   = 0x27
	ataSetMax          = 0x37
	ataDCO             = 0xb1
	ataAMAC            = 0x78
	ataSecSetPassword  = 0xf1
	ataSecUnlock       = 0xf2
	ataSecErasePrepare = 0xf3
	ataSecEraseUnit    = 0xf4
	ataSecDisable      = 0xf6

	sanStatus    = 0x0000
	sanCrypto    = 0x0011
	sanBlock     = 0x0012
	sanOverwrite = 0x0014

	keyCrypto    = 0x43727970 // "Cryp"
	keyBlock     = 0x426b4572 // "BkEr"
	keyOverwrite = 0x4f57     // "OW", above a 32-bit pattern

	dcoIdentify = 0xc2
	dcoRestore  = 0xc0

	lbaMode = 1 << 6 // of the device register
)

// ATAAbility is what IDENTIFY DEVICE tells about wiping.
type ATAAbility struct {
	Sanitize    bool              `json:"sanitize"` // word 59 bit 12
	Crypto      bool              `json:"crypto"`   // bit 13
	Overwrite   bool              `json:"overwrite"`
	Block       bool              `json:"block"`
	Security    ATASecurity       `json:"security"`
	HPA         bool              `json:"hpa"`      // host protected area, word 82 bit 10
	DCO         bool              `json:"dco"`      // device configuration overlay, word 83 bit 11
	AMAC        bool              `json:"amac"`     // accessible max address configuration, word 119 bit 8
	Trusted     bool              `json:"trusted"`  // word 48 bit 0: Opal can be asked about
	Rotation    uint16            `json:"rotation"` // word 217: 1 is no rotation, 0 not told
	Sectors     uint64            `json:"sectors"`
	Status      ATASanitizeStatus `json:"status"`
	StatusKnown bool              `json:"status_known"` // the drive answered SANITIZE STATUS
}

// ATASecurity is word 128, and how long an erase takes (words 89 and 90).
type ATASecurity struct {
	Supported     bool          `json:"supported"`
	Enabled       bool          `json:"enabled"`
	Locked        bool          `json:"locked"`
	Frozen        bool          `json:"frozen"`
	Expired       bool          `json:"expired"`
	Enhanced      bool          `json:"enhanced"`
	Erase         time.Duration `json:"erase"` // 0: not told
	EraseEnhanced time.Duration `json:"erase_enhanced"`
}

// parseIdentify reads IDENTIFY DEVICE (ACS-4, 7.13).
func parseIdentify(b []byte) (identified, ATAAbility, error) {
	if len(b) < 512 {
		return identified{}, ATAAbility{}, fmt.Errorf("identify device: %d bytes", len(b))
	}
	w := func(i int) uint16 { return binary.LittleEndian.Uint16(b[2*i:]) }
	if sum := b[510]; sum == 0xa5 && checksum(b) != 0 { // word 255: a checksum, when its low byte says so
		return identified{}, ATAAbility{}, fmt.Errorf("identify device: its checksum is wrong")
	}
	id := identified{Serial: swapped(b[20:40]), Firmware: swapped(b[46:54]), Model: swapped(b[54:94])}
	if id.Serial == "" && id.Model == "" {
		return identified{}, ATAAbility{}, fmt.Errorf("identify device: neither serial nor model")
	}
	if w(87)&(1<<8) != 0 {
		id.WWN = fmt.Sprintf("naa.%04x%04x%04x%04x", w(108), w(109), w(110), w(111))
	}
	a := ATAAbility{
		Sanitize: w(59)&(1<<12) != 0, Rotation: w(217), Trusted: w(48)&1 != 0,
		Sectors: uint64(w(100)) | uint64(w(101))<<16 | uint64(w(102))<<32 | uint64(w(103))<<48,
	}
	a.Crypto, a.Overwrite, a.Block = a.Sanitize && w(59)&(1<<13) != 0, a.Sanitize && w(59)&(1<<14) != 0, a.Sanitize && w(59)&(1<<15) != 0
	if w(83)&0xc000 == 0x4000 { // words 82 and 83 hold what they say
		a.HPA, a.DCO = w(82)&(1<<10) != 0, w(83)&(1<<11) != 0
	}
	a.AMAC = w(119)&0xc000 == 0x4000 && w(119)&(1<<8) != 0
	if w(83)&(1<<10) == 0 { // no 48-bit addresses
		a.Sectors = uint64(w(60)) | uint64(w(61))<<16
	}
	a.Security = parseSecurity(w)
	return id, a, nil
}

func parseSecurity(w func(int) uint16) ATASecurity {
	s := w(128)
	return ATASecurity{
		Supported: s&1 != 0, Enabled: s&2 != 0, Locked: s&4 != 0, Frozen: s&8 != 0, Expired: s&16 != 0, Enhanced: s&32 != 0,
		Erase: eraseTime(w(89)), EraseEnhanced: eraseTime(w(90)),
	}
}

// eraseTime reads words 89 and 90: units of two minutes, in 8 or, with bit 15, in 15 bits; their maximum means "more".
func eraseTime(w uint16) time.Duration {
	n := w & 0xff
	if w&(1<<15) != 0 {
		n = w & 0x7fff
	}
	return time.Duration(n) * 2 * time.Minute
}

func checksum(b []byte) (sum byte) {
	for _, v := range b[:512] {
		sum += v
	}
	return sum
}

// swapped reads an ATA string: the two characters of each word stand the wrong way round.
func swapped(b []byte) string {
	out := make([]byte, len(b))
	for i := 0; i+1 < len(b); i += 2 {
		out[i], out[i+1] = b[i+1], b[i]
	}
	return text(out)
}

// ATASanitizeStatus is what SANITIZE STATUS EXT answers (ACS-4, 7.36.7).
type ATASanitizeStatus struct {
	Succeeded  bool   `json:"succeeded"` // the latest one ended well
	Running    bool   `json:"running"`
	Frozen     bool   `json:"frozen"` // sanitize's own freeze lock
	Antifreeze bool   `json:"antifreeze"`
	Failed     bool   `json:"failed"`   // the latest one did not, and the drive waits for another
	Progress   uint16 `json:"progress"` // of 65536, while it runs
	Raw        string `json:"raw"`
}

// sanitizeReason is why a sanitize command was aborted (LBA 7:0).
const (
	reasonUnsuccessful = 1
	reasonInvalid      = 2
	reasonFrozen       = 3
	reasonAntifreeze   = 4
)

// parseSanitizeStatus reads the answer's registers. An abort with reason 1 is an answer, too: the latest sanitize failed.
func parseSanitizeStatus(r passthru.Registers) (ATASanitizeStatus, error) {
	s := ATASanitizeStatus{Raw: r.String()}
	if !r.OK() {
		if r.Aborted() && byte(r.LBA) == reasonUnsuccessful {
			s.Failed = true
			return s, nil
		}
		return s, fmt.Errorf("sanitize status: %s", r)
	}
	if r.Narrow {
		return s, fmt.Errorf("sanitize status: the answer's upper half was lost on the way: %s", r)
	}
	s.Succeeded, s.Running, s.Frozen, s.Antifreeze = r.Count&(1<<15) != 0, r.Count&(1<<14) != 0, r.Count&(1<<13) != 0, r.Count&(1<<12) != 0
	s.Progress = uint16(r.LBA)
	return s, nil
}

// sanitizeCommand builds a SANITIZE DEVICE command. The failure mode bit stays clear: a drive that failed keeps its
// data locked until a sanitize succeeds.
func sanitizeCommand(t Technique) passthru.Taskfile {
	c := passthru.Taskfile{Command: ataSanitize, Device: lbaMode, Wide: true, Timeout: commandTime}
	switch t {
	case ATACrypto:
		c.Feature, c.LBA = sanCrypto, keyCrypto
	case ATABlock:
		c.Feature, c.LBA = sanBlock, keyBlock
	case ATAOverwrite:
		c.Feature, c.LBA, c.Count = sanOverwrite, keyOverwrite<<32, 1 // one pass of zeros
	}
	return c
}

// securityCommand builds a SECURITY command with its data block (ACS-4, 7.38 to 7.44): word 0 and a password of 32 bytes.
func securityCommand(cmd uint8, word0 uint16, password string, timeout time.Duration) passthru.Taskfile {
	block := make([]byte, 512)
	binary.LittleEndian.PutUint16(block, word0)
	copy(block[2:34], password)
	return passthru.Taskfile{Command: cmd, Device: lbaMode, Count: 1, Move: passthru.ToDrive, Data: block, Timeout: timeout}
}

// enhancedErase is bit 1 of SECURITY ERASE UNIT's word 0.
const enhancedErase = 1 << 1
