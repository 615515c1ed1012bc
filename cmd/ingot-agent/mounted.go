package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"ingot/imaging/disk"
)

// mounted is one partition of the written disk, mounted below /run.
type mounted struct {
	dir  string
	root *os.Root
}

// mountPart mounts a partition's file system. The image is a stranger's: nothing on it is a device, a program or
// a way to other rights. Before, the kernel forgets what it had cached of the partition, so that what is read
// comes from the drive.
func mountPart(p disk.Part, kind string, readOnly bool) (*mounted, error) {
	if p.Path == "" {
		return nil, fmt.Errorf("partition %d has no device", p.Number)
	}
	if err := forget(p.Path); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/run", "part-*")
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", p.Path, err)
	}
	flags := uintptr(unix.MS_NODEV | unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NOATIME)
	if readOnly {
		flags |= unix.MS_RDONLY
	}
	if err := unix.Mount(p.Path, dir, kind, flags, ""); err != nil {
		return nil, errors.Join(fmt.Errorf("mount %s as %s: %w", p.Path, kind, err), os.Remove(dir))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", p.Path, err), unix.Unmount(dir, 0), os.Remove(dir))
	}
	return &mounted{dir: dir, root: root}, nil
}

// close flushes and unmounts. An error means that what was written is not known to be on the drive.
func (m *mounted) close() error {
	var flush error
	if d, err := os.Open(m.dir); err != nil {
		flush = err
	} else {
		flush = errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
	}
	err := errors.Join(flush, m.root.Close(), unix.Unmount(m.dir, 0), os.Remove(m.dir))
	if err != nil {
		return fmt.Errorf("unmount %s: %w", m.dir, err)
	}
	return nil
}

// forget flushes a block device and drops the kernel's cache of it (BLKFLSBUF).
func forget(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = unix.IoctlSetInt(int(f.Fd()), unix.BLKFLSBUF, 0)
	if err != nil {
		err = fmt.Errorf("drop the cache of %s: %w", path, err)
	}
	return errors.Join(err, f.Close())
}
