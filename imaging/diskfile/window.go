package diskfile

import (
	"fmt"
	"io"
	"sync"
)

const (
	windowBytes = 64 << 10
	windowCount = 64 // 4 MiB
)

// windows reads a table of a file a piece at a time: how long the table is, is the file's own claim.
type windows struct {
	r      io.ReaderAt
	length int64 // of the file

	mu   sync.Mutex
	held [windowCount]struct {
		number int64
		b      []byte
	}
}

// read fills b, at most 512 bytes that do not cross a multiple of 512, from the file.
func (w *windows) read(b []byte, at int64) error {
	if at < 0 || int64(len(b)) > w.length-at {
		return refusef("the file is cut off: a table at %d passes its end at %d", at, w.length)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	n := at / windowBytes
	h := &w.held[n%windowCount]
	if h.b == nil || h.number != n {
		h.b = nil
		fresh := make([]byte, min(windowBytes, w.length-n*windowBytes))
		if k, err := w.r.ReadAt(fresh, n*windowBytes); k < len(fresh) {
			return fmt.Errorf("read table at %d of the file: %w", at, orShort(err))
		}
		h.number, h.b = n, fresh
	}
	copy(b, h.b[at-n*windowBytes:])
	return nil
}

// blockMap is a format that divides the disk into blocks of one length, each of which is somewhere or nowhere.
type blockMap interface {
	blockSize() int64
	// block tells about the block that begins at base: whether the file stores it, and where the next block
	// begins that may be told apart from it, for long runs of nothing.
	block(base int64) (stored bool, next int64, err error)
}

// nextStored is nextData over a blockMap.
func nextStored(m blockMap, off, size int64) (start, end int64, err error) {
	base := off - off%m.blockSize()
	for base < size {
		stored, next, err := m.block(base)
		if err != nil {
			return 0, 0, err
		}
		if stored {
			return max(base, off), runOf(m, next, size), nil
		}
		base = next
	}
	return size, size, nil
}

// runBlocks bounds how far one answer goes.
const runBlocks = 4096

// runOf goes on to the first block that is not stored or not readable; the next call looks at it again.
func runOf(m blockMap, base, size int64) int64 {
	for n := 0; base < size && n < runBlocks; n++ {
		stored, next, err := m.block(base)
		if err != nil || !stored {
			break
		}
		base = next
	}
	return min(base, size)
}
