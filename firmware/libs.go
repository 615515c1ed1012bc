package firmware

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// libraryDirs is where the packages put libraries and the loader of amd64 looks for them.
var libraryDirs = []string{"lib/x86_64-linux-gnu", "lib"}

// program gives a program and every library that it needs, as plain files where the loader finds them: no
// links, so that unpacking cannot be led astray. A library that no package holds is an error.
func (t *tree) program(p string) ([]picked, error) {
	main, err := t.pick(p, p)
	if err != nil {
		return nil, err
	}
	main.mode = 0o755
	out := []picked{main}
	seen := map[string]bool{}
	for i := 0; i < len(out); i++ {
		needed, loader, err := elfNeeds(out[i].data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", out[i].path, err)
		}
		if loader != "" && !seen[path.Base(loader)] {
			seen[path.Base(loader)] = true
			ld, err := t.pick(strings.TrimPrefix(loader, "/"), strings.TrimPrefix(loader, "/"))
			if err != nil {
				return nil, fmt.Errorf("%s wants a loader: %w", out[i].path, err)
			}
			ld.mode = 0o755
			out = append(out, ld)
		}
		for _, lib := range needed {
			if seen[lib] {
				continue
			}
			seen[lib] = true
			l, err := t.library(lib)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", out[i].path, err)
			}
			out = append(out, l)
		}
	}
	return out, nil
}

// library finds a library by the name that a program asks for.
func (t *tree) library(name string) (picked, error) {
	if name != path.Base(name) || name == "." {
		return picked{}, fmt.Errorf("needs a library of the name %q", name)
	}
	i := slices.IndexFunc(libraryDirs, func(d string) bool { _, _, err := t.find(d + "/" + name); return err == nil })
	if i < 0 {
		return picked{}, fmt.Errorf("needs %s, which no package given holds", name)
	}
	p := libraryDirs[i] + "/" + name
	return t.pick(p, p)
}

// elfNeeds reads the libraries and the loader that a program or library names.
func elfNeeds(raw []byte) (needed []string, loader string, err error) {
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		return nil, "", fmt.Errorf("read ELF: %w", err)
	}
	if needed, err = f.ImportedLibraries(); err != nil {
		return nil, "", fmt.Errorf("read ELF: %w", err)
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(p.Open(), 256))
		if err != nil {
			return nil, "", fmt.Errorf("read ELF loader name: %w", err)
		}
		loader = strings.TrimRight(string(b), "\x00")
	}
	return needed, loader, nil
}
