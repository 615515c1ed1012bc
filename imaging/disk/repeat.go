package disk

import (
	"context"
	"encoding/binary"
	"sync"

	"ingot/imaging"
)

// A disk holds some chunks more than once: a kernel on the EFI partition and in /boot, a file and its copy. Each
// travels once; its other places are filled from the first, which is read back from the drive and has to have
// the digest. What cannot be copied is fetched. A drive that must seek is not asked to: its arm costs more than
// the bytes.

// known remembers where chunks lie or will lie, in a table of fixed size: a chunk that has fallen out of it only
// travels once more.
type known struct {
	mu    sync.Mutex
	slots []place
}

// place is where a chunk is, once filled is closed.
type place struct {
	key    uint64 // of the digest, never 0; what is read is compared with the whole digest
	off    uint64
	length uint64
	filled <-chan struct{}
}

const (
	placesPerBucket = 4
	maxPlaces       = 1 << 17 // 5 MiB; enough for an image of some 4 GB of data
)

// newKnown makes a table for an image of so many data extents.
func newKnown(extents uint64) *known {
	n := uint64(placesPerBucket)
	for n < 2*extents && n < maxPlaces {
		n *= 2
	}
	return &known{slots: make([]place, n)}
}

// bucket gives the slots in which a digest may be.
func (k *known) bucket(d imaging.Digest) (key uint64, slots []place) {
	key = binary.LittleEndian.Uint64(d[:]) | 1
	at := binary.LittleEndian.Uint64(d[8:]) % uint64(len(k.slots)/placesPerBucket) * placesPerBucket
	return key, k.slots[at : at+placesPerBucket]
}

// find looks for an extent's chunk.
func (k *known) find(e imaging.Extent) (place, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, slots := k.bucket(e.Digest)
	for _, p := range slots {
		if p.key == key && p.length == e.Length {
			return p, true
		}
	}
	return place{}, false
}

// add notes that an extent's chunk lies in its place when filled is closed. The oldest of a full bucket goes.
func (k *known) add(e imaging.Extent, filled <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, slots := k.bucket(e.Digest)
	copy(slots[1:], slots)
	slots[0] = place{key, e.Offset, e.Length, filled}
}

// repeat is an extent whose chunk lies, or will lie, elsewhere on the disk.
type repeat struct {
	i    int
	from place
}

// divide parts a window's missing extents into those that travel and those that are copied. filled is closed when
// the window's own have arrived. Copying waits for other windows, but what travels never waits for a copy: so the
// windows cannot wait for each other in a circle.
func (r *run) divide(w *window, filled <-chan struct{}) (fetch []int, repeats []repeat) {
	if r.known == nil {
		return w.write, nil
	}
	missing := 0
	for i, e := range w.extents {
		if e.Kind != imaging.Data {
			continue
		}
		if missing < len(w.write) && w.write[missing] == i {
			missing++
			if p, ok := r.known.find(e); ok {
				repeats = append(repeats, repeat{i, p})
				continue
			}
			fetch = append(fetch, i)
		}
		r.known.add(e, filled)
	}
	return fetch, repeats
}

// copyRepeats fills the places of chunks that the disk has by now, and returns the extents for which that failed.
func (r *run) copyRepeats(ctx context.Context, w *window, todo []repeat) (left []int, err error) {
	if len(todo) == 0 {
		return nil, nil
	}
	buf, err := r.reads.get(ctx)
	if err != nil {
		return nil, err
	}
	defer r.reads.put(buf)
	for len(todo) > 0 {
		n, size := alongside(w, todo)
		same, err := r.copyRun(ctx, w, todo[:n], buf[:size])
		if err != nil {
			return nil, err
		}
		if !same {
			for _, t := range todo[:n] {
				left = append(left, t.i)
			}
		}
		todo = todo[n:]
	}
	return left, nil
}

// alongside counts the repeats at the front of todo that lie one behind the other in both places: one read and
// one write of size bytes.
func alongside(w *window, todo []repeat) (n int, size uint64) {
	first := w.extents[todo[0].i]
	for n < len(todo) {
		e, from := w.extents[todo[n].i], todo[n].from.off
		if n > 0 && (e.Offset != first.Offset+size || from != todo[0].from.off+size || size+e.Length > pieceSize) {
			break
		}
		n, size = n+1, size+e.Length
	}
	return n, size
}

// copyRun copies one such run, when what lies there is what belongs here.
func (r *run) copyRun(ctx context.Context, w *window, todo []repeat, b []byte) (same bool, err error) {
	for _, t := range todo {
		select {
		case <-t.from.filled:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
	if err := r.target.read(b, todo[0].from.off); err != nil {
		return false, err
	}
	to := w.extents[todo[0].i].Offset
	for _, t := range todo {
		e := w.extents[t.i]
		if imaging.Sum(b[e.Offset-to:][:e.Length]) != e.Digest {
			return false, nil
		}
	}
	if err := r.target.write(b, to); err != nil {
		return false, err
	}
	r.progress.Done.Add(uint64(len(b)))
	r.progress.Written.Add(uint64(len(b)))
	return true, nil
}
