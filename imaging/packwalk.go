package imaging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// WalkPack goes through a pack that may be damaged: it calls fn for each chunk's head that holds, and with an
// error wrapping ErrPack for each place that does not; behind such a place it goes on at the next head that
// holds. The head given beside damage is zero, except when only its frame is cut off. An error of reading or
// of fn ends it.
func WalkPack(r io.ReaderAt, size int64, fn func(at int64, h ChunkHead, damage error) error) error {
	end, want, err := walkEnds(r, size, fn)
	if err != nil {
		return err
	}
	var buf [ChunkHeadSize]byte
	at, count := int64(PackHeadSize), uint64(0)
	for at < end {
		h, err := walkHead(r, end, at, buf[:])
		if err != nil && !errors.Is(err, ErrPack) {
			return err
		}
		if err := fn(at, h, err); err != nil {
			return err
		}
		if err == nil {
			at += ChunkHeadSize + int64(h.Stored)
			count++
			continue
		}
		want = 0 // the count cannot hold and says nothing new
		if at, err = nextHead(r, end, at+1); err != nil {
			return err
		}
	}
	if want != 0 && count != want {
		return fn(end, ChunkHead{}, fmt.Errorf("%w: %d chunks, its end counts %d", ErrPack, count, want))
	}
	return nil
}

// walkEnds reports damage of the first and last record, and says where the chunks end and how many there are,
// 0 for unknown.
func walkEnds(r io.ReaderAt, size int64, fn func(at int64, h ChunkHead, damage error) error) (end int64, count uint64, err error) {
	info, err := CheckPackEnds(r, size)
	if err == nil {
		return size - PackEndSize, info.Count, nil
	}
	if !errors.Is(err, ErrPack) {
		return 0, 0, err
	}
	var last [PackEndSize]byte
	if size < PackHeadSize+PackEndSize || size > MaxPack {
		return min(size, MaxPack), 0, fn(0, ChunkHead{}, err)
	}
	if err := readFull(r, last[:], size-PackEndSize); err != nil {
		return 0, 0, err
	}
	if _, bad := parseSkip(last[:], endTag); bad != nil {
		return size, 0, fn(size, ChunkHead{}, err)
	}
	return size - PackEndSize, 0, fn(0, ChunkHead{}, err)
}

func walkHead(r io.ReaderAt, end, at int64, buf []byte) (ChunkHead, error) {
	if at+ChunkHeadSize > end {
		return ChunkHead{}, fmt.Errorf("%w: it ends within a chunk's head at %d", ErrPack, at)
	}
	if err := readFull(r, buf, at); err != nil {
		return ChunkHead{}, fmt.Errorf("read pack at %d: %w", at, err)
	}
	h, err := ParseChunkHead(buf)
	if err == nil && at+ChunkHeadSize+int64(h.Stored) > end {
		err = fmt.Errorf("%w: it ends within the frame of chunk %s", ErrPack, h.Digest.Short())
	}
	return h, err
}

// nextHead searches for the next chunk's head whose CRC holds, from at on; end when there is none.
func nextHead(r io.ReaderAt, end, at int64) (int64, error) {
	mark := binary.LittleEndian.AppendUint32(nil, skippable)
	mark = append(binary.LittleEndian.AppendUint32(mark, ChunkHeadSize-8), chunkTag...)
	buf := make([]byte, 256<<10)
	for at+ChunkHeadSize <= end {
		b := buf[:min(int64(len(buf)), end-at)]
		if err := readFull(r, b, at); err != nil {
			return 0, fmt.Errorf("read pack at %d: %w", at, err)
		}
		for i := 0; ; i++ {
			k := bytes.Index(b[i:], mark)
			if k < 0 || i+k+ChunkHeadSize > len(b) {
				break
			}
			i += k
			if _, err := ParseChunkHead(b[i:]); err == nil {
				return at + int64(i), nil
			}
		}
		at += int64(len(b)) - ChunkHeadSize + 1 // a head may lie over the edge
	}
	return end, nil
}
