package efivar

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is where Linux mounts efivarfs.
const Dir = "/sys/firmware/efi/efivars"

// Attr are a variable's attributes.
type Attr uint32

// The attributes of UEFI 2.10 section 8.2 that this package writes.
const (
	NonVolatile   Attr = 1
	BootService   Attr = 2
	Runtime       Attr = 4
	bootVariable       = NonVolatile | BootService | Runtime
	maxValue           = 64 << 10 // bytes; firmware allows less
	maxVariables       = 4096
	maxNameLen         = 200
	efivarfsMagic      = 0xde5e81e4
	immutableFlag      = 0x10 // FS_IMMUTABLE_FL
)

// ErrNotExist says that the variable is not there.
var ErrNotExist = os.ErrNotExist

// Name is a variable's full name.
type Name struct {
	Name   string
	Vendor GUID
}

// String is the file name that Linux gives the variable.
func (n Name) String() string { return n.Name + "-" + n.Vendor.String() }

// Vars is one directory of variables.
type Vars struct{ dir string }

// Open uses the variables under dir, usually Dir. An error that is ErrNotExist means a machine without UEFI.
func Open(dir string) (*Vars, error) {
	st, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("open UEFI variables: %w", err)
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("open UEFI variables: %s is not a folder", dir)
	}
	return &Vars{dir: dir}, nil
}

func (v *Vars) path(n Name) (string, error) {
	if n.Name == "" || len(n.Name) > maxNameLen || strings.ContainsAny(n.Name, "/\x00") {
		return "", fmt.Errorf("UEFI variable %.40q: not a usable name", n.Name)
	}
	return filepath.Join(v.dir, n.String()), nil
}

// Get reads one variable. A variable of more than 64 KiB is refused.
func (v *Vars) Get(n Name) (Attr, []byte, error) {
	path, err := v.path(n)
	if err != nil {
		return 0, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, nil, fmt.Errorf("read UEFI variable: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxValue+5))
	if err != nil {
		return 0, nil, fmt.Errorf("read UEFI variable %s: %w", n, err)
	}
	if len(b) < 4 || len(b) > maxValue+4 {
		return 0, nil, fmt.Errorf("read UEFI variable %s: %d bytes", n, len(b))
	}
	return Attr(binary.LittleEndian.Uint32(b)), b[4:], nil
}

// Set writes one variable, reads it back and compares. The same value already there is left alone.
func (v *Vars) Set(n Name, a Attr, value []byte) error {
	path, err := v.path(n)
	if err != nil {
		return err
	}
	if len(value) == 0 || len(value) > maxValue {
		return fmt.Errorf("write UEFI variable %s: %d bytes", n, len(value))
	}
	if has, old, err := v.Get(n); err == nil && has == a && bytes.Equal(old, value) {
		return nil
	}
	if err := unlockFile(path); err != nil {
		return fmt.Errorf("write UEFI variable %s: %w", n, err)
	}
	if err := writeFile(path, append(binary.LittleEndian.AppendUint32(nil, uint32(a)), value...)); err != nil {
		return fmt.Errorf("write UEFI variable %s: %w", n, err)
	}
	got, back, err := v.Get(n)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	if got != a || !bytes.Equal(back, value) {
		return fmt.Errorf("write UEFI variable %s: the firmware gave back another value", n)
	}
	return nil
}

// writeFile sets a variable by one write. Only efivarfs replaces the whole value; a plain file is cut.
func writeFile(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		f.Close()
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err == nil && uint32(fs.Type) != efivarfsMagic {
		if err := f.Truncate(int64(len(b))); err != nil {
			f.Close()
			return err
		}
	}
	return f.Close()
}

// Delete removes one variable; one that is not there is no error.
func (v *Vars) Delete(n Name) error {
	path, err := v.path(n)
	if err != nil {
		return err
	}
	if err := unlockFile(path); err != nil {
		return fmt.Errorf("delete UEFI variable %s: %w", n, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("delete UEFI variable %s: %w", n, err)
	}
	return nil
}

// unlockFile takes the immutable flag off, where the file exists and its file system knows flags.
func unlockFile(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read flags: %w", err)
	}
	if flags&immutableFlag == 0 {
		return nil
	}
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags&^immutableFlag)); err != nil {
		return fmt.Errorf("take the immutable flag off: %w", err)
	}
	return nil
}

// List gives the names of all variables, those with a well-formed file name.
func (v *Vars) List() ([]Name, error) {
	d, err := os.Open(v.dir)
	if err != nil {
		return nil, fmt.Errorf("list UEFI variables: %w", err)
	}
	defer d.Close()
	files, err := d.Readdirnames(maxVariables)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("list UEFI variables: %w", err)
	}
	var names []Name
	for _, f := range files {
		cut := len(f) - 37
		if cut < 1 || f[cut] != '-' {
			continue
		}
		g, err := ParseGUID(f[cut+1:])
		if err != nil {
			continue
		}
		names = append(names, Name{Name: f[:cut], Vendor: g})
	}
	return names, nil
}

// SecureBoot is the state that the firmware tells.
type SecureBoot string

// Unsupported is a machine without the variable; Setup has no platform key yet, so nothing is checked.
const (
	Unsupported SecureBoot = "unsupported"
	Off         SecureBoot = "off"
	On          SecureBoot = "on"
	Setup       SecureBoot = "setup"
)

// SecureBoot reads SecureBoot and SetupMode. A variable of another length than one byte is an error, never "on".
func (v *Vars) SecureBoot() (SecureBoot, error) {
	flag := func(name string) (byte, error) {
		_, b, err := v.Get(Name{name, Global})
		if err != nil {
			return 0, err
		}
		if len(b) != 1 || b[0] > 1 {
			return 0, fmt.Errorf("UEFI variable %s holds % x", name, b[:min(len(b), 8)])
		}
		return b[0], nil
	}
	on, err := flag("SecureBoot")
	if errors.Is(err, ErrNotExist) {
		return Unsupported, nil
	}
	if err != nil {
		return "", err
	}
	setup, err := flag("SetupMode")
	if err != nil && !errors.Is(err, ErrNotExist) {
		return "", err
	}
	switch {
	case setup == 1:
		return Setup, nil
	case on == 1:
		return On, nil
	}
	return Off, nil
}
