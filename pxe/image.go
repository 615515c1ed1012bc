package pxe

import (
	"bytes"
	"fmt"
	"io"
)

// patched is a File in which one region reads as other bytes of the same length: the RAM-disk image with a
// machine's own grub.cfg in it.
type patched struct {
	File
	offset int64
	patch  []byte
	at     int64
}

// patchConfig puts a GRUB configuration into the template's region, filled up with newlines.
func patchConfig(f File, offset, size int64, config string) (*patched, error) {
	if offset < 0 || size < 1 || size > 1<<20 || offset > f.Size()-size {
		return nil, fmt.Errorf("patch boot image: no room for a configuration at %d+%d of %d bytes", offset, size, f.Size())
	}
	if int64(len(config)) > size {
		return nil, fmt.Errorf("patch boot image: configuration of %d bytes, room for %d", len(config), size)
	}
	fill := bytes.Repeat([]byte{'\n'}, int(size)-len(config))
	return &patched{File: f, offset: offset, patch: append([]byte(config), fill...)}, nil
}

// Read reads the file and lays the patch over what overlaps it.
func (p *patched) Read(b []byte) (int, error) {
	n, err := p.File.Read(b)
	from, to := max(p.at, p.offset), min(p.at+int64(n), p.offset+int64(len(p.patch)))
	if from < to {
		copy(b[from-p.at:to-p.at], p.patch[from-p.offset:])
	}
	p.at += int64(n)
	return n, err
}

// Seek implements io.Seeker.
func (p *patched) Seek(offset int64, whence int) (int64, error) {
	at, err := p.File.Seek(offset, whence)
	if err == nil {
		p.at = at
	}
	return at, err
}

var _ io.ReadSeeker = (*patched)(nil)
