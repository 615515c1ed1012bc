package wipe

import (
	"bytes"
	"fmt"

	"ingot/imaging/passthru"
)

// writePiece is what is written and read at a time.
const writePiece = 1 << 20

// overwrite writes every block once and reads every block back. A block that cannot be written does not end the pass:
// the rest is overwritten all the same, and the Report says how much was.
func (r *run) overwrite() *end {
	if e := r.covered(); e != nil {
		return e
	}
	boot, e := r.openBoot()
	if e != nil {
		return e
	}
	size, sector := r.rep.Drive.SizeBytes, r.rep.Drive.SectorSize
	r.rep.Completion, r.rep.Verification = Completion{}, Verification{}
	ev := Evidence{Seed: r.seed, Size: size, Sector: sector, Depth: r.order.Policy.Depth}
	if e := r.journal(Started{Evidence: ev}); e != nil {
		return e
	}
	r.rep.Touched = true
	r.began = r.Clock.Now()
	if e := r.bootAreas(boot); e != nil {
		return e
	}
	written, werr := r.writeAll(size, sector)
	if err := r.Port.Flush(); err != nil { // never tried again: a second flush forgets what the first one lost
		werr = fmt.Errorf("the drive did not confirm its writes: %w", err)
		written = 0
	}
	r.rep.Verification.Written, r.rep.Verification.Total = written, size
	r.at.raw("written", "%d of %d bytes", written, size)
	if werr != nil {
		return ended(Failed, CauseUnwritable, "%d of %d bytes (%d %%) were overwritten: %v", written, size, written*100/max(1, size), werr)
	}
	return r.readBack(ev, written)
}

// writeAll gives how many bytes were taken, and the first error.
func (r *run) writeAll(size uint64, sector int) (written uint64, first error) {
	buf := passthru.Aligned(writePiece)
	for off := uint64(0); off < size; {
		n := min(writePiece, size-off)
		stream(buf[:n], off, r.seed)
		if _, err := r.Port.WriteAt(buf[:n], int64(off)); err != nil {
			k, err := r.writeSmall(buf[:n], off, sector)
			written += k
			if first == nil {
				first = err
			}
		} else {
			written += n
		}
		off += n
		r.show(Wiping, off, size, left(r.Clock.Now().Sub(r.began), off, size))
	}
	return written, first
}

// writeSmall goes block by block through a piece that was refused as a whole.
func (r *run) writeSmall(b []byte, off uint64, sector int) (written uint64, first error) {
	step := max(blockBytes, sector)
	for i := 0; i < len(b); i += step {
		k := b[i:min(i+step, len(b))]
		if _, err := r.Port.WriteAt(k, int64(off)+int64(i)); err != nil {
			if first == nil {
				first = fmt.Errorf("at byte %d: %w", off+uint64(i), err)
			}
			continue
		}
		written += uint64(len(k))
	}
	return written, first
}

// readBack compares the whole drive with what was written.
func (r *run) readBack(ev Evidence, written uint64) *end {
	if err := r.Port.Rescan(); err != nil {
		r.at.raw("rescan", "%v", err)
	}
	f, err := r.Port.Facts()
	if err != nil {
		return ended(Indeterminate, CauseUnverified, "%v", err)
	}
	if f.SizeBytes != ev.Size || !sameText(f.Serial, r.rep.Drive.Serial) {
		return ended(Indeterminate, CauseUnverified, "the drive is another one now: %s, %d bytes", f.Serial, f.SizeBytes)
	}
	r.began = r.Clock.Now()
	v := ev.readWhole(r.Port, func(done, total uint64) {
		r.show(Checking, done, total, left(r.Clock.Now().Sub(r.began), done, total))
	})
	v.Written = written
	r.rep.Verification = v
	switch {
	case v.Mismatches > 0:
		return ended(Failed, CauseReadBack, "%d bytes do not read back as written, the first at %d", v.Mismatches, v.First)
	case v.Unreadable > 0:
		return ended(Failed, CauseReadBack, "%d bytes cannot be read back", v.Unreadable)
	}
	r.rep.Completion = Completion{Accepted: true, Finished: true, Fresh: true,
		How: fmt.Sprintf("%d bytes written and flushed, and read back as the stream of this run's seed", written)}
	return nil
}

// readWhole reads every byte of the drive against the stream.
func (ev Evidence) readWhole(p Port, show func(done, total uint64)) Verification {
	v := Verification{Method: MethodReadBack, Seed: ev.Seed.String(), BlockBytes: blockBytes, Total: ev.Size, Direct: p.Direct()}
	want, got := passthru.Aligned(writePiece), passthru.Aligned(writePiece)
	for off := uint64(0); off < ev.Size; {
		n := min(writePiece, ev.Size-off)
		stream(want[:n], off, ev.Seed)
		if k, err := p.ReadAt(got[:n], int64(off)); err == nil && uint64(k) == n && bytes.Equal(got[:n], want[:n]) {
			v.Bytes += n
		} else {
			v.piece(p, got[:n], want[:n], off)
		}
		off += n
		show(off, ev.Size)
	}
	v.EndsRead = v.Bytes == v.Total
	return v
}

// piece finds what is wrong in a piece, block by block.
func (v *Verification) piece(p Port, got, want []byte, off uint64) {
	for i := 0; i < len(want); i += blockBytes {
		j := min(i+blockBytes, len(want))
		n, err := p.ReadAt(got[i:j], int64(off)+int64(i))
		switch {
		case err != nil || n != j-i:
			v.Unreadable += j - i
		case !bytes.Equal(got[i:j], want[i:j]):
			if v.Mismatches == 0 {
				v.First = off + uint64(i)
			}
			v.Mismatches += uint64(j - i)
		default:
			v.Bytes += uint64(j - i)
		}
	}
}
