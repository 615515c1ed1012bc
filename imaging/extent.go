package imaging

// BlockSize is the unit of the format in bytes: chunks are runs of whole blocks aligned to the disk.
const BlockSize = 4096

// Kind is what an extent holds.
type Kind uint8

// Data has a chunk; Zero must read back as zeros; Free was proven unallocated by the file system's own map.
const (
	Data Kind = 1
	Zero Kind = 2
	Free Kind = 3
)

// Extent is one run of the disk. Extents of a manifest are in disk order, touch without gaps or overlap, and
// cover the disk from 0 to its size.
type Extent struct {
	Offset uint64 // bytes from the start of the disk, a multiple of BlockSize
	Length uint64 // bytes; a multiple of BlockSize except at the end of the disk; at most Params.Max for Data
	Kind   Kind
	Digest Digest // of the plain bytes; zero unless Kind is Data
}

// End is the first byte behind the extent.
func (e Extent) End() uint64 { return e.Offset + e.Length }
