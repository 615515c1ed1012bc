package capture

import (
	"context"
	"fmt"

	"ingot/imaging"
)

const block = imaging.BlockSize

// steps receives the disk from its start: free space, known zeros, and bytes that must be read. Lengths are
// whole blocks except at the disk's end.
type steps interface {
	free(n int64) error
	zero(n int64) error
	data(start, end int64) error
}

// walk goes through the disk by blocks. A block is free when no byte of it is used, and zero when it is used
// but the Source stores no byte of it.
func (l *layout) walk(ctx context.Context, src Source, to steps) error {
	for pos := int64(0); pos < l.size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		start, end, err := l.nextUsed(pos)
		if err != nil {
			return err
		}
		start, end = max(pos, start/block*block), min(l.size, (end+block-1)/block*block)
		if end <= pos {
			return fmt.Errorf("walk the disk at %d: the next used run ends at %d", pos, end)
		}
		if start > pos {
			if err := to.free(start - pos); err != nil {
				return err
			}
		}
		if pos, err = l.walkUsed(src, start, end, to); err != nil {
			return err
		}
	}
	return nil
}

// walkUsed divides a used run into what is stored and what is a hole.
func (l *layout) walkUsed(src Source, pos, end int64, to steps) (int64, error) {
	for pos < end {
		start, stop, err := src.NextData(pos)
		if err != nil {
			return pos, worded(err, "reading the disk")
		}
		if start < pos || stop < start || (start == stop && start < l.size) {
			return pos, fmt.Errorf("map disk at %d: answered %d to %d", pos, start, stop)
		}
		start, stop = min(end, max(pos, start/block*block)), min(end, (stop+block-1)/block*block)
		if start > pos {
			if err := to.zero(start - pos); err != nil {
				return pos, err
			}
		}
		if stop > start {
			if err := to.data(start, stop); err != nil {
				return pos, err
			}
		}
		pos = max(start, stop)
	}
	return pos, nil
}

// nextUsed finds the first used run at or behind pos, the size of the disk when there is none. Space outside
// partitions is used, except the second GPT.
func (l *layout) nextUsed(pos int64) (start, end int64, err error) {
	for pos < l.size {
		p, next := l.at(pos)
		switch {
		case p == nil && pos >= l.dead[0] && pos < l.dead[1]:
			pos = l.dead[1]
		case p == nil && l.dead[0] > pos:
			return pos, min(next, l.dead[0]), nil
		case p == nil || p.used == nil:
			return pos, next, nil
		default:
			start, end, err := p.used.Next(pos - p.sec.start)
			if err != nil {
				return 0, 0, worded(err, "reading the used-block map of "+p.name())
			}
			if start < end {
				return p.sec.start + start, p.sec.start + end, nil
			}
			pos = p.sec.end
		}
	}
	return l.size, l.size, nil
}

// at tells which partition holds the byte pos, nil for none, and where that partition or gap ends.
func (l *layout) at(pos int64) (*part, int64) {
	for _, p := range l.parts {
		if pos < p.sec.start {
			return nil, p.sec.start
		}
		if pos < p.sec.end {
			return p, p.sec.end
		}
	}
	return nil, l.size
}

// read fills b with the disk's bytes at off; those of the second GPT are zeros.
func (l *layout) read(src Source, b []byte, off int64) error {
	if n, err := src.ReadAt(b, off); n < len(b) {
		if err == nil {
			err = fmt.Errorf("only %d of %d bytes", n, len(b))
		}
		return worded(err, fmt.Sprintf("reading the disk at byte %d", off))
	}
	if lo, hi := max(l.dead[0], off), min(l.dead[1], off+int64(len(b))); lo < hi {
		clear(b[lo-off : hi-off])
	}
	return nil
}

// counter measures a walk without reading.
type counter struct{ bytes int64 }

func (c *counter) free(int64) error { return nil }
func (c *counter) zero(int64) error { return nil }
func (c *counter) data(start, end int64) error {
	c.bytes += end - start
	return nil
}
