package inspect

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ingot/imaging/inspect/sqlite"
)

// rpmPlaces are where rpm keeps its database; the first is a link to the second on younger systems.
var rpmPlaces = []string{"/usr/lib/sysimage/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite"}

// rpm reads rpm's database of what is installed, and when that last changed.
func (l *look) rpm() {
	for _, p := range rpmPlaces {
		f := l.tree.open(p)
		if f == nil {
			continue
		}
		if s, ok := l.tree.stat(p + "-wal"); ok && s.Size > 0 {
			l.tree.fail(p, errors.New("its log (-wal) holds changes, which are not read"))
		}
		err := sqlite.Rows(f, f.Stat().Size, "Packages", func(r sqlite.Row) bool {
			if len(r) < 2 {
				return true
			}
			b, _ := r[1].([]byte)
			h, err := ParseHeader(b)
			l.tree.fail(p, err)
			if err == nil && h.Name != "gpg-pubkey" {
				l.add(h.Package)
				l.patchedAt(h.Installed)
			}
			if h.Name == "glibc" {
				l.System.Arch = clean(h.Arch)
			}
			return l.ctx.Err() == nil
		})
		l.tree.fail(p, err)
		return
	}
	for _, p := range []string{"/var/lib/rpm/Packages", "/var/lib/rpm/Packages.db"} {
		if l.tree.isFile(p) {
			l.tree.fail(p, errors.New("rpm's older databases are not read"))
		}
	}
}

// Header is what is read of the record of one rpm package.
type Header struct {
	Package
	Installed int64 // seconds of unix time
}

// The tags of a header (rpm, rpmtag.h), and the types of their data.
const (
	tagName, tagVersion, tagRelease, tagEpoch, tagInstalled, tagVendor, tagArch = 1000, 1001, 1002, 1003, 1008, 1011, 1022

	rpmInt32  = 4
	rpmString = 6
	maxTags   = 4096
)

// ParseHeader reads the record of one package: counts of tags and of bytes, the tags, the data; all big endian.
func ParseHeader(b []byte) (h Header, err error) {
	be := binary.BigEndian
	h.Kind = "rpm"
	if len(b) < 8 {
		return h, errors.New("a package's record ends too early")
	}
	tags, size := int64(be.Uint32(b)), int64(be.Uint32(b[4:]))
	if tags > maxTags || size > int64(len(b)) || 8+16*tags+size > int64(len(b)) {
		return h, fmt.Errorf("a package's record with %d tags and %d bytes", tags, size)
	}
	data := b[8+16*tags:][:size]
	release, epoch := "", ""
	for i := range tags {
		e := b[8+16*i:]
		tag, typ, at := be.Uint32(e), be.Uint32(e[4:]), int64(be.Uint32(e[8:]))
		if at >= size {
			continue
		}
		switch d := data[at:]; {
		case typ == rpmString:
			h.take(tag, d, &release)
		case typ == rpmInt32 && len(d) >= 4 && tag == tagEpoch:
			epoch = fmt.Sprint(be.Uint32(d)) + ":"
		case typ == rpmInt32 && len(d) >= 4 && tag == tagInstalled:
			h.Installed = int64(be.Uint32(d))
		}
	}
	if release != "" {
		h.Version = epoch + h.Version + "-" + release
	}
	return h, nil
}

func (h *Header) take(tag uint32, d []byte, release *string) {
	for tagged, to := range map[uint32]*string{tagName: &h.Name, tagVersion: &h.Version, tagRelease: release, tagVendor: &h.Vendor, tagArch: &h.Arch} {
		if tagged == tag {
			*to = cString(d)
		}
	}
}

// cString is the text up to its zero, of at most maxText bytes.
func cString(d []byte) string {
	d = d[:min(len(d), maxText)]
	for i, c := range d {
		if c == 0 {
			return string(d[:i])
		}
	}
	return string(d)
}
