package gpt_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"ingot/imaging/gpt"
)

// blank is an empty GPT disk made by hand, so that sectors of 4096 bytes can be had without a device of that
// kind.
func blank(sectorSize int, diskSectors uint64) []byte {
	room := uint64(16384 / sectorSize)
	head := make([]byte, uint64(sectorSize)*(2+room))
	copy(head, mbrSector([4]uint32{0, 0xEE, 1, uint32(diskSectors - 1)}))
	h := head[sectorSize:]
	le := binary.LittleEndian
	copy(h, "EFI PART")
	le.PutUint32(h[8:], 0x10000)
	le.PutUint32(h[12:], 92)
	le.PutUint64(h[24:], 1)
	le.PutUint64(h[32:], diskSectors-1)
	le.PutUint64(h[40:], 2+room)
	le.PutUint64(h[48:], diskSectors-2-room)
	le.PutUint64(h[72:], 2)
	le.PutUint32(h[80:], 128)
	le.PutUint32(h[84:], 128)
	le.PutUint32(h[88:], crc32.ChecksumIEEE(head[2*sectorSize:2*sectorSize+16384]))
	le.PutUint32(h[16:], crc32.ChecksumIEEE(h[:92]))
	return head
}

// sparseDisk is a disk of which only both ends are kept.
type sparseDisk struct {
	size, tailAt int64
	head, tail   []byte
}

func (d sparseDisk) ReadAt(b []byte, off int64) (int, error) {
	clear(b)
	for _, p := range []struct {
		at int64
		b  []byte
	}{{0, d.head}, {d.tailAt, d.tail}} {
		if lo, hi := max(off, p.at), min(off+int64(len(b)), p.at+int64(len(p.b))); lo < hi {
			copy(b[lo-off:], p.b[lo-p.at:hi-p.at])
		}
	}
	return len(b), nil
}

func encode(t *rapid.T, tab *gpt.Table) sparseDisk {
	head, err := tab.Head()
	if err != nil {
		t.Fatalf("Head: %v", err)
	}
	off, tail, err := tab.Backup()
	if err != nil {
		t.Fatalf("Backup: %v", err)
	}
	return sparseDisk{size: int64(tab.DiskSectors) * int64(tab.SectorSize), head: head, tail: tail, tailAt: off}
}

// drawTable fills a table with partitions that lie apart.
func drawTable(t *rapid.T) *gpt.Table {
	ss := rapid.SampledFrom([]int{512, 4096}).Draw(t, "sector size")
	n := rapid.Uint64Range(2000, 1<<40).Draw(t, "disk sectors")
	tab, err := gpt.ReadPrimary(bytes.NewReader(blank(ss, n)), int64(n)*int64(ss), ss)
	if err != nil {
		t.Fatalf("ReadPrimary: %v", err)
	}
	cuts := rapid.SliceOfNDistinct(rapid.Uint64Range(tab.FirstUsable, tab.LastUsable), 0, 24, rapid.ID[uint64]).Draw(t, "cuts")
	slices.Sort(cuts)
	start, step := rapid.IntRange(0, 127).Draw(t, "first slot"), rapid.SampledFrom([]int{1, 37, 127}).Draw(t, "step")
	for i := 0; i+1 < len(cuts); i += 2 {
		e := &tab.Entries[(start+i*step)%128]
		e.Type, e.Unique = gpt.TypeLinux, gpt.GUID{byte(i), 1}
		e.First, e.Last, e.Attributes = cuts[i], cuts[i+1], uint64(i)<<48
		e.Name[0] = 'p'
	}
	return tab
}

func TestEveryTableReadsBackFromBothCopies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab := drawTable(t)
		d := encode(t, tab)
		got, err := gpt.ReadTable(d, d.size, tab.SectorSize)
		if err != nil || got.BackupErr != nil || !slices.Equal(got.Entries, tab.Entries) {
			t.Fatalf("ReadTable = %v (backup %v)", err, got.BackupErr)
		}
		d.head[tab.SectorSize] ^= 1
		got, err = gpt.ReadTable(d, d.size, tab.SectorSize)
		if err != nil || got.PrimaryErr == nil || !slices.Equal(got.Entries, tab.Entries) {
			t.Fatalf("ReadTable from the second copy = %v", err)
		}
	})
}

func TestEditsKeepATableSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab := drawTable(t)
		size := int64(rapid.Uint64Range(1, 1<<41).Draw(t, "new sectors")) * int64(tab.SectorSize)
		relocated := tab.Relocate(size) == nil
		for range rapid.IntRange(0, 6).Draw(t, "edits") {
			n, lba := rapid.IntRange(0, 129).Draw(t, "n"), rapid.Uint64().Draw(t, "lba")
			if last, err := tab.RoomBehind(n); err == nil && rapid.Bool().Draw(t, "room") {
				lba = last
				if err := tab.GrowPartition(n, last); err != nil {
					t.Fatalf("GrowPartition to its own room: %v", err)
				}
			}
			if rapid.Bool().Draw(t, "grow") {
				_ = tab.GrowPartition(n, lba)
			} else {
				_ = tab.MovePartition(n, lba)
			}
		}
		d := encode(t, tab)
		got, err := gpt.ReadTable(d, d.size, tab.SectorSize)
		if err != nil || got.BackupErr != nil {
			t.Fatalf("ReadTable after edits = %v", err)
		}
		if relocated && (d.size != size || !got.BackupAtEnd()) {
			t.Fatalf("relocated to %d bytes, backup at end %v; want %d", d.size, got.BackupAtEnd(), size)
		}
	})
}

func FuzzReadTable(f *testing.F) {
	f.Add(blank(512, 4096), uint32(4096), false)
	f.Add(blank(4096, 4096), uint32(4096), true)
	f.Fuzz(func(t *testing.T, head []byte, n uint32, big bool) {
		ss := 512
		if big {
			ss = 4096
		}
		tab, err := gpt.ReadTable(sparseDisk{size: int64(n) * int64(ss), head: head}, int64(n)*int64(ss), ss)
		if err != nil {
			return
		}
		d, err := tab.Head()
		if err != nil {
			t.Fatalf("a table that was read does not encode: %v", err)
		}
		if again, err := gpt.ReadPrimary(bytes.NewReader(d), int64(n)*int64(ss), ss); err != nil || !slices.Equal(again.Entries, tab.Entries) {
			t.Fatalf("a table that was encoded does not read: %v", err)
		}
	})
}

// FuzzReadTableFixed mends the checksums, so that the fuzzer gets behind them.
func FuzzReadTableFixed(f *testing.F) {
	f.Add(blank(512, 4096)[512:512+92], []byte{1, 2, 3}, uint32(4096))
	f.Fuzz(func(t *testing.T, header, entries []byte, n uint32) {
		head := blank(512, 1<<20)
		copy(head[512:604], header)
		copy(head[1024:], entries)
		le := binary.LittleEndian
		count := min(uint64(le.Uint32(head[592:])), 1024)
		le.PutUint32(head[600:], crc32.ChecksumIEEE(padded(head[1024:], int(count)*128)))
		le.PutUint32(head[528:], 0)
		le.PutUint32(head[528:], crc32.ChecksumIEEE(head[512:604]))
		tab, err := gpt.ReadTable(sparseDisk{size: int64(n) * 512, head: head}, int64(n)*512, 512)
		if err == nil && tab.Validate() != nil {
			t.Fatal("ReadTable gave a table that is not sound")
		}
	})
}

func padded(b []byte, n int) []byte {
	out := make([]byte, n)
	copy(out, b)
	return out
}

func FuzzReadMBR(f *testing.F) {
	f.Add(mbrSector([4]uint32{0x80, 0x83, 8, 20}, [4]uint32{0, 5, 40, 60}), mbrSector([4]uint32{0, 0x82, 1, 8}), uint16(200))
	f.Fuzz(func(t *testing.T, a, b []byte, n uint16) {
		disk := make([]byte, int(n)*512)
		copy(disk, a)
		if len(disk) > 40*512 {
			copy(disk[40*512:], b)
		}
		m, err := gpt.ReadMBR(bytes.NewReader(disk), int64(len(disk)), 512)
		if err != nil {
			return
		}
		for _, p := range m.Partitions {
			if p.First > p.Last || p.Last >= uint64(n) {
				t.Fatalf("partition %+v lies outside %d sectors", p, n)
			}
		}
	})
}
