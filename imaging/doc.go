// Package imaging says what an image is: the formats of chunks, manifests and packs. It does no I/O but on the
// readers and writers that it is given.
//
// The idea: a disk is cut into extents. A data extent is a chunk, named by the digest of its plain bytes, so
// that equal chunks are stored and sent once. A manifest lists the extents of one disk in order; a pack holds
// the chunks of many. A laptop needs the manifest, proves it by its digest, asks for the chunks that it does
// not hold, and proves each by its digest.
//
//	disk      0                                                                     size
//	          | data  32 KiB | data 8 KiB | zero 1 MiB | data 128 KiB | free 200 GiB |
//	manifest  | record 0     | record 1   | record 2   | record 3     | record 4     |
//	pack      ... | frame of chunk 0 | frame of chunk 1 | frame of chunk 3 | ...
//
// # Split
//
// The unit is the block of 4096 bytes, aligned to the disk, since file systems move whole blocks. A block that
// the file system proves unallocated is free; one of zeros is zero; neighbours of one kind form one extent. All
// else is data, cut into chunks. A chunk ends behind a block
//
//   - whose last 8 bytes are zero, once the chunk has End bytes (never when End is 0): file systems fill the last
//     block of a file with zeros, so a file begins a chunk, wherever it lies and whatever lies before it; or
//   - whose xxhash64 (seed 0) has its low bits zero: log2(Avg/4096) of them, so one block in Avg/4096, once
//     the chunk has Min bytes; or
//   - with which it has Max bytes; or
//   - that a zero or free block follows; or
//   - behind which only a part of a block is left: the end of the disk, an extent of its own.
//
// Where a chunk ends depends only on the blocks since it began, so two disks with the same files cut most of
// them in the same places, wherever they lie.
//
// # Manifest
//
// All numbers are little endian.
//
//	0    8     "INGOTMAN"
//	8    4     version, 1 or 2
//	12   4     length H of the header, 1 to 262144
//	16   4     records in a window, 4096
//	20   4     zero
//	24   8     number N of extents, 1 to 2^28
//	32   H     header: JSON of type Header, no unknown field
//	     40*W  for each window, W = N/4096 rounded up: offset on the disk of its first extent (8),
//	           BLAKE3-256 of its records (32)
//	     48*N  records in disk order, without gaps: offset (8), length (7), kind (1: 1 data, 2 zero, 3 free),
//	           BLAKE3-256 of the plain bytes (32, zero unless data)
//
// Version 2 is version 1 with "end" among the header's parameters. A manifest without it is written as version 1, as
// before; both are read. Images of the two cuts share few chunks, so the first version of an image that is taken with the
// new cut adds nearly what a first image adds.
//
// The manifest's digest is the BLAKE3-256 of everything before the records. It covers the records through the
// digests of their windows; so a reader proves one window of 192 KiB at a time and holds none of the rest, and
// the 8-byte offsets find the window of any place on the disk.
//
// # Pack
//
// A pack is a sequence of zstd frames (RFC 8878), so the zstd tool can test and unpack it. Skippable frames
// with the magic 0x184D2A5E carry what zstd does not know; each ends with the CRC-32C of its bytes from the tag
// on.
//
//	first        magic (4), 12 (4), "IPK1", version 1 (4), CRC (4)
//	each chunk   magic (4), 52 (4), "ICH1", BLAKE3-256 of the plain bytes (32), length of the plain bytes (4),
//	             length of the frame (4), CRC-32C of the frame (4), CRC (4)
//	             the chunk's frame: one zstd frame with its content size and without a checksum
//	last         magic (4), 16 (4), "IEN1", number of chunks (8), CRC (4)
//
// Every byte stands under a CRC or is compared with a constant, so a scan that reads only the heads finds all
// chunks, and a scan that reads all finds every flipped bit and its chunk. A pack's file is named by the
// BLAKE3-256 of its bytes.
//
// # Why
//
// Files are what changes, so chunks that end with files hold little that did not change: a Debian desktop upgraded in
// place adds 5 % less than with boundaries by hash alone, one that was rebuilt 63 % less, at the same zstd level. The
// price is a third more chunks.
//
// Chunks of fixed size cost four times the bytes for a version that was rebuilt from scratch; content-defined
// chunks at byte granularity cost twenty times the computing and unaligned writes. One digest over a whole
// manifest would make an agent read 400 MB before it may trust the first record. A list of frame offsets inside
// the manifest would tie it to packs, which may be rewritten.
//
// A change of any layout changes its version, this comment and the golden files in testdata, which stay
// readable.
package imaging
