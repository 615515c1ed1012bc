package wipe

import (
	"encoding/binary"
	"fmt"
)

// OpalAbility is what Level 0 discovery tells (TCG Storage Architecture Core, 3.3.6).
type OpalAbility struct {
	Supported bool `json:"supported"` // an Opal, Opalite or Pyrite security provider
	Enabled   bool `json:"enabled"`   // locking is switched on
	Locked    bool `json:"locked"`    // some range is locked now
	Encrypts  bool `json:"encrypts"`  // the drive says that it always encrypts
	Shadow    bool `json:"shadow"`    // a shadow MBR hides the drive's beginning
}

// Features of the discovery's list.
const (
	featLocking = 0x0002
	featOpal1   = 0x0200
	featOpal2   = 0x0203
	featOpalite = 0x0301
	featPyrite1 = 0x0302
	featPyrite2 = 0x0303
	featRuby    = 0x0304
)

// parseDiscovery reads the answer to Level 0 discovery: a header of 48 bytes and a list of features.
func parseDiscovery(b []byte) (OpalAbility, error) {
	if len(b) < 48 {
		return OpalAbility{}, fmt.Errorf("level 0 discovery: %d bytes", len(b))
	}
	end := 4 + uint64(binary.BigEndian.Uint32(b))
	if end > uint64(len(b)) {
		return OpalAbility{}, fmt.Errorf("level 0 discovery: it says %d bytes, %d came", end, len(b))
	}
	if end < 48 { // a drive without TCG answers with zeros
		return OpalAbility{}, nil
	}
	var o OpalAbility
	for list := b[48:end]; len(list) >= 4; {
		n := 4 + int(list[3])
		if n > len(list) {
			return OpalAbility{}, fmt.Errorf("level 0 discovery: a feature is cut off")
		}
		switch binary.BigEndian.Uint16(list) {
		case featLocking:
			if n > 4 {
				f := list[4]
				o.Enabled, o.Locked, o.Encrypts, o.Shadow = f&2 != 0, f&4 != 0, f&8 != 0, f&16 != 0 && f&32 == 0
			}
		case featOpal1, featOpal2, featOpalite, featPyrite1, featPyrite2, featRuby:
			o.Supported = true
		}
		list = list[n:]
	}
	return o, nil
}

// goodPSID reports whether s can be the code on a label: 32 letters and digits.
func goodPSID(s string) bool {
	if len(s) != 32 {
		return false
	}
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return false
		}
	}
	return true
}
