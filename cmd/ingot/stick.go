package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"ingot/imaging/disk"
	"ingot/imaging/job"
)

// stickFile is what a stick is written to: a block device or a plain file. It is a firmware.Medium.
type stickFile struct {
	*os.File
	size  int64
	drive job.Drive // of a device
}

// Forget implements firmware.Medium: what is read from now on comes from the medium.
func (s *stickFile) Forget() error {
	if s.drive.Path != "" {
		if err := unix.IoctlSetInt(int(s.Fd()), unix.BLKFLSBUF, 0); err != nil {
			return fmt.Errorf("drop what the kernel keeps of %s: %w", s.Name(), err)
		}
	}
	return unix.Fadvise(int(s.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// stickPort is where sticks are looked for.
type stickPort struct{ sys, mounts string }

var realPort = stickPort{"/sys", "/proc/self/mountinfo"}

// isDevice reports whether a path is a block device, also through a link.
func isDevice(path string) (bool, error) {
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		return false, job.Faultf(job.CodeStickTarget, "%s cannot be looked at.", path)
	}
	return fi.Mode()&os.ModeDevice != 0 && fi.Mode()&os.ModeCharDevice == 0, nil
}

// look says which stick a path is, and refuses what can be none. It opens for reading only and changes nothing.
func (p stickPort) look(path string, need int64) (job.Drive, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrPermission) {
		return job.Drive{}, job.Faultf(job.CodePolicy, "%s may not be opened: try sudo.", path)
	}
	if err != nil {
		return job.Drive{}, job.Faultf(job.CodeStickTarget, "%s cannot be opened.", path)
	}
	defer f.Close()
	d, err := disk.Of(p.sys, f)
	if err != nil {
		return d, job.Faultf(job.CodeStickTarget, "%s is no drive.", path)
	}
	at, err := p.mountedAt(d.Path)
	if err != nil {
		return d, fmt.Errorf("find out what is mounted: %w", err)
	}
	return d, mayBecomeStick(path, d, at, need)
}

// mayBecomeStick is the rule: a whole removable drive with a serial and room, of which nothing is mounted.
func mayBecomeStick(path string, d job.Drive, mounted string, need int64) error {
	no := func(format string, args ...any) error { return job.Faultf(job.CodeStickTarget, format, args...) }
	switch {
	case d.SectorSize == 0:
		return no("%s is a part of a drive: name the whole drive.", path)
	case !d.Removable:
		return no("%s (%s, serial %s) is built in, not removable.", path, d.Model, d.Serial)
	case mounted != "":
		return no("%s is in use: mounted at %s.", path, mounted)
	case d.Serial == "":
		return no("%s tells no serial, so it cannot be named safely.", path)
	case d.ReadOnly:
		return no("%s is write-protected.", path)
	case d.SectorSize != 512:
		return no("%s has sectors of %d bytes, not 512.", path, d.SectorSize)
	case d.SizeBytes < uint64(need):
		return no("%s has %d bytes, %d are needed.", path, d.SizeBytes, need)
	}
	return nil
}

// mountedAt finds where a drive, or a part of it, is mounted; "" when nowhere.
func (p stickPort) mountedAt(drive string) (string, error) {
	name := filepath.Base(drive)
	numbers := map[string]bool{}
	dirs, err := filepath.Glob(filepath.Join(p.sys, "block", name, name+"*"))
	if err != nil {
		return "", err
	}
	for _, dir := range append(dirs, filepath.Join(p.sys, "block", name)) {
		if b, err := os.ReadFile(filepath.Join(dir, "dev")); err == nil {
			numbers[strings.TrimSpace(string(b))] = true
		}
	}
	f, err := os.Open(p.mounts)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		if w := strings.Fields(sc.Text()); len(w) >= 5 && numbers[w[2]] { // proc(5), mountinfo: major:minor, root, mount point
			return w[4], nil
		}
	}
	return "", sc.Err()
}

// open takes the stick for this process alone and checks that it is still the one that was seen and named.
func (p stickPort) open(path string, seen job.Drive) (*stickFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_EXCL, 0)
	if errors.Is(err, unix.EBUSY) {
		return nil, job.Faultf(job.CodeStickTarget, "%s is in use by another program, or mounted.", path)
	}
	if err != nil {
		return nil, job.Faultf(job.CodeStickTarget, "%s cannot be opened for writing.", path)
	}
	s, err := p.claim(f, path, seen)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func (p stickPort) claim(f *os.File, path string, seen job.Drive) (*stickFile, error) {
	now, err := disk.Of(p.sys, f)
	if err != nil || now.Serial != seen.Serial || now.WWN != seen.WWN || now.Model != seen.Model || now.SizeBytes != seen.SizeBytes || !now.Removable {
		return nil, job.Faultf(job.CodeStickTarget, "%s is not the stick any more that it was: serial %q, now %q.", path, seen.Serial, now.Serial)
	}
	var size uint64
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKGETSIZE64, uintptr(unsafe.Pointer(&size))); e != 0 || size != seen.SizeBytes {
		return nil, job.Faultf(job.CodeStickTarget, "%s tells another size than before.", path)
	}
	return &stickFile{File: f, size: int64(size), drive: seen}, nil
}

// stickName is how a stick is shown to the person who gives it up.
func stickName(path string, d job.Drive) string {
	words := []string{path, d.Model, size(d.SizeBytes)}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), ", ")
}
