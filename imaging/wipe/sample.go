package wipe

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/zeebo/blake3"
)

// blockBytes is what is sampled at a time: the smallest piece that any file system moves.
const blockBytes = 4096

// The scheme of SP 800-88: at least 1000 equal sections, two samples in each that do not overlap, each a twentieth of
// its section, and the first and last block always.
const (
	schemeSections = 1000
	schemeSamples  = 2
	schemeShare    = 20
	canaryCount    = 32
)

// Seed decides where samples lie and what canaries hold. It is drawn when a run starts, so no drive can know it before.
type Seed [32]byte

// MarshalText writes a Seed as hex.
func (s Seed) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(s[:])), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Seed) UnmarshalText(b []byte) error {
	raw, err := hex.DecodeString(string(b))
	if err != nil || len(raw) != len(s) {
		return fmt.Errorf("a seed is 64 hex digits, not %q", b)
	}
	copy(s[:], raw)
	return nil
}

func (s Seed) String() string { return hex.EncodeToString(s[:]) }

// Places are where the samples of one run lie, as byte offsets in order.
type places struct {
	all      []uint64
	canaries map[uint64]int // offset to number; each is in all
	sections int
}

// choose draws the places: pure, and the same again from the same seed, size and depth.
func choose(seed Seed, size uint64, sector int, d Depth) places {
	rnd := rand.New(rand.NewChaCha8(seed))
	blocks := size / blockBytes
	p := places{canaries: map[uint64]int{}, sections: int(min(schemeSections, max(1, blocks/4)))}
	if blocks == 0 {
		return p
	}
	last := (size - blockBytes) / uint64(sector) * uint64(sector) // the last sector is in it, also when size is no multiple of a block
	set := map[uint64]bool{0: true, last: true}
	for i := range p.sections {
		from, to := blocks*uint64(i)/uint64(p.sections), blocks*uint64(i+1)/uint64(p.sections)
		for _, b := range inSection(rnd, from, to, d.blocks()) {
			set[b*blockBytes] = true
		}
	}
	for i := range canaryCount { // one in each of as many strata, never the first or last block
		from, to := blocks*uint64(i)/canaryCount, blocks*uint64(i+1)/canaryCount
		if to <= from {
			continue
		}
		off := (from + rnd.Uint64N(to-from)) * blockBytes
		if off == 0 || off+blockBytes > last {
			continue
		}
		set[off], p.canaries[off] = true, i
	}
	for off := range set {
		p.all = append(p.all, off)
	}
	slices.Sort(p.all)
	return p
}

// inSection draws two samples of a twentieth each that do not overlap, and some blocks of each.
func inSection(rnd *rand.Rand, from, to uint64, each int) []uint64 {
	n := to - from
	slot := max(1, n/schemeShare)
	slots := n / slot
	first := rnd.Uint64N(slots)
	picked := []uint64{first}
	if slots > 1 {
		picked = append(picked, (first+1+rnd.Uint64N(slots-1))%slots)
	}
	var out []uint64
	for _, s := range picked {
		for range min(uint64(each), slot) {
			out = append(out, from+s*slot+rnd.Uint64N(slot))
		}
	}
	return out
}

// canary is what canary i of a run holds.
func canary(seed Seed, i int) []byte {
	seed[0] ^= byte(i)
	seed[1] ^= 0xca
	b := make([]byte, blockBytes)
	src := rand.NewChaCha8(seed)
	for k := 0; k < len(b); k += 8 {
		binary.LittleEndian.PutUint64(b[k:], src.Uint64())
	}
	return b
}

// sum shortens a block to 8 bytes; 0 stands for a block that tells nothing, since it repeats one word.
func sum(b []byte) uint64 {
	if uniform(b) {
		return 0
	}
	h := blake3.Sum256(b)
	return max(1, binary.LittleEndian.Uint64(h[:]))
}

// uniform reports whether b repeats its first 8 bytes.
func uniform(b []byte) bool {
	w := binary.LittleEndian.Uint64(b)
	for i := 8; i+8 <= len(b); i += 8 {
		if binary.LittleEndian.Uint64(b[i:]) != w {
			return false
		}
	}
	return true
}

// stream fills b with what an overwrite puts at off: words that depend on the key and on their place, so that neither
// zeros, nor another pass, nor a block in the wrong place reads the same. off and len(b) are multiples of 8.
func stream(b []byte, off uint64, seed Seed) {
	key := binary.LittleEndian.Uint64(seed[8:])
	w := off / 8
	for i := 0; i+8 <= len(b); i += 8 {
		z := key + (w+1)*0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		binary.LittleEndian.PutUint64(b[i:], z^z>>31)
		w++
	}
}
