package imaging

import (
	"encoding/binary"
	"fmt"
	"io"
)

// PackInfo is what CheckPackEnds finds without reading the chunks.
type PackInfo struct {
	Version uint32
	Count   uint64 // chunks
}

// CheckPackEnds reads the first and the last record of a pack of size bytes: enough to tell a truncated or
// overgrown file.
func CheckPackEnds(r io.ReaderAt, size int64) (PackInfo, error) {
	if size < PackHeadSize+PackEndSize || size > MaxPack {
		return PackInfo{}, fmt.Errorf("%w: %d bytes", ErrPack, size)
	}
	var buf [PackHeadSize + PackEndSize]byte
	head, end := buf[:PackHeadSize], buf[PackHeadSize:]
	if err := readFull(r, head, 0); err != nil {
		return PackInfo{}, fmt.Errorf("read pack head: %w", err)
	}
	if err := readFull(r, end, size-PackEndSize); err != nil {
		return PackInfo{}, fmt.Errorf("read pack end: %w", err)
	}
	body, err := parseSkip(head, packTag)
	if err != nil {
		return PackInfo{}, err
	}
	info := PackInfo{Version: binary.LittleEndian.Uint32(body)}
	if info.Version != PackVersion {
		return PackInfo{}, fmt.Errorf("%w: version %d, this program reads %d", ErrPack, info.Version, PackVersion)
	}
	if body, err = parseSkip(end, endTag); err != nil {
		return PackInfo{}, err
	}
	info.Count = binary.LittleEndian.Uint64(body)
	if info.Count > uint64(size)/ChunkHeadSize {
		return PackInfo{}, fmt.Errorf("%w: it counts %d chunks in %d bytes", ErrPack, info.Count, size)
	}
	return info, nil
}

// ScanPack calls fn for each chunk of a pack with the offset of its head. It reads heads only and is how an
// index is rebuilt. A pack that is not whole, from its first record to the count in its last, is an error; fn
// may have been called by then.
func ScanPack(r io.ReaderAt, size int64, fn func(at int64, h ChunkHead) error) error {
	info, err := CheckPackEnds(r, size)
	if err != nil {
		return err
	}
	var head [ChunkHeadSize]byte
	at, count := int64(PackHeadSize), uint64(0)
	for ; at < size-PackEndSize; count++ {
		h, err := headAt(r, size, at, head[:])
		if err != nil {
			return err
		}
		if err := fn(at, h); err != nil {
			return err
		}
		at += ChunkHeadSize + int64(h.Stored)
	}
	if count != info.Count {
		return fmt.Errorf("%w: %d chunks, its end counts %d", ErrPack, count, info.Count)
	}
	return nil
}

func headAt(r io.ReaderAt, size, at int64, buf []byte) (ChunkHead, error) {
	if at+ChunkHeadSize > size-PackEndSize {
		return ChunkHead{}, fmt.Errorf("%w: a chunk's head at %d reaches into its end", ErrPack, at)
	}
	if err := readFull(r, buf, at); err != nil {
		return ChunkHead{}, fmt.Errorf("read pack at %d: %w", at, err)
	}
	h, err := ParseChunkHead(buf)
	if err != nil {
		return ChunkHead{}, fmt.Errorf("at %d: %w", at, err)
	}
	if at+ChunkHeadSize+int64(h.Stored) > size-PackEndSize {
		return ChunkHead{}, fmt.Errorf("%w: the frame of chunk %s at %d reaches into its end", ErrPack, h.Digest.Short(), at)
	}
	return h, nil
}
