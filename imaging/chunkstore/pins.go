package chunkstore

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"time"

	"ingot/imaging"
)

// Pins hold chunks that no manifest names yet against gc. Whoever relies on a chunk pins it first and looks for it
// then; gc takes a pack out of the lookup first and asks for pins then. So either the one finds the chunk gone and
// stores it anew, or the other finds the pin and keeps it.
//
// A set of pins is a bitmap over the digests' first bits: a few MB for ten million chunks, and now and then a chunk
// counts as pinned that is not. Then gc takes it the next time.
type pins struct {
	mu   sync.Mutex
	maps []pinMap
	end  time.Time // when it ends by itself; zero while its batch runs. Guarded by keep.mu, as over
	over bool      // ended, and kept for the sweep that runs
}

// pinMap is one bitmap of a power of two bits. When a sixteenth of them is set, the next one is four times as large.
type pinMap struct {
	bits []uint64
	set  int
}

const firstPins = 1 << 20 // bits of the first bitmap

func (m *pinMap) place(d imaging.Digest) (word int, bit uint64) {
	n := binary.LittleEndian.Uint64(d[8:]) % uint64(len(m.bits)*64)
	return int(n / 64), 1 << (n % 64)
}

func (m *pinMap) has(d imaging.Digest) bool {
	word, bit := m.place(d)
	return m.bits[word]&bit != 0
}

func (p *pins) add(d imaging.Digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.maps)
	if n == 0 || p.maps[n-1].set*16 > len(p.maps[n-1].bits)*64 {
		p.maps = append(p.maps, pinMap{bits: make([]uint64, firstPins/64<<(2*n))})
		n++
	}
	m := &p.maps[n-1]
	if word, bit := m.place(d); m.bits[word]&bit == 0 {
		m.bits[word] |= bit
		m.set++
	}
}

func (p *pins) has(d imaging.Digest) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.maps {
		if p.maps[i].has(d) {
			return true
		}
	}
	return false
}

// afterCommit is how long the chunks of a committed batch stay pinned for its manifest, when nobody ends it by Abort.
const afterCommit = time.Hour

// keep is what a sweep must spare beside what its caller wants.
type keep struct {
	mu       sync.Mutex
	sets     map[*pins]struct{}
	fresh    map[imaging.Digest]int // manifests put since Open, with how many who put them have not told what came of it
	sweeping bool
}

func (k *keep) begin() *pins {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := &pins{}
	if k.sets == nil {
		k.sets = map[*pins]struct{}{}
	}
	k.sets[p] = struct{}{}
	return p
}

// expire lets a set go by itself after a while.
func (k *keep) expire(p *pins) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p.end = time.Now().Add(afterCommit)
}

// drop ends a set. A sweep that runs has made its choice of manifests already, so it goes on sparing these chunks.
func (k *keep) drop(p *pins) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p.over = true; !k.sweeping {
		delete(k.sets, p)
	}
}

// pins are the sets of this moment.
func (k *keep) pins() []*pins {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Collect(maps.Keys(k.sets))
}

// pinned reports whether somebody relies on a chunk.
func pinned(sets []*pins, d imaging.Digest) bool {
	return slices.ContainsFunc(sets, func(p *pins) bool { return p.has(d) })
}

// put notes a manifest before it gets its name.
func (k *keep) put(d imaging.Digest) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fresh == nil {
		k.fresh = map[imaging.Digest]int{}
	}
	k.fresh[d]++
}

// named ends one put. After the last one the records decide about the manifest, from the next sweep on.
func (k *keep) named(d imaging.Digest) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fresh[d] > 0 {
		k.fresh[d]--
	}
}

// beginSweep gives the manifests that no record names yet. What is put or pinned from now on outlives the sweep.
func (k *keep) beginSweep() (fresh []imaging.Digest) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sweeping = true
	for p := range k.sets {
		if !p.end.IsZero() && time.Now().After(p.end) {
			delete(k.sets, p)
		}
	}
	for d, open := range k.fresh {
		if open == 0 {
			delete(k.fresh, d)
		} else {
			fresh = append(fresh, d)
		}
	}
	return fresh
}

func (k *keep) endSweep() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sweeping = false
	for p := range k.sets {
		if p.over {
			delete(k.sets, p)
		}
	}
}
