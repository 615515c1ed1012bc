package disk

import (
	"bytes"

	"ingot/imaging"
	"ingot/imaging/gpt"
	"ingot/imaging/job"
)

// maxHead is how much of a disk's start is held back until commit, in bytes.
const maxHead = 1 << 20

// HeadSize is how many bytes at the image's start are held back until commit: the first MiB, or what lies
// before the first partition if one starts below.
func HeadSize(h imaging.Header) uint64 {
	head := min(maxHead, h.DiskSize)
	for _, p := range h.Partitions {
		head = min(head, p.FirstLBA*uint64(h.SectorSize))
	}
	return head
}

// Plan says where everything of one image goes on one drive. It is made before the first write and does not
// change.
type Plan struct {
	ImageSize  uint64 // bytes
	DiskSize   uint64 // bytes, at least ImageSize
	SectorSize int
	Table      string // gpt, mbr or none
	Parts      []Part // every partition at its final place, in order of number
	Grown      int    // number of the partition that became larger; 0 for none
	Swap       int    // number of the swap partition that moved to the end; 0 for none

	Head         []byte // what commit writes at the disk's start: the image's bytes with the new table in them
	first        uint64 // bytes at the start of Head that make the disk bootable: written last of all
	Backup       []byte // the second GPT; empty without one
	BackupOffset uint64
}

// NewPlan lays the image that h describes onto a drive of size bytes. head is the image's own first bytes, at
// least HeadSize(h). Nothing is moved but the second GPT and, with grow, a swap partition behind the grown
// one; anything else behind it, and a file system that cannot grow, is CodeLayout. A drive smaller than the image is CodeSmallDrive, even when what
// would be cut off is free.
func NewPlan(h imaging.Header, size uint64, sector int, head []byte, grow job.Grow) (*Plan, error) {
	switch {
	case sector != h.SectorSize:
		return nil, job.Faultf(job.CodeSectorSize, "Image: %d bytes. Drive: %d bytes.", h.SectorSize, sector)
	case size < h.DiskSize:
		return nil, job.Faultf(job.CodeSmallDrive, "Image: %d bytes. Drive: %d bytes.", h.DiskSize, size)
	case uint64(len(head)) < HeadSize(h):
		return nil, job.Faultf(job.CodeManifest, "The image's head has %d bytes, want %d.", len(head), HeadSize(h))
	}
	p := &Plan{ImageSize: h.DiskSize, DiskSize: size, SectorSize: sector, Table: h.Table, Head: bytes.Clone(head[:HeadSize(h)])}
	if h.Table == "gpt" {
		return p, p.layGPT(h, grow)
	}
	if why := h.GrowRefusal(grow.Partition, grow.SwapLast); why != "" && size > h.DiskSize {
		return nil, job.Faultf(job.CodeLayout, "%s", why)
	}
	p.first = min(uint64(sector), uint64(len(p.Head)))
	for _, q := range h.Partitions {
		p.Parts = append(p.Parts, partOf(q, q.FirstLBA, q.LastLBA, sector))
	}
	return p, nil
}

// layGPT computes the new table and both of its copies.
func (p *Plan) layGPT(h imaging.Header, grow job.Grow) error {
	t, err := gpt.ReadPrimary(bytes.NewReader(p.Head), int64(h.DiskSize), h.SectorSize)
	if err != nil {
		return job.Faultf(job.CodeLayout, "The image's partition table cannot be used: %v.", job.Reason(err))
	}
	if err := sameParts(t, h); err != nil {
		return err
	}
	if err := t.Relocate(int64(p.DiskSize)); err != nil {
		return job.Faultf(job.CodeLayout, "The partition table does not fit the drive: %v.", job.Reason(err))
	}
	if grow.Partition != 0 {
		if err := p.grow(t, h, grow); err != nil {
			return err
		}
	}
	for _, q := range h.Partitions {
		e, _ := t.Partition(q.Number)
		p.Parts = append(p.Parts, partOf(q, e.First, e.Last, h.SectorSize))
	}
	return p.encode(t)
}

// sameParts refuses a manifest whose list of partitions is not what its own disk says.
func sameParts(t *gpt.Table, h imaging.Header) error {
	if len(t.Used()) != len(h.Partitions) {
		return job.Faultf(job.CodeManifest, "It lists %d partitions, its disk has %d.", len(h.Partitions), len(t.Used()))
	}
	for _, q := range h.Partitions {
		e, ok := t.Partition(q.Number)
		if !ok || e.First != q.FirstLBA || e.Last != q.LastLBA {
			return job.Faultf(job.CodeManifest, "Its partition %d is not where its disk has it.", q.Number)
		}
	}
	return nil
}

// grow gives the partition the room behind it, with a swap partition out of the way at the end. On a drive of
// the image's size nothing moves and nothing is refused.
func (p *Plan) grow(t *gpt.Table, h imaging.Header, g job.Grow) error {
	if _, ok := t.Partition(g.Partition); !ok {
		return job.Faultf(job.CodeLayout, "There is no partition %d to grow.", g.Partition)
	}
	if p.DiskSize == p.ImageSize {
		return nil
	}
	if why := h.GrowRefusal(g.Partition, g.SwapLast); why != "" {
		return job.Faultf(job.CodeLayout, "%s", why)
	}
	for _, n := range t.Behind(g.Partition) { // the swap partition alone, or nothing
		if err := p.moveSwap(t, n); err != nil {
			return err
		}
	}
	before, _ := t.Partition(g.Partition)
	last, err := t.RoomBehind(g.Partition)
	if err != nil {
		return job.Faultf(job.CodeLayout, "%v.", job.Reason(err))
	}
	if last <= before.Last {
		return nil
	}
	if err := t.GrowPartition(g.Partition, last); err != nil {
		return job.Faultf(job.CodeLayout, "%v.", job.Reason(err))
	}
	p.Grown = g.Partition
	return nil
}

func (p *Plan) moveSwap(t *gpt.Table, n int) error {
	before, _ := t.Partition(n)
	first, err := t.EndPlace(n)
	if err != nil {
		return job.Faultf(job.CodeLayout, "%v.", job.Reason(err))
	}
	if first <= before.First {
		return nil
	}
	if err := t.MovePartition(n, first); err != nil {
		return job.Faultf(job.CodeLayout, "%v.", job.Reason(err))
	}
	p.Swap = n
	return nil
}

// encode lays the new table over the head and keeps the second copy.
func (p *Plan) encode(t *gpt.Table) error {
	if err := t.PatchHead(p.Head); err != nil {
		return job.Faultf(job.CodeLayout, "The partition table does not fit before the first partition: %v.", job.Reason(err))
	}
	off, b, err := t.Backup()
	if err != nil {
		return job.Faultf(job.CodeLayout, "%v.", job.Reason(err))
	}
	p.first = t.HeadSectors() * uint64(p.SectorSize)
	p.Backup, p.BackupOffset = b, uint64(off)
	return nil
}

func partOf(q imaging.Partition, first, last uint64, sector int) Part {
	return Part{Number: q.Number, Offset: first * uint64(sector), Size: (last - first + 1) * uint64(sector),
		TypeGUID: q.TypeGUID, UniqueGUID: q.UniqueGUID, FileSystem: q.FileSystem, Label: q.Label, UUID: q.UUID}
}
