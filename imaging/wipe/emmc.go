package wipe

import (
	"bytes"
	"fmt"
)

// EMMCAbility is what the extended CSD register tells (JESD84-B51, 7.4).
type EMMCAbility struct {
	Revision   uint8  `json:"revision"`    // byte 192
	Sanitize   bool   `json:"sanitize"`    // byte 231 bit 6
	Trim       bool   `json:"trim"`        // bit 4: secure and plain trim
	Secure     bool   `json:"secure"`      // bit 0: secure erase
	BootBytes  uint64 `json:"boot_bytes"`  // of one boot area; there are two
	BootLocked bool   `json:"boot_locked"` // byte 173: write-protected for good
	RPMB       bool   `json:"rpmb"`
	General    bool   `json:"general,omitempty"` // bytes 143 to 154: it has general purpose partitions, which are other drives to the kernel
}

const (
	extCSDSize       = 512
	extBootWP        = 173
	extGeneral       = 143 // 12 bytes
	extSanitizeStart = 165
	extRPMB          = 168
	extRevision      = 192
	extBootSize      = 226
	extSecFeature    = 231
	mmcSendExtCSD    = 8
	mmcSwitchCommand = 6
	mmcWriteByte     = 3 << 24
)

func parseExtCSD(b []byte) (EMMCAbility, error) {
	if len(b) < extCSDSize {
		return EMMCAbility{}, fmt.Errorf("extended CSD: %d bytes", len(b))
	}
	if b[extRevision] == 0 && b[extSecFeature] == 0 && b[212] == 0 && b[215] == 0 {
		return EMMCAbility{}, fmt.Errorf("extended CSD: it is empty")
	}
	f := b[extSecFeature]
	general := bytes.Trim(b[extGeneral:extGeneral+12], "\x00")
	return EMMCAbility{
		Revision: b[extRevision], Sanitize: f&(1<<6) != 0, Trim: f&(1<<4) != 0, Secure: f&1 != 0,
		BootBytes: uint64(b[extBootSize]) * 128 << 10, BootLocked: b[extBootWP]&(1<<2|1<<3) != 0, RPMB: b[extRPMB] != 0, General: len(general) > 0,
	}, nil
}
