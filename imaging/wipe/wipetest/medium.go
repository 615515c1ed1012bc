package wipetest

import (
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// Block is the unit in which a Medium keeps data.
const Block = 4096

// Medium is the storage of a simulated drive. A block that is not mapped reads as zeros.
type Medium struct {
	Flash   bool         // writes go to fresh cells, the old ones stay until an erase
	BadAt   map[int]bool // blocks that cannot be written
	DeadAt  map[int]bool // blocks that cannot be read
	Drops   bool         // writes are taken and forgotten
	NoFlush bool         // a flush fails

	blocks [][]byte
	stale  [][]byte
	first  map[[32]byte]bool // of the former user's blocks
}

// NewMedium makes one of size bytes that is full of a former user's random data.
func NewMedium(size int, flash bool, seed uint64) *Medium {
	m := &Medium{Flash: flash, BadAt: map[int]bool{}, DeadAt: map[int]bool{}, first: map[[32]byte]bool{}}
	src := rand.NewChaCha8([32]byte{0: byte(seed), 1: byte(seed >> 8), 2: byte(seed >> 16), 3: 'u'})
	m.blocks = make([][]byte, size/Block)
	for i := range m.blocks {
		b := make([]byte, Block)
		_, _ = src.Read(b) // never fails
		m.blocks[i] = b
		m.first[sha256.Sum256(b)] = true
	}
	return m
}

// Size is what the medium holds, in bytes.
func (m *Medium) Size() int { return len(m.blocks) * Block }

// Readable counts the former user's blocks that the interface still shows.
func (m *Medium) Readable() int { return m.count(m.blocks) }

// ReadableIn counts those among the first bytes of it.
func (m *Medium) ReadableIn(bytes uint64) int {
	return m.count(m.blocks[:min(len(m.blocks), int(bytes/Block))])
}

// Left counts the former user's blocks that are anywhere in the cells.
func (m *Medium) Left() int { return m.count(m.blocks) + m.count(m.stale) }

func (m *Medium) count(bs [][]byte) (n int) {
	for _, b := range bs {
		if b != nil && m.first[sha256.Sum256(b)] {
			n++
		}
	}
	return n
}

var (
	errWrite = errors.New("medium error on write")
	errRead  = errors.New("medium error on read")
	errFlush = errors.New("the cache could not be flushed")
)

// ReadAt reads whole blocks, or parts of them.
func (m *Medium) ReadAt(p []byte, off int64) (int, error) {
	for n := 0; n < len(p); {
		i, at := int(off+int64(n))/Block, int(off+int64(n))%Block
		if i >= len(m.blocks) || m.DeadAt[i] {
			return n, errRead
		}
		k := min(Block-at, len(p)-n)
		if m.blocks[i] == nil {
			clear(p[n : n+k])
		} else {
			copy(p[n:n+k], m.blocks[i][at:])
		}
		n += k
	}
	return len(p), nil
}

// WriteAt writes whole blocks, or parts of them.
func (m *Medium) WriteAt(p []byte, off int64) (int, error) {
	for n := 0; n < len(p); {
		i, at := int(off+int64(n))/Block, int(off+int64(n))%Block
		if i >= len(m.blocks) || m.BadAt[i] {
			return n, errWrite
		}
		k := min(Block-at, len(p)-n)
		if !m.Drops {
			fresh := make([]byte, Block)
			copy(fresh, m.blocks[i])
			copy(fresh[at:], p[n:n+k])
			m.drop(i)
			m.blocks[i] = fresh
		}
		n += k
	}
	return len(p), nil
}

// drop takes a block from the interface; flash keeps it.
func (m *Medium) drop(i int) {
	if m.Flash && m.blocks[i] != nil {
		m.stale = append(m.stale, m.blocks[i])
	}
	m.blocks[i] = nil
}

// Flush fails when it was told to.
func (m *Medium) Flush() error {
	if m.NoFlush {
		return errFlush
	}
	return nil
}

// Unmap discards a range: it reads as zeros, and its cells keep what they held.
func (m *Medium) Unmap(off, n uint64) {
	for i := off / Block; i < (off+n)/Block && i < uint64(len(m.blocks)); i++ {
		m.drop(int(i))
	}
}

// How an erase leaves the blocks that it reaches.
const (
	Zeros   = iota // unmapped
	Ones           // erased cells, as they read
	Garbage        // decrypted with another key
)

// Erase destroys all but the first keep shares of 1000 of the blocks, and all old copies if it reaches any. It is what a
// sanitize does.
func (m *Medium) Erase(leaves, keep int) {
	from := len(m.blocks) * keep / 1000
	if keep < 1000 {
		m.stale = nil
	}
	m.eraseFrom(from, len(m.blocks), leaves)
}

func (m *Medium) eraseFrom(from, to, leaves int) {
	for i := from; i < to; i++ {
		switch leaves {
		case Zeros:
			m.blocks[i] = nil
		case Ones:
			m.blocks[i] = fill(0xff)
		default:
			b := make([]byte, Block)
			_, _ = rand.NewChaCha8([32]byte{0: byte(i), 1: byte(i >> 8), 2: 'g'}).Read(b) // never fails
			m.blocks[i] = b
		}
	}
}

func fill(v byte) []byte {
	b := make([]byte, Block)
	for i := range b {
		b[i] = v
	}
	return b
}

// Clock is simulated time. Sleeping is how it passes.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts at a fixed moment.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)} }

// Now tells the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Sleep lets time pass.
func (c *Clock) Sleep(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
