package disk_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"ingot/imaging"
	"ingot/imaging/disk"
	"ingot/imaging/gpt"
	"ingot/imaging/job"
)

// FuzzNewPlan lays hostile partition tables, with which their manifest agrees, onto larger and equal drives: NewPlan
// refuses, or gives a table that can be read back from the head and whose partitions lie within the drive, apart
// from one another. Header and entries come from the fuzzer; the checksums are made right, or nothing would pass.
func FuzzNewPlan(f *testing.F) {
	const entries = 8 * 128 // bytes: what the fuzzer says of the entries; the rest are empty
	var base []byte
	for _, args := range [][]string{rootLast, swapLast, recoveryLast} {
		base = gptImage(f, 40*mib, args...).bytes[:mib]
		for _, g := range []job.Grow{{}, {Partition: 2}, {Partition: 2, SwapLast: 3}} {
			f.Add(base[512:512+92], base[1024:1024+entries], uint64(60*mib), uint16(g.Partition), uint16(g.SwapLast), "ext4")
		}
	}
	f.Fuzz(func(t *testing.T, header, table []byte, more uint64, grow, swap uint16, kind string) {
		head := bytes.Clone(base)
		copy(head[512:512+92], header)
		clear(head[1024 : 1024+128*128])
		copy(head[1024:1024+entries], table)
		signGPT(head)
		const size = 40 * mib
		h := imaging.Header{DiskSize: size, SectorSize: 512, Table: "gpt"}
		if tab, err := gpt.ReadPrimary(bytes.NewReader(head), size, 512); err == nil {
			for _, n := range tab.Used() {
				e, _ := tab.Partition(n)
				h.Partitions = append(h.Partitions, imaging.Partition{Number: n, FirstLBA: e.First, LastLBA: e.Last, TypeGUID: e.Type.String(), FileSystem: kind})
			}
		}
		drive := size + more%(1<<40)/512*512
		p, err := disk.NewPlan(h, drive, 512, head, job.Grow{Partition: int(grow), SwapLast: int(swap)})
		if err != nil {
			return
		}
		planHolds(t, p, drive)
	})
}

// signGPT makes the checksums of a primary GPT right (UEFI 2.10, table 5.5).
func signGPT(head []byte) {
	le := binary.LittleEndian
	n := uint64(le.Uint32(head[512+80:])) * uint64(le.Uint32(head[512+84:]))
	if n <= 128*128 {
		le.PutUint32(head[512+88:], crc32.ChecksumIEEE(head[1024:1024+n]))
	}
	le.PutUint32(head[512+16:], 0)
	size := min(le.Uint32(head[512+12:]), 512)
	le.PutUint32(head[512+16:], crc32.ChecksumIEEE(head[512:512+size]))
}

func planHolds(t *testing.T, p *disk.Plan, drive uint64) {
	t.Helper()
	end := p.BackupOffset + uint64(len(p.Backup))
	if end != drive {
		t.Fatalf("the second table ends at %d; want %d, the drive's end", end, drive)
	}
	for i, a := range p.Parts {
		if a.Offset+a.Size > p.BackupOffset || a.Size == 0 {
			t.Fatalf("partition %d spans %d+%d; the second table begins at %d", a.Number, a.Offset, a.Size, p.BackupOffset)
		}
		for _, b := range p.Parts[:i] {
			if a.Offset < b.Offset+b.Size && b.Offset < a.Offset+a.Size {
				t.Fatalf("partitions %d and %d overlap", a.Number, b.Number)
			}
		}
	}
	tab, err := gpt.ReadPrimary(bytes.NewReader(p.Head), int64(drive), 512)
	if err != nil {
		t.Fatalf("the new table cannot be read: %v", err)
	}
	if len(tab.Used()) != len(p.Parts) {
		t.Fatalf("the new table has %d partitions; want %d", len(tab.Used()), len(p.Parts))
	}
	for _, q := range p.Parts {
		if e, ok := tab.Partition(q.Number); !ok || e.First*512 != q.Offset || (e.Last-e.First+1)*512 != q.Size {
			t.Fatalf("partition %d of the new table is %v; the plan says %d+%d", q.Number, e, q.Offset, q.Size)
		}
	}
}
