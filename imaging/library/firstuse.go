package library

import (
	"ingot/imaging"
)

// heldDigests bounds how many digests firstUses holds at once: about 20 MB.
const heldDigests = 1 << 18

// marks is one bit for each extent of a manifest.
type marks []uint64

func (b marks) set(n uint64)      { b[n/64] |= 1 << (n % 64) }
func (b marks) has(n uint64) bool { return b[n/64]>>(n%64)&1 == 1 }

// firstUses marks the data extents whose chunk no extent before them names. A manifest of many extents is gone through
// several times, each time for a share of the digests, so that memory does not grow with it.
func firstUses(m *imaging.Manifest) (marks, error) { return firstUsesIn(m, heldDigests) }

func firstUsesIn(m *imaging.Manifest, held uint64) (marks, error) {
	first := make(marks, m.Count()/64+1)
	shares := m.Header().DataExtents/held + 1
	for share := range shares {
		seen := map[imaging.Digest]struct{}{}
		for n, err := range m.All() {
			if err != nil {
				return nil, err
			}
			if n.Kind != imaging.Data || shareOf(n.Digest)%shares != share {
				continue
			}
			if _, ok := seen[n.Digest]; !ok {
				seen[n.Digest] = struct{}{}
				first.set(n.N)
			}
		}
	}
	return first, nil
}

func shareOf(d imaging.Digest) uint64 { return uint64(d[0]) | uint64(d[1])<<8 | uint64(d[2])<<16 }
