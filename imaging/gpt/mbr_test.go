package gpt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/imaging/gpt"
)

// sfdisk makes an MBR disk file of 64 MiB from a script.
func sfdisk(t *testing.T, script string) string {
	t.Helper()
	if _, err := exec.LookPath("sfdisk"); err != nil {
		t.Skip("sfdisk is missing: install Debian's package fdisk")
	}
	path := filepath.Join(t.TempDir(), "mbr.raw")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 64*mib); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sfdisk", "-q", path)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	return path
}

func TestMBRReadsPrimaryAndLogicalPartitions(t *testing.T) {
	path := sfdisk(t, "label: dos\nlabel-id: 0x12345678\n\n1 : start=2048,size=8192,type=83,bootable\n2 : size=40960,type=5\n5 : size=8192,type=83\n6 : size=8192,type=82\n")
	f, size := open(t, path)
	m, err := gpt.ReadMBR(f, size, 512)
	if err != nil {
		t.Fatal(err)
	}
	if m.Signature != 0x12345678 || m.BootCode || len(m.Partitions) != 3 {
		t.Fatalf("ReadMBR = %+v", m)
	}
	if p := m.Partitions[0]; p.Number != 1 || !p.Active || p.First != 2048 || p.Last != 2048+8191 || p.Type != gpt.MBRLinux {
		t.Errorf("first partition = %+v", p)
	}
	if p := m.Partitions[2]; p.Number != 6 || p.Type != gpt.MBRLinuxSwap || p.Last-p.First+1 != 8192 {
		t.Errorf("second logical partition = %+v", p)
	}
}

func mbrSector(rows ...[4]uint32) []byte {
	b := make([]byte, 512)
	b[510], b[511] = 0x55, 0xAA
	for i, r := range rows {
		e := b[446+16*i:]
		e[0], e[4] = byte(r[0]), byte(r[1])
		binary.LittleEndian.PutUint32(e[8:], r[2])
		binary.LittleEndian.PutUint32(e[12:], r[3])
	}
	return b
}

func TestMBRRefusesWhatCannotBe(t *testing.T) {
	const disk = 1000 * 512
	at := func(parts map[int][]byte) []byte {
		b := make([]byte, disk)
		for lba, p := range parts {
			copy(b[lba*512:], p)
		}
		return b
	}
	cases := map[string]struct {
		disk []byte
		want error
	}{
		"an empty disk has none":             {make([]byte, disk), gpt.ErrNoMBR},
		"a table without partitions is none": {mbrSectorDisk(disk), gpt.ErrNoMBR},
		"a GPT's protective MBR is none":     {at(map[int][]byte{0: mbrSector([4]uint32{0, 0xEE, 1, 999})}), gpt.ErrNoMBR},
		"a boot sector of a volume is none":  {at(map[int][]byte{0: mbrSector([4]uint32{0x6C, 0x65, 1, 99})}), gpt.ErrNoMBR},
		"a partition past the end":           {at(map[int][]byte{0: mbrSector([4]uint32{0, 0x83, 100, 901})}), gpt.ErrTruncated},
		"overlapping partitions":             {at(map[int][]byte{0: mbrSector([4]uint32{0, 0x83, 100, 100}, [4]uint32{0, 0x83, 150, 10})}), nil},
		"a partition over the table itself":  {at(map[int][]byte{0: mbrSector([4]uint32{0, 0x83, 0, 100})}), nil},
		"an extended chain that loops": {at(map[int][]byte{0: mbrSector([4]uint32{0, 5, 100, 500}),
			100: mbrSector([4]uint32{0, 0x83, 1, 10}, [4]uint32{0, 5, 50, 20}), 150: mbrSector([4]uint32{0, 0x83, 1, 10}, [4]uint32{0, 5, 50, 20})}), nil},
		"a logical partition past the extended one": {at(map[int][]byte{0: mbrSector([4]uint32{0, 5, 100, 50}), 100: mbrSector([4]uint32{0, 0x83, 1, 60})}), nil},
		"an extended partition without signature":   {at(map[int][]byte{0: mbrSector([4]uint32{0, 5, 100, 50})}), nil},
		"a disk shorter than a sector":              {make([]byte, 100), nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m, err := gpt.ReadMBR(bytes.NewReader(c.disk), int64(len(c.disk)), 512)
			if err == nil || (c.want != nil && !errors.Is(err, c.want)) {
				t.Errorf("ReadMBR = %+v, %v; want %v", m, err, c.want)
			}
		})
	}
}

func mbrSectorDisk(size int) []byte {
	b := make([]byte, size)
	copy(b, mbrSector())
	return b
}
