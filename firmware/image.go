package firmware

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"unicode/utf16"
)

// The HTTP Boot image is a disk of 512-byte sectors with one GPT partition (UEFI 2.10, section 5.3).
const (
	espStart       = 2048 // sectors
	gptEntries     = 128
	gptEntrySize   = 128
	gptTableSector = gptEntries * gptEntrySize / sector
	gptTail        = gptTableSector + 1 // sectors at the end of the disk
	templateSize   = 4096               // bytes kept for grub.cfg
	templatePath   = "EFI/debian/grub.cfg"
)

// espType is the type GUID of an EFI system partition, in memory order.
var espType = [16]byte{0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b}

// templateText stands in the image until the HTTP leg puts a machine's own grub.cfg in its place.
const templateText = `echo "This image holds no order of its own: it was not served by Ingot."
sleep 30
reboot
`

// httpBootFiles is the content of the EFI partition. The template comes first and so lies contiguous.
func httpBootFiles(shim, grub, kernel, initrd []byte) []fatFile {
	cfg := templateText + strings.Repeat("\n", templateSize-len(templateText))
	return []fatFile{
		{templatePath, []byte(cfg)},
		{"EFI/BOOT/BOOTX64.EFI", shim},
		{"EFI/BOOT/grubx64.efi", grub},
		{"vmlinuz", kernel},
		{"initrd.img", initrd},
	}
}

// image is a disk with one EFI partition, laid out and not written yet.
type image struct {
	volume *fatVolume
	sum    []byte // of the content: serial numbers and GUIDs come from it, so that equal content gives equal bytes
}

func layImage(files []fatFile) (*image, error) {
	h := sha256.New()
	for _, e := range files {
		fmt.Fprintf(h, "%s %d\n", e.path, len(e.data))
		h.Write(e.data)
	}
	sum := h.Sum(nil)
	v, err := layFAT(files, "INGOT", binary.LittleEndian.Uint32(sum))
	return &image{volume: v, sum: sum}, err
}

// end is the first sector behind the EFI partition.
func (i *image) end() uint64 { return espStart + uint64(i.volume.size()/sector) }

// sectors is the size of the smallest disk that holds it.
func (i *image) sectors() uint64 { return i.end() + gptTail }

// writeTo writes everything onto a disk of that many sectors, which must read as zeros up to the partition's end.
func (i *image) writeTo(w io.WriterAt, sectors uint64) error {
	if err := writeGPT(w, sectors, i.end()-1, guidFrom(i.sum[4:20]), guidFrom(i.sum[12:28])); err != nil {
		return err
	}
	return i.volume.writeTo(w, espStart*sector, espStart)
}

// writeImage writes the disk into an empty file and tells where the template lies.
func writeImage(f *os.File, files []fatFile) (Template, error) {
	i, err := layImage(files)
	if err != nil {
		return Template{}, err
	}
	if err := f.Truncate(int64(i.sectors()) * sector); err != nil {
		return Template{}, fmt.Errorf("write HTTP Boot image: %w", err)
	}
	if err := i.writeTo(f, i.sectors()); err != nil {
		return Template{}, err
	}
	return Template{Offset: espStart*sector + i.volume.offsets[templatePath], Size: templateSize}, nil
}

// guidFrom makes a version 8 GUID (RFC 9562) of 16 bytes.
func guidFrom(b []byte) (g [16]byte) {
	copy(g[:], b)
	g[7] = g[7]&0x0f | 0x80
	g[8] = g[8]&0x3f | 0x80
	return g
}

// writeGPT writes the protective MBR and both copies of the table with the one partition, whose last sector is given.
func writeGPT(w io.WriterAt, sectors, last uint64, disk, part [16]byte) error {
	le := binary.LittleEndian
	table := make([]byte, gptEntries*gptEntrySize)
	copy(table, espType[:])
	copy(table[16:], part[:])
	le.PutUint64(table[32:], espStart)
	le.PutUint64(table[40:], last)
	for i, c := range utf16.Encode([]rune("EFI system partition")) {
		le.PutUint16(table[56+2*i:], c)
	}
	header := func(at, other, tableAt uint64) []byte {
		b := make([]byte, sector)
		copy(b, "EFI PART")
		le.PutUint32(b[8:], 0x00010000)
		le.PutUint32(b[12:], 92)
		le.PutUint64(b[24:], at)
		le.PutUint64(b[32:], other)
		le.PutUint64(b[40:], 2+gptTableSector)
		le.PutUint64(b[48:], sectors-gptTail-1)
		copy(b[56:], disk[:])
		le.PutUint64(b[72:], tableAt)
		le.PutUint32(b[80:], gptEntries)
		le.PutUint32(b[84:], gptEntrySize)
		le.PutUint32(b[88:], crc32.ChecksumIEEE(table))
		le.PutUint32(b[16:], crc32.ChecksumIEEE(b[:92]))
		return b
	}
	mbr := make([]byte, sector)
	copy(mbr[446:], []byte{0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0})
	le.PutUint32(mbr[458:], uint32(min(sectors-1, 1<<32-1)))
	mbr[510], mbr[511] = 0x55, 0xaa
	for _, p := range []struct {
		at   uint64
		data []byte
	}{
		{0, mbr},
		{1, header(1, sectors-1, 2)},
		{2, table},
		{sectors - gptTail, table},
		{sectors - 1, header(sectors-1, 1, sectors-gptTail)},
	} {
		if _, err := w.WriteAt(p.data, int64(p.at)*sector); err != nil {
			return fmt.Errorf("write partition table: %w", err)
		}
	}
	return nil
}
