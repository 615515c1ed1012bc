package authenticode

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// The processors that UEFI laptops have, by the names of their fallback loaders (UEFI 2.10, 3.5.1.1).
const (
	X64  = "x64"
	IA32 = "ia32"
	AA64 = "aa64"
)

var machines = map[uint16]string{0x8664: X64, 0x14c: IA32, 0xaa64: AA64}

const (
	coffSize     = 20
	sectionSize  = 40
	maxSections  = 96 // PE format: the loader's own limit
	securityDir  = 4  // index of the certificate table among the data directories
	certHeader   = 8  // WIN_CERTIFICATE: length, revision, type
	pkcsSigned   = 2  // WIN_CERT_TYPE_PKCS_SIGNED_DATA
	maxSignature = 8
)

// ErrNotProgram says that the bytes are no EFI program.
var ErrNotProgram = errors.New("not an EFI program")

// layout is where the parts of a program lie. Every number is proven to lie within it.
type layout struct {
	arch        string
	checksum    int // of the 4 bytes that no hash covers
	dirEntry    int // of the certificate table's directory entry
	headers     int // bytes
	sections    [][2]int
	certs, size int // the certificate table; size 0 for none
}

// parsePE finds the parts.
func parsePE(b []byte) (layout, error) {
	var l layout
	le := binary.LittleEndian
	if len(b) < 64 || string(b[:2]) != "MZ" {
		return l, ErrNotProgram
	}
	pe := int64(le.Uint32(b[60:]))
	if pe > int64(len(b))-4-coffSize || string(b[pe:pe+4]) != "PE\x00\x00" {
		return l, ErrNotProgram
	}
	coff := int(pe) + 4
	count, optional := int(le.Uint16(b[coff+2:])), int(le.Uint16(b[coff+16:]))
	l.arch = machines[le.Uint16(b[coff:])]
	opt := coff + coffSize
	table := opt + optional
	if count > maxSections || table+count*sectionSize > len(b) || optional < 2 {
		return l, fmt.Errorf("program with %d sections and a header of %d bytes: %w", count, optional, ErrNotProgram)
	}
	dirs := map[uint16]int{0x10b: 96, 0x20b: 112}[le.Uint16(b[opt:])] // PE32, PE32+
	if dirs == 0 || optional < dirs+8*(securityDir+1) || le.Uint32(b[opt+dirs-4:]) <= securityDir {
		return l, fmt.Errorf("program without a certificate directory: %w", ErrNotProgram)
	}
	l.checksum, l.dirEntry = opt+64, opt+dirs+8*securityDir
	headers := int64(le.Uint32(b[opt+60:]))
	if headers < int64(table+count*sectionSize) || headers > int64(len(b)) {
		return l, fmt.Errorf("program with headers of %d bytes: %w", headers, ErrNotProgram)
	}
	l.headers = int(headers)
	if err := l.readSections(b, table, count); err != nil {
		return l, err
	}
	return l, l.readDirectory(b)
}

func (l *layout) readSections(b []byte, table, count int) error {
	for i := range count {
		s := b[table+i*sectionSize:]
		size, at := int64(binary.LittleEndian.Uint32(s[16:])), int64(binary.LittleEndian.Uint32(s[20:]))
		if size == 0 {
			continue
		}
		if at < int64(l.headers) || at+size > int64(len(b)) {
			return fmt.Errorf("section %d, %d bytes at %d, does not lie in the program: %w", i+1, size, at, ErrNotProgram)
		}
		l.sections = append(l.sections, [2]int{int(at), int(at + size)})
	}
	slices.SortFunc(l.sections, func(x, y [2]int) int { return x[0] - y[0] })
	for i := 1; i < len(l.sections); i++ {
		if l.sections[i][0] < l.sections[i-1][1] {
			return fmt.Errorf("sections overlap: %w", ErrNotProgram)
		}
	}
	return nil
}

func (l *layout) readDirectory(b []byte) error {
	at, size := int64(binary.LittleEndian.Uint32(b[l.dirEntry:])), int64(binary.LittleEndian.Uint32(b[l.dirEntry+4:]))
	if size == 0 {
		l.certs = len(b)
		return nil
	}
	end := l.headers
	if n := len(l.sections); n > 0 {
		end = l.sections[n-1][1]
	}
	if at < int64(end) || at+size != int64(len(b)) {
		return fmt.Errorf("certificates, %d bytes at %d, do not lie at the program's end: %w", size, at, ErrNotProgram)
	}
	l.certs, l.size = int(at), int(size)
	return nil
}

// digest is the hash of everything but the checksum, the certificates and their directory entry.
func (l layout) digest(b []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(b[:l.checksum])
	h.Write(b[l.checksum+4 : l.dirEntry])
	h.Write(b[l.dirEntry+8 : l.headers])
	end := l.headers
	for _, s := range l.sections {
		h.Write(b[s[0]:s[1]])
		end = s[1]
	}
	h.Write(b[end:l.certs])
	return [sha256.Size]byte(h.Sum(nil))
}

// signatures gives the PKCS#7 messages of the certificate table.
func (l layout) signatures(b []byte) ([][]byte, error) {
	var out [][]byte
	for rest := b[l.certs : l.certs+l.size]; len(rest) > 0; {
		if len(rest) < certHeader {
			return nil, errors.New("the table of certificates ends in mid-entry")
		}
		n := int64(binary.LittleEndian.Uint32(rest))
		if n < certHeader || n > int64(len(rest)) || len(out) == maxSignature {
			return nil, fmt.Errorf("an entry of %d bytes in the table of certificates", n)
		}
		if binary.LittleEndian.Uint16(rest[6:]) == pkcsSigned {
			out = append(out, rest[certHeader:n])
		}
		rest = rest[min((n+7)&^7, int64(len(rest))):]
	}
	return out, nil
}
