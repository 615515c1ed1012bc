package efivar

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// GUID is a UEFI GUID in memory order: the first three fields little endian, as in GPT and device paths.
type GUID [16]byte

// Global is the vendor of the variables that the UEFI specification defines.
var Global = mustGUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")

// ParseGUID reads the 36-character text in either case.
func ParseGUID(s string) (GUID, error) {
	var g GUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return g, fmt.Errorf("parse GUID %.40q: want 8-4-4-4-12 hex digits", s)
	}
	if _, err := hex.Decode(g[:], []byte(strings.ReplaceAll(s, "-", ""))); err != nil {
		return GUID{}, fmt.Errorf("parse GUID %q: %w", s, err)
	}
	return g.turned(), nil
}

func mustGUID(s string) GUID {
	g, err := ParseGUID(s)
	if err != nil {
		panic(err)
	}
	return g
}

// String is the lower-case text.
func (g GUID) String() string {
	t := g.turned()
	return fmt.Sprintf("%x-%x-%x-%x-%x", t[0:4], t[4:6], t[6:8], t[8:10], t[10:16])
}

func (g GUID) turned() GUID {
	return GUID{g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12], g[13], g[14], g[15]}
}
