package chunkstore

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"ingot/imaging"
	"ingot/imaging/job"
)

const (
	streamMagic = "INGOTCS1"
	recordHead  = 12
	endRecord   = 1<<64 - 1
	errorRecord = 1<<64 - 2
	maxFault    = 4 << 10 // bytes of an error record's body

	// sendBuffer is what one stream holds: 50 of them take 13 MiB. It is also the largest read from a pack.
	sendBuffer = 256 << 10
	lookAhead  = 256 // extents read from the manifest at once
	maxGroup   = 512 // chunks read from a pack at once: very small ones would need more memory than their bytes
)

var sendBufs = sync.Pool{New: func() any { b := make([]byte, sendBuffer); return &b }}

// wanted is a chunk that lies in the current group.
type wanted struct {
	n uint64
	l location
}

// sender writes one chunk stream. Chunks that lie one behind the other in a pack form a group, which is read
// at once into buf; the records are then pushed together in place, since what stands before a frame in a
// stream is shorter than in a pack; so bytes are copied once and written in large pieces.
type sender struct {
	s     *Store
	m     *imaging.Manifest
	w     io.Writer
	buf   []byte
	fill  int // finished bytes at the start of buf
	group []wanted
	size  int // bytes of the group in its pack
	count uint64
}

func newSender(s *Store, m *imaging.Manifest, w io.Writer) *sender { return &sender{s: s, m: m, w: w} }

func (t *sender) run(ctx context.Context, spans []Span) {
	buf := sendBufs.Get().(*[]byte)
	defer sendBufs.Put(buf)
	t.buf = *buf
	t.fill = copy(t.buf, streamMagic)
	err := t.spans(ctx, spans)
	if err == nil {
		err = t.closeGroup()
	}
	if ctx.Err() != nil {
		return // the client has left
	}
	if err == nil {
		t.last(endRecord, binary.LittleEndian.AppendUint64(nil, t.count))
		return
	}
	body, jerr := json.Marshal(job.FaultOf(err))
	if jerr != nil || len(body) > maxFault {
		return // without a last record the client knows that the stream is broken
	}
	t.last(errorRecord, body)
}

func (t *sender) last(n uint64, body []byte) {
	if t.reserve(recordHead+len(body)) != nil {
		return
	}
	t.put(n, body)
	_ = t.flush() // a client that left learns nothing more
}

func (t *sender) spans(ctx context.Context, spans []Span) error {
	extents := make([]imaging.Extent, lookAhead)
	for _, sp := range spans {
		for n := sp.First; n <= sp.Last; {
			if err := ctx.Err(); err != nil {
				return err
			}
			k, err := t.m.Extents(n, extents[:min(lookAhead, sp.Last-n+1)])
			if err != nil {
				return fmt.Errorf("%w: %w", err, job.Faultf(job.CodeManifest, "Manifest %s.", t.m.Digest().Short()))
			}
			for i, e := range extents[:k] {
				if err := t.extent(n+uint64(i), e); err != nil {
					return err
				}
			}
			n += uint64(k)
		}
	}
	return nil
}

// extent adds a data extent to the group, or closes the group and begins another.
func (t *sender) extent(n uint64, e imaging.Extent) error {
	if e.Kind != imaging.Data {
		return nil
	}
	l, err := t.s.copyOf(e)
	if err != nil {
		return fmt.Errorf("%w: %w", err, job.Faultf(job.CodeChunk, "Extent %d, chunk %s.", n, e.Digest.Short()))
	}
	need := imaging.ChunkHeadSize + int(l.stored)
	if k := len(t.group); k > 0 {
		last := t.group[k-1].l
		adjacent := last.pack == l.pack && int64(last.off)+imaging.ChunkHeadSize+int64(last.stored) == int64(l.off)
		if !adjacent || k == maxGroup || t.fill+t.size+need > len(t.buf) {
			if err := t.closeGroup(); err != nil {
				return err
			}
		}
	}
	if len(t.group) == 0 {
		if err := t.reserve(need); err != nil {
			return err
		}
	}
	t.group = append(t.group, wanted{n, l})
	t.size += need
	return nil
}

// reserve makes room for need bytes behind fill.
func (t *sender) reserve(need int) error {
	if t.fill+need <= len(t.buf) {
		return nil
	}
	if err := t.flush(); err != nil {
		return err
	}
	if need > len(t.buf) { // chunks larger than our own parameters make
		t.buf = make([]byte, need)
	}
	return nil
}

func (t *sender) flush() error {
	_, err := t.w.Write(t.buf[:t.fill])
	t.fill = 0
	return err
}

// put appends a record; the room is there.
func (t *sender) put(n uint64, body []byte) {
	head := t.buf[t.fill:]
	copy(head[recordHead:], body)
	binary.LittleEndian.PutUint64(head, n)
	binary.LittleEndian.PutUint32(head[8:], uint32(len(body)))
	t.fill += recordHead + len(body)
}

// closeGroup reads the group and turns it into records.
func (t *sender) closeGroup() error {
	if len(t.group) == 0 {
		return nil
	}
	at := t.fill
	first := t.group[0].l
	readErr := t.s.readAt(first.pack, t.buf[at:at+t.size], int64(first.off))
	for _, g := range t.group {
		end := at + imaging.ChunkHeadSize + int(g.l.stored)
		if err := t.record(g, t.buf[at:end], end, readErr); err != nil {
			return err
		}
		at = end
	}
	t.group, t.size = t.group[:0], 0
	return nil
}

// record turns one chunk of the group, which ends at end in buf, into a record. A copy that does not hold is
// replaced by another one.
func (t *sender) record(g wanted, stored []byte, end int, err error) error {
	if err == nil {
		if err = g.l.check(stored); err != nil {
			t.s.markBad(place{g.l.pack, g.l.off}, g.l.digest, err)
			t.s.flushBad()
		}
	}
	frame := stored[imaging.ChunkHeadSize:]
	if err != nil { // where the group could not be read, its chunks are read one by one
		if frame, err = t.s.Frame(g.l.digest); err != nil {
			return fmt.Errorf("extent %d: %w: %w", g.n, job.Faultf(job.CodeChunk, "Extent %d, chunk %s, pack %s at %d.",
				g.n, g.l.digest.Short(), g.l.pack.name.Short(), g.l.off), err)
		}
	}
	if t.fill+recordHead+len(frame) > end { // a longer copy would overwrite what follows
		if err := t.direct(g.n, frame); err != nil {
			return err
		}
	} else {
		t.put(g.n, frame)
	}
	t.count++
	return nil
}

func (t *sender) direct(n uint64, frame []byte) error {
	if err := t.flush(); err != nil {
		return err
	}
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, recordHead+len(frame)), n)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
	_, err := t.w.Write(append(b, frame...))
	return err
}
