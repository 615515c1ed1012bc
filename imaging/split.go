package imaging

import (
	"bytes"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// Run is one piece that a Splitter cuts off. Plain holds the bytes of a Data run and is valid only until the
// emit function returns.
type Run struct {
	Offset, Length uint64
	Kind           Kind
	Plain          []byte
}

// Splitter cuts a disk into runs by the rules of the format. It does no I/O: the caller pushes the disk from
// its start, as bytes (Write), as known zeros (Zero) or as unallocated space (Free), and receives the runs in
// disk order. The same bytes give the same runs however they are divided over the calls.
type Splitter struct {
	params Params
	emit   func(Run) error

	at     uint64 // bytes pushed so far
	chunk  []byte // the open Data run, ends at at
	gap    Run    // the open Zero or Free run, ends at at; Kind 0 when there is none
	closed bool   // a partial block was pushed: only Finish may follow
}

// NewSplitter makes a Splitter whose runs go to emit. An error of emit ends the push that caused it.
func NewSplitter(p Params, emit func(Run) error) (*Splitter, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return &Splitter{params: p, emit: emit, chunk: make([]byte, 0, p.Max)}, nil
}

var zeroBlock [BlockSize]byte

// IsZero reports whether b holds only zeros.
func IsZero(b []byte) bool {
	for len(b) > BlockSize {
		if !bytes.Equal(b[:BlockSize], zeroBlock[:]) {
			return false
		}
		b = b[BlockSize:]
	}
	return bytes.Equal(b, zeroBlock[:len(b)])
}

// Write pushes bytes that may matter. Its length is a multiple of BlockSize, except in the last push.
func (s *Splitter) Write(p []byte) error {
	for len(p) > 0 {
		b := p[:min(len(p), BlockSize)]
		p = p[len(b):]
		if err := s.block(b); err != nil {
			return err
		}
	}
	return nil
}

func (s *Splitter) block(b []byte) error {
	if IsZero(b) {
		return s.space(Zero, uint64(len(b)))
	}
	if err := s.open(uint64(len(b))); err != nil {
		return err
	}
	if err := s.endGap(); err != nil {
		return err
	}
	if len(b) < BlockSize { // the last partial block is its own extent
		if err := s.endChunk(); err != nil {
			return err
		}
	}
	s.chunk = append(s.chunk, b...)
	s.at += uint64(len(b))
	if s.closed || s.boundary(b) {
		return s.endChunk()
	}
	return nil
}

// boundary decides whether the chunk ends behind b, the last block pushed.
func (s *Splitter) boundary(b []byte) bool {
	n := uint32(len(s.chunk))
	if n >= s.params.Max {
		return true
	}
	if s.params.End > 0 && n >= s.params.End && endsFile(b) {
		return true
	}
	return n >= s.params.Min && xxhash.Sum64(b)&s.params.mask() == 0
}

// endsFile reports whether a whole block looks like the last one of a file.
func endsFile(b []byte) bool { return bytes.Equal(b[len(b)-fileTail:], zeroBlock[:fileTail]) }

// Zero pushes n bytes that are known to read as zeros, such as a hole.
func (s *Splitter) Zero(n uint64) error { return s.push(Zero, n) }

// Free pushes n bytes that the file system's own map proves unallocated.
func (s *Splitter) Free(n uint64) error { return s.push(Free, n) }

func (s *Splitter) push(k Kind, n uint64) error {
	whole := n / BlockSize * BlockSize
	if whole > 0 {
		if err := s.space(k, whole); err != nil {
			return err
		}
	}
	if n > whole {
		return s.space(k, n-whole)
	}
	return nil
}

func (s *Splitter) space(k Kind, n uint64) error {
	if err := s.open(n); err != nil {
		return err
	}
	if err := s.endChunk(); err != nil {
		return err
	}
	if s.gap.Kind != k || s.closed {
		if err := s.endGap(); err != nil {
			return err
		}
		s.gap = Run{Offset: s.at, Kind: k}
	}
	s.gap.Length += n
	s.at += n
	return nil
}

// open notes a partial block, behind which nothing may follow.
func (s *Splitter) open(n uint64) error {
	if s.closed {
		return fmt.Errorf("split at %d: bytes follow a partial block", s.at)
	}
	s.closed = n%BlockSize != 0
	return nil
}

func (s *Splitter) endChunk() error {
	if len(s.chunk) == 0 {
		return nil
	}
	n := uint64(len(s.chunk))
	r := Run{Offset: s.at - n, Length: n, Kind: Data, Plain: s.chunk}
	s.chunk = s.chunk[:0]
	return s.emit(r)
}

func (s *Splitter) endGap() error {
	if s.gap.Kind == 0 {
		return nil
	}
	r := s.gap
	s.gap = Run{}
	return s.emit(r)
}

// Finish emits what is still open. The Splitter has then emitted every byte pushed, exactly once.
func (s *Splitter) Finish() error {
	if err := s.endGap(); err != nil {
		return err
	}
	return s.endChunk()
}
