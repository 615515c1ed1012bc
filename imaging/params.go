package imaging

import "fmt"

// MaxChunk is the largest chunk of plain bytes that any Params may name: 1 MiB. Buffers are bounded by it.
const MaxChunk = 1 << 20

// Params say how a disk is cut into chunks. They stand in each manifest; changing them changes where chunks
// end, so images cut with different Params share little. All are bytes and multiples of BlockSize.
type Params struct {
	Min uint32 `json:"min"` // no boundary by hash before this many bytes; zero and free blocks end a chunk earlier
	Avg uint32 `json:"avg"` // a power of two: one block in Avg/BlockSize is a boundary
	Max uint32 `json:"max"` // a chunk ends here at the latest; at most MaxChunk
}

// DefaultParams are the measured choice of the design: 8 KiB, 32 KiB and 128 KiB.
func DefaultParams() Params { return Params{Min: 8 << 10, Avg: 32 << 10, Max: 128 << 10} }

// Validate bounds parameters that may come from a stranger.
func (p Params) Validate() error {
	switch {
	case p.Min < BlockSize || p.Min%BlockSize != 0:
		return fmt.Errorf("chunk minimum %d is not a positive multiple of %d", p.Min, BlockSize)
	case p.Avg < p.Min || p.Avg&(p.Avg-1) != 0:
		return fmt.Errorf("chunk average %d is not a power of two from the minimum up", p.Avg)
	case p.Max < p.Avg || p.Max%BlockSize != 0 || p.Max > MaxChunk:
		return fmt.Errorf("chunk maximum %d is not a multiple of %d from the average up to %d", p.Max, BlockSize, MaxChunk)
	}
	return nil
}

// mask has the low bits that must be zero in a boundary block's hash.
func (p Params) mask() uint64 { return uint64(p.Avg/BlockSize) - 1 }
