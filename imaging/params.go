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

	// A chunk of at least End bytes ends behind a block that looks like the last one of a file; 0: files are not looked for.
	End uint32 `json:"end,omitempty"`
}

// fileTail is how many zeros at a block's end say that a file ends there: file systems fill a file's last block with zeros.
const fileTail = 8

// DefaultParams are the measured choice: a chunk for each file, and files of more than 128 KiB in several.
func DefaultParams() Params {
	return Params{Min: 16 << 10, Avg: 128 << 10, Max: 128 << 10, End: BlockSize}
}

// Validate bounds parameters that may come from a stranger.
func (p Params) Validate() error {
	switch {
	case p.Min < BlockSize || p.Min%BlockSize != 0:
		return fmt.Errorf("chunk minimum %d is not a positive multiple of %d", p.Min, BlockSize)
	case p.Avg < p.Min || p.Avg&(p.Avg-1) != 0:
		return fmt.Errorf("chunk average %d is not a power of two from the minimum up", p.Avg)
	case p.Max < p.Avg || p.Max%BlockSize != 0 || p.Max > MaxChunk:
		return fmt.Errorf("chunk maximum %d is not a multiple of %d from the average up to %d", p.Max, BlockSize, MaxChunk)
	case p.End%BlockSize != 0 || p.End > p.Max:
		return fmt.Errorf("chunk minimum at a file's end %d is not a multiple of %d up to %d", p.End, BlockSize, p.Max)
	}
	return nil
}

// version is the lowest version of a manifest that can tell these Params.
func (p Params) version() int {
	if p.End == 0 {
		return 1
	}
	return 2
}

// mask has the low bits that must be zero in a boundary block's hash.
func (p Params) mask() uint64 { return uint64(p.Avg/BlockSize) - 1 }
