package wipe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"ingot/imaging/passthru"
)

// Evidence is what is kept of a drive before it is wiped: where was looked, and what was there. The places follow from
// the seed, so only the sums are stored, 8 bytes each, in the order of the places.
type Evidence struct {
	Seed    Seed   `json:"seed"`
	Size    uint64 `json:"size"`
	Sector  int    `json:"sector"`
	Depth   Depth  `json:"depth"`
	Sums    []byte `json:"sums"`
	Planted int    `json:"planted"` // canaries that were there when they were read again
}

// errUnreadable: what lies on the drive cannot be looked at, so nothing could be compared afterwards.
var errUnreadable = errors.New("the drive cannot be read")

// look writes the canaries, sees that they are there, and hashes the samples. It is the first thing that changes the
// drive. touched reports whether anything was written.
func look(p Port, seed Seed, size uint64, sector int, d Depth, step func(done, total int)) (ev Evidence, touched bool, err error) {
	ev = Evidence{Seed: seed, Size: size, Sector: sector, Depth: d}
	at := choose(seed, size, sector, d)
	if err := readable(p, size, sector); err != nil {
		return ev, false, err
	}
	for off, i := range at.canaries {
		touched = true
		if _, err := p.WriteAt(aligned(canary(seed, i)), int64(off)); err != nil {
			continue // a bad sector; it is counted below, by reading
		}
	}
	if err := p.Flush(); err != nil {
		return ev, touched, fmt.Errorf("write canaries: %w", err)
	}
	buf := passthru.Aligned(blockBytes)
	ev.Sums = make([]byte, 0, 8*len(at.all))
	unread := 0
	for n, off := range at.all {
		step(n, len(at.all))
		s := uint64(0)
		if err := readBlock(p, buf, off); err != nil {
			unread++
		} else {
			s = sum(buf)
			if i, ok := at.canaries[off]; ok && bytes.Equal(buf, canary(seed, i)) {
				ev.Planted++
			}
		}
		ev.Sums = binary.LittleEndian.AppendUint64(ev.Sums, s)
	}
	if unread > len(at.all)/2 {
		return ev, touched, fmt.Errorf("%d of %d samples: %w", unread, len(at.all), errUnreadable)
	}
	if ev.Planted < minCanaries {
		return ev, touched, fmt.Errorf("only %d of %d canaries were there when they were read again", ev.Planted, len(at.canaries))
	}
	return ev, touched, nil
}

// readable asks for the first block before anything is written: a locked drive shows itself here.
func readable(p Port, size uint64, sector int) error {
	buf := passthru.Aligned(blockBytes)
	var err error
	for _, off := range []uint64{0, size / 2 / blockBytes * blockBytes, (size - blockBytes) / uint64(sector) * uint64(sector)} {
		if err = readBlock(p, buf, off); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: %v", errUnreadable, err)
}

func readBlock(p Port, buf []byte, off uint64) error {
	n, err := p.ReadAt(buf, int64(off))
	if n == len(buf) {
		return nil
	}
	if err == nil {
		err = errors.New("a short read")
	}
	return err
}

// aligned copies b to where O_DIRECT takes it.
func aligned(b []byte) []byte {
	out := passthru.Aligned(len(b))
	copy(out, b)
	return out
}

// compare looks at the same places again. rest is slept before a block is tried once more: a drive that was just
// formatted goes and comes.
func (ev Evidence) compare(p Port, rest func(time.Duration), step func(done, total int)) Verification {
	at := choose(ev.Seed, ev.Size, ev.Sector, ev.Depth)
	v := Verification{Method: MethodSamples, Seed: ev.Seed.String(), Sections: at.sections, PerSection: schemeSamples, BlockBytes: blockBytes,
		Canaries: ev.Planted, Taken: len(at.all), Direct: p.Direct()}
	buf := passthru.Aligned(blockBytes)
	patience := 20
	for n, off := range at.all {
		step(n, len(at.all))
		if 8*n+8 > len(ev.Sums) { // a journal that was cut off
			break
		}
		was := binary.LittleEndian.Uint64(ev.Sums[8*n:])
		if was != 0 {
			v.Telling++
		}
		err := readBlock(p, buf, off)
		for ; err != nil && patience > 0; patience-- {
			rest(500 * time.Millisecond)
			err = readBlock(p, buf, off)
		}
		v.Compared++
		if err != nil {
			v.Unreadable++
			continue
		}
		v.count(buf)
		if was != 0 && sum(buf) == was {
			v.Unchanged++
		}
		v.EndsRead = v.EndsRead || n == len(at.all)-1 // in order, so the first was read too, or counts as unreadable
	}
	return v
}

// count notes what a block reads as now. It decides nothing.
func (v *Verification) count(b []byte) {
	switch {
	case !uniform(b):
		v.Other++
	case binary.LittleEndian.Uint64(b) == 0:
		v.Zeros++
	default:
		v.Uniform++
	}
}
