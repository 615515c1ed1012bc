package firmware

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// ErrNoStick says that a bundle of an older Ingot holds no start system for a stick.
var ErrNoStick = errors.New("this boot bundle holds no start system for a stick: run \"ingot firmware build\"")

// ErrReadBack says that a medium gave back other bytes than were written. It may be matched.
var ErrReadBack = errors.New("other data came back than was written")

// Medium is what a stick is written to: a file or a block device. Sync returns when the bytes are on it; Forget lets
// go of what the kernel keeps of it in memory, so that a ReadAt asks the medium itself.
type Medium interface {
	io.WriterAt
	io.ReaderAt
	Sync() error
	Forget() error
}

// Stick is the content of a boot stick: the signed chain of the HTTP Boot image, with a start system that is whole.
type Stick struct{ image *image }

// Stick lays a stick out. config is its whole GRUB configuration.
func (b *Bundle) Stick(config string) (*Stick, error) {
	if _, ok := b.entry(StickRAM); !ok {
		return nil, ErrNoStick
	}
	data := map[string][]byte{}
	for _, name := range []string{Shim, DiskGrub, Kernel, StickRAM} {
		f, err := b.Open(name)
		if err != nil {
			return nil, fmt.Errorf("make stick: %w", err)
		}
		data[name], err = io.ReadAll(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("make stick: read %s: %w", name, err)
		}
	}
	i, err := layImage([]fatFile{
		{templatePath, []byte(config)},
		{"EFI/BOOT/BOOTX64.EFI", data[Shim]},
		{"EFI/BOOT/grubx64.efi", data[DiskGrub]},
		{Kernel, data[Kernel]},
		{Stage1, data[StickRAM]},
	})
	if err != nil {
		return nil, fmt.Errorf("make stick: %w", err)
	}
	return &Stick{i}, nil
}

// Size is the size in bytes of the smallest medium that holds the stick.
func (s *Stick) Size() int64 { return int64(s.image.sectors()) * sector }

// stickPiece is how many bytes travel at once.
const stickPiece = 1 << 20

// part is one contiguous run of a medium with what belongs there.
type part struct {
	at   int64
	data []byte
}

// parts is everything that a medium of size bytes must hold: from its start to the end of the partition, and the
// second partition table at its very end.
func (s *Stick) parts(size int64) (head, body, tail part, err error) {
	sectors := uint64(size) / sector
	if size < s.Size() {
		return head, body, tail, fmt.Errorf("write stick: the medium has %d bytes, %d are needed", size, s.Size())
	}
	end := int64(s.image.end()) * sector
	m := &memory{front: make([]byte, end), back: make([]byte, gptTail*sector), backAt: int64(sectors-gptTail) * sector}
	if err := s.image.writeTo(m, sectors); err != nil {
		return head, body, tail, err
	}
	return part{0, m.front[:espStart*sector]}, part{espStart * sector, m.front[espStart*sector:]}, part{m.backAt, m.back}, nil
}

// Write writes the stick onto a medium of size bytes, flushes it and reads all of it back. The first MiB goes first as
// zeros and last as it is: a medium that was torn out halfway starts nothing. told hears what is done and how far.
func (s *Stick) Write(ctx context.Context, m Medium, size int64, told func(what string, done, total int64)) error {
	head, body, tail, err := s.parts(size)
	if err != nil {
		return err
	}
	total := int64(len(head.data) + len(body.data) + len(tail.data))
	done := int64(0)
	for _, step := range [][]part{{{0, make([]byte, len(head.data))}}, {body, tail}, {head}} {
		for _, p := range step {
			if err := pieces(ctx, p, func(at int64, b []byte) error {
				if _, err := m.WriteAt(b, at); err != nil {
					return fmt.Errorf("write stick at %d: %w", at, err)
				}
				done += int64(len(b))
				told("writing", done, total+int64(len(head.data)))
				return nil
			}); err != nil {
				return err
			}
		}
		if err := m.Sync(); err != nil {
			return fmt.Errorf("flush stick: %w", err)
		}
	}
	if err := m.Forget(); err != nil {
		return fmt.Errorf("read stick back: %w", err)
	}
	done = 0
	got := make([]byte, stickPiece)
	for _, p := range []part{head, body, tail} {
		if err := pieces(ctx, p, func(at int64, want []byte) error {
			if _, err := io.ReadFull(io.NewSectionReader(m, at, int64(len(want))), got[:len(want)]); err != nil {
				return fmt.Errorf("read stick back at %d: %w", at, err)
			}
			if !bytes.Equal(got[:len(want)], want) {
				return fmt.Errorf("%w, in the %d bytes at %d", ErrReadBack, len(want), at)
			}
			done += int64(len(want))
			told("reading back", done, total)
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// pieces walks through a part.
func pieces(ctx context.Context, p part, fn func(at int64, b []byte) error) error {
	for off := 0; off < len(p.data); off += stickPiece {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(p.at+int64(off), p.data[off:min(off+stickPiece, len(p.data))]); err != nil {
			return err
		}
	}
	return nil
}

// memory takes the two ends of a disk whose middle is of no interest.
type memory struct {
	front, back []byte
	backAt      int64
}

// WriteAt implements io.WriterAt.
func (m *memory) WriteAt(b []byte, at int64) (int, error) {
	switch {
	case at >= m.backAt:
		return copy(m.back[at-m.backAt:], b), nil
	case at+int64(len(b)) <= int64(len(m.front)):
		return copy(m.front[at:], b), nil
	}
	return 0, fmt.Errorf("lay out stick: %d bytes at %d lie outside of it", len(b), at)
}
