package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ingot/imaging/job"
)

// blkpgPartition is struct blkpg_partition of linux/blkpg.h.
type blkpgPartition struct {
	start, length int64 // bytes
	number        int32
	devname       [64]byte
	volname       [64]byte
	_             [4]byte
}

// blkpgArg is struct blkpg_ioctl_arg.
type blkpgArg struct {
	op, flags, length int32
	_                 int32
	data              unsafe.Pointer
}

// AddParts tells the kernel where the partitions are, though the disk holds no table, and gives the drive up to
// be mounted: from here until DropParts it is not held exclusively. The returned parts carry their device
// nodes. On a developer's file it changes nothing and the paths stay empty.
func (d *Disk) AddParts(parts []Part) ([]Part, error) {
	if d.block == nil {
		return parts, nil
	}
	if err := d.block.share(); err != nil {
		return nil, err
	}
	out := make([]Part, len(parts))
	if err := d.block.forgetAll(); err != nil {
		return nil, fmt.Errorf("forget the old partitions of %s: %w", d.drive.Path, err)
	}
	for i, p := range parts {
		if err := d.block.blkpg(unix.BLKPG_ADD_PARTITION, p); err != nil {
			return nil, fmt.Errorf("add partition %d of %s: %w", p.Number, d.drive.Path, err)
		}
		p.Path = partPath(d.drive.Path, p.Number)
		if err := awaitNode(p.Path); err != nil {
			return nil, err
		}
		out[i] = p
	}
	return out, nil
}

// DropParts flushes and forgets the partitions and takes the drive exclusively again, with the same checks as
// Open: what commit writes goes to the drive that was proven.
func (d *Disk) DropParts(parts []Part) error {
	if d.block == nil {
		return nil
	}
	for _, p := range parts {
		if err := d.block.forget(p); err != nil {
			return fmt.Errorf("forget partition %d of %s: %w", p.Number, d.drive.Path, err)
		}
	}
	if err := d.block.reclaim(); err != nil {
		return err
	}
	return d.Flush()
}

// maxNumber is the largest partition number that the kernel gives a drive.
const maxNumber = 256

// forgetAll removes what an earlier scan of the drive left: those partitions are not there any more, and the
// kernel refuses new ones that overlap them.
func (b *block) forgetAll() error {
	for n := 1; n <= maxNumber; n++ {
		if err := b.forget(Part{Number: n}); err != nil {
			return fmt.Errorf("partition %d: %w", n, err)
		}
	}
	return nil
}

// forget removes one partition; one that is not there is no error. Whoever looks at new devices may hold it for a moment.
func (b *block) forget(p Part) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := b.blkpg(unix.BLKPG_DEL_PARTITION, p)
		if err == nil || errors.Is(err, unix.ENXIO) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (b *block) blkpg(op int32, p Part) error {
	part := blkpgPartition{start: int64(p.Offset), length: int64(p.Size), number: int32(p.Number)}
	arg := blkpgArg{op: op, length: int32(unsafe.Sizeof(part)), data: unsafe.Pointer(&part)}
	return ioctlPtr(b.f, unix.BLKPG, unsafe.Pointer(&arg))
}

// partPath names a partition's node: a digit at the end of the drive's name wants a p between.
func partPath(drive string, number int) string {
	last := drive[len(drive)-1]
	if last >= '0' && last <= '9' {
		return fmt.Sprintf("%sp%d", drive, number)
	}
	return fmt.Sprintf("%s%d", drive, number)
}

// awaitNode waits until devtmpfs shows the node, at most 5 seconds.
func awaitNode(path string) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("device node %s does not appear: %w", path, job.Faultf(job.CodePersonalise, "The partition %s does not appear.", filepath.Base(path)))
		}
		time.Sleep(20 * time.Millisecond)
	}
}
