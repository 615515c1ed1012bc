package chunkstore

import "ingot/imaging"

// Has reports whether the store holds a chunk, or this batch stores it at this moment.
func (b *Batch) Has(d imaging.Digest) (bool, error) {
	b.mu.Lock()
	_, pending := b.pending[d]
	b.mu.Unlock()
	if pending {
		return true, nil
	}
	return b.s.Has(d)
}
