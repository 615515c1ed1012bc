package personalise

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"ingot/imaging"
)

// ext4ResizeFS is EXT4_IOC_RESIZE_FS, _IOW('f', 16, __u64): the new size in blocks (fs/ext4/ext4.h).
const ext4ResizeFS = 0x40086610

// CanGrow reports whether Ingot can grow a file system of this kind.
func CanGrow(fileSystem string) bool { return fileSystem == imaging.Growable }

// GrowExt4 asks the kernel to grow the ext4 that is mounted read-write at dir to size bytes, its partition's.
// Growing one that fills its partition already changes nothing.
func GrowExt4(dir string, size uint64) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("grow ext4: %w", err)
	}
	defer d.Close()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(d.Fd()), &st); err != nil {
		return fmt.Errorf("grow ext4 at %s: %w", dir, err)
	}
	if st.Type != unix.EXT4_SUPER_MAGIC || st.Bsize < 1024 {
		return fmt.Errorf("grow ext4 at %s: it is no ext4 (type %#x)", dir, st.Type)
	}
	blocks := size / uint64(st.Bsize)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, d.Fd(), ext4ResizeFS, uintptr(unsafe.Pointer(&blocks))); errno != 0 {
		return fmt.Errorf("grow ext4 at %s to %d blocks: %w", dir, blocks, errno)
	}
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return fmt.Errorf("grow ext4 at %s: flush: %w", dir, err)
	}
	return nil
}

// Ext4Size reads from an unmounted ext4 how many bytes its super block says that it takes.
func Ext4Size(r io.ReaderAt) (uint64, error) {
	var b [1024]byte
	if _, err := r.ReadAt(b[:], 1024); err != nil {
		return 0, fmt.Errorf("read ext4 super block: %w", err)
	}
	le := binary.LittleEndian
	if le.Uint16(b[0x38:]) != 0xef53 {
		return 0, errors.New("read ext4 super block: it has no ext4 magic")
	}
	log := le.Uint32(b[0x18:])
	if log > 6 {
		return 0, fmt.Errorf("read ext4 super block: blocks of 2^%d KiB", log)
	}
	blocks := uint64(le.Uint32(b[0x04:]))
	if le.Uint32(b[0x60:])&0x80 != 0 { // INCOMPAT_64BIT
		blocks |= uint64(le.Uint32(b[0x150:])) << 32
	}
	if blocks > 1<<50 {
		return 0, fmt.Errorf("read ext4 super block: %d blocks", blocks)
	}
	return blocks << (10 + log), nil
}

// GrownTo checks an ext4 that was grown and unmounted: it fills size bytes except for less than one group of
// blocks at the end, which the kernel leaves when it would be too small to hold its own tables.
func GrownTo(r io.ReaderAt, size uint64) error {
	have, err := Ext4Size(r)
	if err != nil {
		return err
	}
	const group = 128 << 20 // bytes of a group with blocks of 4 KiB
	if have > size || size-have >= group {
		return fmt.Errorf("the file system takes %d bytes, its partition has %d", have, size)
	}
	return nil
}
