package firmware

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// The layout of the FAT32 volume (Microsoft's FAT specification 1.03): one sector a cluster, so that the least
// size at which FAT32 is FAT32 stays small.
const (
	sector         = 512
	fatReserved    = 32 // sectors before the first FAT
	fatCopies      = 2
	fatMinClusters = 66_000 // 65 525 makes it FAT32; some firmware counts loosely near that number
	fatMaxClusters = 8 << 20
	fatEnd         = 0x0fffffff
	dirEntry       = 32
	fatDate        = 1<<5 | 1 // 1980-01-01, the epoch of FAT
)

// fatFile is one file of the volume. Its path is made of 8.3 names; case is kept by the flag that Windows NT
// introduced, so no long names are needed.
type fatFile struct {
	path string
	data []byte
}

// fatDir is one folder while the volume is laid out.
type fatDir struct {
	name    string
	parent  *fatDir
	entries []*fatEntry
	first   uint32 // cluster
}

type fatEntry struct {
	name  string
	dir   *fatDir // nil for a file
	data  []byte
	first uint32
}

// fatVolume is a volume laid out: every file and folder contiguous, in the order given.
type fatVolume struct {
	root     *fatDir
	dirs     []*fatDir
	files    []*fatEntry
	offsets  map[string]int64 // of a file's first byte inside the volume
	clusters uint32           // data clusters
	fatSize  uint32           // sectors of one FAT
	used     uint32           // clusters in use
	id       uint32
	label    string
}

// layFAT decides where everything lies. id is the volume's serial number.
func layFAT(files []fatFile, label string, id uint32) (*fatVolume, error) {
	v := &fatVolume{root: &fatDir{}, offsets: map[string]int64{}, id: id, label: label}
	v.dirs = []*fatDir{v.root}
	byPath := map[string]*fatEntry{}
	for _, f := range files {
		parts := strings.Split(f.path, "/")
		dir := v.root
		for _, p := range parts[:len(parts)-1] {
			d, err := v.folder(dir, p)
			if err != nil {
				return nil, err
			}
			dir = d
		}
		name := parts[len(parts)-1]
		if err := dir.free(name); err != nil {
			return nil, err
		}
		e := &fatEntry{name: name, data: f.data}
		dir.entries = append(dir.entries, e)
		v.files = append(v.files, e)
		byPath[f.path] = e
	}
	next := uint32(2)
	take := func(bytes int) uint32 {
		first := next
		next += uint32((bytes + sector - 1) / sector)
		return first
	}
	for _, d := range v.dirs {
		d.first = take((len(d.entries) + 2) * dirEntry)
	}
	for _, f := range v.files {
		if len(f.data) > 0 {
			f.first = take(len(f.data))
		}
	}
	if next > fatMaxClusters {
		return nil, fmt.Errorf("FAT volume: %d clusters are too many", next)
	}
	v.used = next - 2
	v.clusters = max(v.used, fatMinClusters)
	v.fatSize = ((v.clusters+2)*4 + sector - 1) / sector
	for p, e := range byPath {
		v.offsets[p] = v.clusterOffset(e.first)
	}
	return v, nil
}

// folder finds or makes a folder in dir.
func (v *fatVolume) folder(dir *fatDir, name string) (*fatDir, error) {
	for _, e := range dir.entries {
		if e.name == name && e.dir != nil {
			return e.dir, nil
		}
	}
	if err := dir.free(name); err != nil {
		return nil, err
	}
	d := &fatDir{name: name, parent: dir}
	dir.entries = append(dir.entries, &fatEntry{name: name, dir: d})
	v.dirs = append(v.dirs, d)
	return d, nil
}

// free checks that a name is a usable 8.3 name that no other entry has.
func (d *fatDir) free(name string) error {
	if _, _, err := shortName(name); err != nil {
		return err
	}
	for _, e := range d.entries {
		if strings.EqualFold(e.name, name) {
			return fmt.Errorf("FAT volume: %s stands twice", name)
		}
	}
	return nil
}

// size is the volume's length in bytes.
func (v *fatVolume) size() int64 {
	return int64(fatReserved+fatCopies*v.fatSize+v.clusters) * sector
}

func (v *fatVolume) clusterOffset(c uint32) int64 {
	return int64(fatReserved+fatCopies*v.fatSize+c-2) * sector
}

// writeTo writes the volume at offset base of w, which must read as zeros there. start is the partition's first
// sector on the disk.
func (v *fatVolume) writeTo(w io.WriterAt, base int64, start uint32) error {
	put := func(off int64, b []byte) error {
		if _, err := w.WriteAt(b, base+off); err != nil {
			return fmt.Errorf("write FAT volume: %w", err)
		}
		return nil
	}
	boot, info := v.bootSector(start), v.infoSector()
	for _, at := range []int64{0, 6} { // the second is the specification's backup
		if err := put(at*sector, append(boot, info...)); err != nil {
			return err
		}
	}
	table := v.table()
	for i := int64(0); i < fatCopies; i++ {
		if err := put((fatReserved+i*int64(v.fatSize))*sector, table); err != nil {
			return err
		}
	}
	for _, d := range v.dirs {
		b, err := v.dirBytes(d)
		if err != nil {
			return err
		}
		if err := put(v.clusterOffset(d.first), b); err != nil {
			return err
		}
	}
	for _, f := range v.files {
		if len(f.data) == 0 {
			continue
		}
		if err := put(v.clusterOffset(f.first), f.data); err != nil {
			return err
		}
	}
	return nil
}

func (v *fatVolume) bootSector(start uint32) []byte {
	b := make([]byte, sector)
	le := binary.LittleEndian
	copy(b, []byte{0xeb, 0x58, 0x90})
	copy(b[3:], "INGOT   ")
	le.PutUint16(b[11:], sector)
	b[13] = 1
	le.PutUint16(b[14:], fatReserved)
	b[16] = fatCopies
	b[21] = 0xf8
	le.PutUint16(b[24:], 63)
	le.PutUint16(b[26:], 255)
	le.PutUint32(b[28:], start)
	le.PutUint32(b[32:], uint32(v.size()/sector))
	le.PutUint32(b[36:], v.fatSize)
	le.PutUint32(b[44:], v.root.first)
	le.PutUint16(b[48:], 1) // information sector
	le.PutUint16(b[50:], 6) // backup boot sector
	b[64], b[66] = 0x80, 0x29
	le.PutUint32(b[67:], v.id)
	copy(b[71:], fmt.Sprintf("%-11.11s", v.label))
	copy(b[82:], "FAT32   ")
	b[510], b[511] = 0x55, 0xaa
	return b
}

func (v *fatVolume) infoSector() []byte {
	b := make([]byte, sector)
	le := binary.LittleEndian
	le.PutUint32(b, 0x41615252)
	le.PutUint32(b[484:], 0x61417272)
	le.PutUint32(b[488:], v.clusters-v.used)
	le.PutUint32(b[492:], min(v.used+2, v.clusters+1))
	le.PutUint32(b[508:], 0xaa550000)
	return b
}

// table is one FAT: each chain runs through neighbouring clusters.
func (v *fatVolume) table() []byte {
	b := make([]byte, int(v.fatSize)*sector)
	set := func(c, to uint32) { binary.LittleEndian.PutUint32(b[4*c:], to) }
	set(0, 0x0ffffff8)
	set(1, fatEnd)
	chain := func(first uint32, bytes int) {
		n := uint32((bytes + sector - 1) / sector)
		for i := uint32(0); i < n; i++ {
			set(first+i, first+i+1)
		}
		if n > 0 {
			set(first+n-1, fatEnd)
		}
	}
	for _, d := range v.dirs {
		chain(d.first, (len(d.entries)+2)*dirEntry)
	}
	for _, f := range v.files {
		chain(f.first, len(f.data))
	}
	return b
}

// dirBytes is a folder's list: the label in the root, "." and ".." elsewhere.
func (v *fatVolume) dirBytes(d *fatDir) ([]byte, error) {
	var b []byte
	if d == v.root {
		b = append(b, rawEntry(fmt.Sprintf("%-11.11s", v.label), 0, 0x08, 0, 0)...)
	} else {
		b = append(b, rawEntry(".          ", 0, 0x10, d.first, 0)...)
		up := d.parent.first
		if d.parent == v.root {
			up = 0
		}
		b = append(b, rawEntry("..         ", 0, 0x10, up, 0)...)
	}
	for _, e := range d.entries {
		name, lower, err := shortName(e.name)
		if err != nil {
			return nil, err
		}
		if e.dir != nil {
			b = append(b, rawEntry(name, lower, 0x10, e.dir.first, 0)...)
		} else {
			b = append(b, rawEntry(name, lower, 0x20, e.first, uint32(len(e.data)))...)
		}
	}
	return b, nil
}

func rawEntry(name string, lower, attr byte, first, size uint32) []byte {
	b := make([]byte, dirEntry)
	le := binary.LittleEndian
	copy(b, name)
	b[11], b[12] = attr, lower
	for _, at := range []int{16, 18, 24} { // created, read, written
		le.PutUint16(b[at:], fatDate)
	}
	le.PutUint16(b[20:], uint16(first>>16))
	le.PutUint16(b[26:], uint16(first))
	le.PutUint32(b[28:], size)
	return b
}

// shortName gives the eleven bytes of an 8.3 name and the flags for a base (8) and an ending (16) in lower case.
func shortName(name string) (padded string, lower byte, err error) {
	base, ext, _ := strings.Cut(name, ".")
	if base == "" || len(base) > 8 || len(ext) > 3 || strings.Contains(ext, ".") {
		return "", 0, fmt.Errorf("FAT volume: %q is no 8.3 name", name)
	}
	for i, part := range []string{base, ext} {
		if part != strings.ToUpper(part) && part != strings.ToLower(part) {
			return "", 0, fmt.Errorf("FAT volume: %q mixes upper and lower case", name)
		}
		for _, c := range part {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_-", c)) {
				return "", 0, fmt.Errorf("FAT volume: %q holds a character that is not plain", name)
			}
		}
		if part != strings.ToUpper(part) {
			lower |= 8 << i
		}
	}
	return fmt.Sprintf("%-8s%-3s", strings.ToUpper(base), strings.ToUpper(ext)), lower, nil
}
