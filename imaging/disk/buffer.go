package disk

import (
	"encoding/binary"
	"unsafe"

	"ingot/imaging/passthru"
)

// AlignedBuffer returns n bytes of zeros whose address suits O_DIRECT.
func AlignedBuffer(n int) []byte { return passthru.Aligned(n) }

// aligned reports whether b may be given to O_DIRECT as it is.
func aligned(b []byte) bool {
	return len(b) > 0 && uintptr(unsafe.Pointer(unsafe.SliceData(b)))&511 == 0
}

// firstNonZero gives the index of b's first byte that is not zero, or -1.
func firstNonZero(b []byte) int {
	i := 0
	for ; i+32 <= len(b); i += 32 {
		if binary.NativeEndian.Uint64(b[i:])|binary.NativeEndian.Uint64(b[i+8:])|
			binary.NativeEndian.Uint64(b[i+16:])|binary.NativeEndian.Uint64(b[i+24:]) != 0 {
			break
		}
	}
	for ; i < len(b); i++ {
		if b[i] != 0 {
			return i
		}
	}
	return -1
}
