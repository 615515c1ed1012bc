package job

import "strings"

// The agent checks the form of what it is told by hand: package regexp alone would be a sixtieth of what a laptop loads by
// TFTP before anything is shown.

// Sets of characters for Consists.
const (
	Digits  = "0123456789"
	Hex     = Digits + "abcdef"
	Lower   = "abcdefghijklmnopqrstuvwxyz"
	Letters = Lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// Consists reports whether s has between least and most bytes, all of them in set.
func Consists(s string, least, most int, set string) bool {
	return len(s) >= least && len(s) <= most && strings.Trim(s, set) == ""
}

// IsHex reports whether s is n hex digits in small letters.
func IsHex(s string, n int) bool { return Consists(s, n, n, Hex) }
