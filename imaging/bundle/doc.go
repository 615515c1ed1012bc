// Package bundle is the one-file form of a Version: its signed statement, its manifest and its chunks. It is a format
// only; package library fills it and takes it in.
//
// The idea: a file that outlives the program. A bundle is a sequence of zstd frames (RFC 8878), so "zstd -dc FILE"
// gives the plain bytes of every chunk, one behind the other, in the order in which the manifest first names them, and
// "zstd -t FILE" goes through it. What zstd does not know stands in skippable frames, which it passes over.
//
// # Layout
//
// Numbers are little endian. Each skippable frame is magic 0x184D2A5E (4), length of what follows (4), a tag (4), a
// body, and the CRC-32C of tag and body (4). They come in this order:
//
//	"IBD1"   once      body: version, 1 (4)
//	"IST1"   once      body: the Ed25519 public key that signed (32), then the envelope (1 to 65536 bytes of JSON)
//	"IMF1"   1 or more body: offset in the manifest (8), then its next bytes (1 to 1 MiB); they touch, from 0 on
//	"ICH1"   any       body as in a pack: BLAKE3-256 of the plain bytes (32), length of the plain bytes (4), length of
//	                   the frame (4), CRC-32C of the frame (4). Behind it stands the zstd frame of that chunk
//	"IBE1"   once      body: number of chunks (8), length of the manifest (8). Nothing follows
//
// A chunk stands once, however often the manifest names it. The manifest's bytes are those that package imaging
// draws: 32 fixed bytes, a header of JSON, a list of windows, and records of 48 bytes: offset on the disk (8), length
// (7), kind (1: 1 data, 2 zero, 3 free), digest (32).
//
// The envelope is JSON: {"purpose": "version", "payload": BASE64, "signature": BASE64}. The signature is Ed25519 over
// "ingot signed version", a zero byte, and the payload's bytes. The payload is JSON of type Statement. It names the
// manifest's digest: the BLAKE3-256 of everything in the manifest before its records, among it the digest of each
// window of records. So the signature covers every byte of the disk.
//
// # Back to a disk without Ingot
//
// Take the manifest out of the "IMF1" frames. Go through its records in order. For a data record whose digest was not
// seen yet, the next plain bytes of "zstd -dc" belong at its offset; for one that was seen, copy them from the place of
// the first. Zero and free records stay zeros. Last, make the second GPT out of the first, since no image holds it.
// README.md holds a short Python program that does this; a test runs it as it stands there.
//
// # Why
//
// Not a tar of packs: a reader would need our index to find a chunk. Not a disk file: it would lose the signature, the
// free space and the deduplication. The manifest stands before the chunks, so that a reader on a pipe knows where each
// belongs when it comes. It comes in parts, so that a reader holds no more than one of them.
package bundle
