package disk

// Part is one partition of the disk as it stands after commit. While it is personalised the disk holds no
// table: the kernel knows the partition only because it was told (BLKPG).
type Part struct {
	Number     int    // GPT entry number or MBR slot, from 1
	Path       string // the device node, such as /dev/nvme0n1p3; empty on a developer's file
	Offset     uint64 // bytes from the start of the disk
	Size       uint64 // bytes
	TypeGUID   string // upper or lower case as the manifest has it; empty on MBR
	UniqueGUID string // PARTUUID; empty on MBR
	FileSystem string // as the manifest tells it: ext4, vfat, swap, ...; empty when unknown
	Label      string // of the file system
	UUID       string // of the file system
}

// End is the first byte behind the partition.
func (p Part) End() uint64 { return p.Offset + p.Size }
