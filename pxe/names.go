package pxe

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// bootFiles are the only names that are ever opened, with the leg that fetching them is. Names and folders of
// the host do not occur: what a machine asks for is looked up here and nowhere else.
var bootFiles = map[string]Leg{
	nameShim:     LegNBP,
	nameGRUB:     LegLoader,
	nameUndionly: LegNBP,
	nameKernel:   LegKernel,
	nameInitrd:   LegInitramfs,
}

// maxName bounds a name as asked for, in bytes.
const maxName = 255

// cleanName brings the spellings of firmware to one form: shim asks by HTTP for "//grubx64.efi", some
// firmware writes backslashes, GRUB a leading slash. Parent folders, control characters and overlong names
// are errors.
func cleanName(name string) (string, error) {
	if len(name) > maxName {
		return "", fmt.Errorf("name of %d bytes: %w", len(name), fs.ErrNotExist)
	}
	if !printable(name) {
		return "", fmt.Errorf("name with control or non-ASCII characters: %w", fs.ErrNotExist)
	}
	var parts []string
	for _, p := range strings.Split(strings.ReplaceAll(name, `\`, "/"), "/") {
		switch p {
		case "", ".":
		case "..":
			return "", fmt.Errorf("name with a parent folder: %w", fs.ErrNotExist)
		default:
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		return "", fmt.Errorf("empty name: %w", fs.ErrNotExist)
	}
	return strings.Join(parts, "/"), nil
}

// byMAC reads the machine out of a name like prefix + 52:54:00:aa:00:01 + suffix.
func byMAC(name, prefix, suffix string) (MAC, bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return MAC{}, false
	}
	if rest, ok = strings.CutSuffix(rest, suffix); !ok {
		return MAC{}, false
	}
	mac, err := ParseMAC(rest)
	return mac, err == nil
}

// errShort says that a file ended before its size: its bytes are not what the bundle recorded.
var errShort = errors.New("the boot file on the server is shorter than recorded")

// whole reads a File and fails where it ends too early. Both TFTP and HTTP take a plain end of file for the
// end of the transfer, so a cut file would else arrive as a good one.
type whole struct {
	File
	at int64
}

func (w *whole) Read(b []byte) (int, error) {
	n, err := w.File.Read(b)
	w.at += int64(n)
	if errors.Is(err, io.EOF) && w.at < w.Size() {
		err = errShort
	}
	return n, err
}

func (w *whole) Seek(offset int64, whence int) (int64, error) {
	at, err := w.File.Seek(offset, whence)
	if err == nil {
		w.at = at
	}
	return at, err
}
