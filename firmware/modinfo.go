package firmware

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Bounds of one kernel module.
const (
	maxModule  = 64 << 20 // bytes, unpacked
	maxModinfo = 1 << 20  // bytes of the .modinfo section
)

// module is what a kernel module tells about itself.
type module struct {
	name     string // as the kernel names it, with underscores
	path     string // below /lib/modules/VERSION, as kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko
	depends  []string
	aliases  []string
	firmware []string
	softdeps []string // "pre: a b post: c", one line each
}

// plainName is what a module is called: anything else could not stand in a line of the lists.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// moduleName gives the kernel's name of a module file, and whether the path is one: .ko, .ko.xz or .ko.zst.
func moduleName(file string) (string, bool) {
	base := path.Base(file)
	for _, end := range []string{".ko", ".ko.xz", ".ko.zst"} {
		if name, ok := strings.CutSuffix(base, end); ok && plainName.MatchString(name) {
			return underscored(name), true
		}
	}
	return "", false
}

func underscored(name string) string { return strings.ReplaceAll(name, "-", "_") }

// parseModule reads a module file as shipped; compressed ones are unpacked in memory only.
func parseModule(file string, raw []byte) (module, error) {
	m := module{path: file}
	var ok bool
	if m.name, ok = moduleName(file); !ok {
		return m, fmt.Errorf("module %s: not a module's file name", file)
	}
	raw, err := unpackModule(file, raw)
	if err != nil {
		return m, fmt.Errorf("module %s: %w", file, err)
	}
	info, err := modinfoSection(raw)
	if err != nil {
		return m, fmt.Errorf("module %s: %w", file, err)
	}
	for _, field := range strings.Split(string(info), "\x00") {
		key, value, _ := strings.Cut(field, "=")
		if value == "" || strings.ContainsAny(value, "\n\r") || key != "softdep" && strings.ContainsAny(value, " \t") {
			continue // it could not stand in a line of the lists, and names no device
		}
		switch key {
		case "depends":
			for _, d := range strings.Split(value, ",") {
				m.depends = append(m.depends, underscored(d))
			}
		case "alias":
			m.aliases = append(m.aliases, value)
		case "firmware":
			m.firmware = append(m.firmware, value)
		case "softdep":
			m.softdeps = append(m.softdeps, value)
		}
	}
	return m, nil
}

// unpackModule gives the ELF bytes of a module file.
func unpackModule(file string, raw []byte) ([]byte, error) {
	var r io.Reader
	switch {
	case strings.HasSuffix(file, ".xz"):
		x, err := xz.NewReader(bytes.NewReader(raw))
		if err != nil {
			return nil, fmt.Errorf("open xz: %w", err)
		}
		r = x
	case strings.HasSuffix(file, ".zst"):
		z, err := zstd.NewReader(bytes.NewReader(raw), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxModule))
		if err != nil {
			return nil, fmt.Errorf("open zstd: %w", err)
		}
		defer z.Close()
		r = z
	default:
		return raw, nil
	}
	out, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	if len(out) > maxModule {
		return nil, fmt.Errorf("unpack: more than %d bytes", maxModule)
	}
	return out, nil
}

// modinfoSection cuts .modinfo, a list of zero-ended KEY=VALUE texts, out of an ELF file.
func modinfoSection(raw []byte) ([]byte, error) {
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("read ELF: %w", err)
	}
	s := f.Section(".modinfo")
	if s == nil {
		return nil, fmt.Errorf("no .modinfo section")
	}
	if s.Size > maxModinfo {
		return nil, fmt.Errorf(".modinfo of %d bytes, at most %d", s.Size, maxModinfo)
	}
	b, err := s.Data()
	if err != nil {
		return nil, fmt.Errorf("read .modinfo: %w", err)
	}
	return b, nil
}
