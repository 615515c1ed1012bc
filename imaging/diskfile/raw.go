package diskfile

import (
	"bytes"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// raw is a file that is the disk.
type raw struct {
	*os.File
	size int64
}

// nextData asks the file system for holes. A device, or a file system that keeps none, is all data.
func (r raw) nextData(off int64) (start, end int64, err error) {
	start, err = unix.Seek(int(r.Fd()), off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return r.size, r.size, nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return off, r.size, nil
	case err != nil:
		return 0, 0, os.NewSyscallError("lseek", err)
	}
	end, err = unix.Seek(int(r.Fd()), start, unix.SEEK_HOLE)
	if err != nil {
		return 0, 0, os.NewSyscallError("lseek", err)
	}
	return start, end, nil
}

// foreign names a file that is surely not raw: other disk formats, and compressed files.
func foreign(f *os.File, head []byte, size int64) string {
	for magic, name := range map[string]string{
		"COWD": "VMDK of an old ESX", "conectix": "VHD", "QED\x00": "QED",
		"\x1f\x8b": "gzip", "\xfd7zXZ\x00": "xz", "\x28\xb5\x2f\xfd": "zstd", "BZh": "bzip2", "PK\x03\x04": "zip",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return name
		}
	}
	if bytes.Equal(head[64:68], []byte{0x7f, 0x10, 0xda, 0xbe}) {
		return "VDI"
	}
	foot := make([]byte, 8)
	if _, err := f.ReadAt(foot, size-512); err == nil && string(foot) == "conectix" {
		return "VHD"
	}
	return ""
}

// qemuWriteByte is the byte that QEMU keeps locked in a file that it may write (block/file-posix.c: 100 plus
// the number of the permission).
const qemuWriteByte = 101

// inUse reports whether a virtual machine has the file open for writing.
func inUse(f *os.File) bool {
	l := unix.Flock_t{Type: unix.F_WRLCK, Start: qemuWriteByte, Len: 1}
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l)
	return err == nil && l.Type != unix.F_UNLCK
}
