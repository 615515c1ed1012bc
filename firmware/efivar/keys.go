package efivar

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
)

// ImageSecurity is the vendor of db and dbx (UEFI 2.10, 32.4.1: EFI_IMAGE_SECURITY_DATABASE_GUID).
var ImageSecurity = mustGUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")

// The kinds of signatures that count here (UEFI 2.10, 32.4.1).
var (
	certSHA256     = mustGUID("c1c41626-504c-4092-aca9-41f936934328") // the hash of a program
	certX509       = mustGUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072") // a certificate
	certX509SHA256 = mustGUID("3bd2a492-96c0-4079-b420-fcf98ef103ed") // the hash of a certificate's signed part, and a time
)

const (
	listHeader = 28 // type, list size, header size, signature size
	ownerSize  = 16
	timeSize   = 16
)

// Database is one of Secure Boot's lists: db, what may start, or dbx, what may not.
type Database struct {
	Certs    []*x509.Certificate
	Programs map[[sha256.Size]byte]bool // by their Authenticode hash
	Signed   map[[sha256.Size]byte]bool // certificates by the hash of their signed part
	Others   int                        // entries of a kind that is not read here, or damaged certificates
}

// Len is the number of entries.
func (d Database) Len() int { return len(d.Certs) + len(d.Programs) + len(d.Signed) + d.Others }

// Keys is what Secure Boot decides by.
type Keys struct{ DB, DBX Database }

// Keys reads db and dbx. A machine whose dbx is not there has revoked nothing; without a db nothing may start.
func (v *Vars) Keys() (Keys, error) {
	var k Keys
	for name, into := range map[string]*Database{"db": &k.DB, "dbx": &k.DBX} {
		_, b, err := v.Get(Name{name, ImageSecurity})
		if errors.Is(err, ErrNotExist) {
			continue
		}
		if err != nil {
			return Keys{}, err
		}
		if *into, err = ParseDatabase(b); err != nil {
			return Keys{}, fmt.Errorf("read UEFI variable %s: %w", name, err)
		}
	}
	return k, nil
}

// ParseDatabase reads a run of EFI_SIGNATURE_LISTs. A list whose sizes do not fit is an error; an entry that is not
// understood is counted.
func ParseDatabase(b []byte) (Database, error) {
	d := Database{Programs: map[[sha256.Size]byte]bool{}, Signed: map[[sha256.Size]byte]bool{}}
	for len(b) > 0 {
		if len(b) < listHeader {
			return Database{}, fmt.Errorf("signature list: %d bytes are left, a list has at least %d", len(b), listHeader)
		}
		list := uint64(binary.LittleEndian.Uint32(b[16:]))
		header := uint64(binary.LittleEndian.Uint32(b[20:]))
		each := uint64(binary.LittleEndian.Uint32(b[24:]))
		if list < listHeader+header || list > uint64(len(b)) || each < ownerSize || (list-listHeader-header)%each != 0 {
			return Database{}, fmt.Errorf("signature list of %d bytes, header %d, entries of %d: they do not fit", list, header, each)
		}
		for rest := b[listHeader+header : list]; len(rest) > 0; rest = rest[each:] {
			d.add(GUID(b[:16]), rest[ownerSize:each])
		}
		b = b[list:]
	}
	return d, nil
}

func (d *Database) add(kind GUID, data []byte) {
	switch {
	case kind == certSHA256 && len(data) == sha256.Size:
		d.Programs[[sha256.Size]byte(data)] = true
	case kind == certX509SHA256 && len(data) == sha256.Size+timeSize:
		d.Signed[[sha256.Size]byte(data)] = true
	case kind == certX509:
		if c, err := x509.ParseCertificate(data); err == nil {
			d.Certs = append(d.Certs, c)
			return
		}
		d.Others++
	default:
		d.Others++
	}
}
