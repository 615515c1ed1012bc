// Package chunkstore keeps chunks in packs on disk, finds them, sends them and proves them.
//
// The idea: a pack is written once, under its final name only when every byte of it is safe, and then only
// read. A manifest is accepted only when every chunk that it names is held. So after a kill at any moment
// whatever has a final name is whole, and anything else is a temporary file that the next Open removes.
//
//	DIR/chunks.lock             held by the one program that has the store open
//	DIR/packs/DIGEST.pack       frames (package imaging), named by the BLAKE3 of the file
//	DIR/manifests/DIGEST.manifest
//	DIR/index/DIGEST.idx        where each chunk lies; made from the packs, and remade when absent or damaged
//	DIR/quarantine              places in packs that were found damaged: not served, not counted as held (quarantine.go)
//
// # Keeping house
//
// Sweep is gc. It marks what the wanted manifests need, one bit for each entry of the index, and then removes packs
// without a needed chunk, and moves the needed ones out of packs that are badly used:
//
//	take the index as it is, the manifests that no record names yet, and then what the records want
//	mark
//	remove unwanted manifests, durably
//	for each group of packs that go:
//		condemn them: they are read still, and nobody relies on them any more
//		prove and copy to a new pack what is marked or pinned; make it durable and findable
//		remove them
//	write the index anew without them
//
// It takes no lock that an import, a capture or a deployment would wait for longer than for one write of the index. A
// batch pins each chunk before it looks for it (pins.go), so it either finds a condemned chunk gone and stores it
// anew, or has its pin seen. A reader whose pack has gone finds the chunk in the new one. No copy is given up before
// the one that stays was proven by its digest.
//
// # Index
//
// With 10 million chunks the index is 480 MB. It stays on disk, as immutable sorted files ("runs"), each
// covering some packs. A new pack adds a small run; two runs are merged when the older is less than twice the
// newer, so that their number grows with the logarithm of the store. In memory a run costs 8 bytes for about
// 128 chunks: the fanout, which says where the chunks with the same first digest bits begin. Finding a chunk
// is one read of some 6 KiB per run and a binary search. All numbers are little endian:
//
//	0   8     "INGOTIDX"
//	8   4     version, 1
//	12  4     fanout bits B
//	16  8     entries N
//	24  4     packs P
//	28  4     zero
//	32  40*P  for each pack its name (32) and its size in bytes (8)
//	    8*2^B for each value of the digest's first B bits: how many entries have this value or a smaller
//	          one (4), and the CRC-32C of the entries with this value (4)
//	    4     CRC-32C of everything before it
//	    48*N  entries sorted by digest: digest (32), number of the pack (4), offset of the chunk's head (4),
//	          stored length (4), plain length (4)
//
// # Chunk stream
//
// GET /v1/chunks/{manifest}?extents=a-b,c-d answers, for each data extent of the spans in ascending order, its
// number (8 bytes), the length of its frame (4 bytes) and the frame. Before them stands "INGOTCS1". Behind
// them stands an end record, number 2^64-1 with a body of 8 bytes: how many frames were sent; or an error
// record, number 2^64-2 with a body of JSON: a job.Fault. A stream without either is broken. The query has at
// most MaxQuery bytes and MaxSpans spans, ascending and apart, of at most MaxStream extents together.
//
// # Why
//
// Not a map in memory: 10 million entries cost more than a gigabyte. Not a file per chunk: a hundred thousand
// files per image are slow to copy and back up. Not bbolt: only package store may hold it, and an index that
// can be rebuilt needs no transactions. Not mmap: a disk error would end the daemon by a signal instead of
// an error.
package chunkstore
