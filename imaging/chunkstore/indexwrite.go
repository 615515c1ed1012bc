package chunkstore

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sort"

	"ingot/imaging"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// runWriter writes an index file from sorted entries whose number is known before.
type runWriter struct {
	f       *os.File
	w       *bufio.Writer
	packs   []*packFile
	fanout  int
	count   uint64
	written uint64
	buckets []bucket
	at      int // the open bucket
	row     []byte
}

func newRunWriter(dir string, packs []*packFile, count uint64) (*runWriter, error) {
	f, err := os.CreateTemp(dir, tmpPrefix+"*")
	if err != nil {
		return nil, err
	}
	w := &runWriter{f: f, packs: packs, fanout: fanoutBits(count), count: count}
	w.buckets = make([]bucket, 1<<w.fanout)
	if _, err := f.Seek(w.bodyOffset(), 0); err != nil {
		w.abort()
		return nil, err
	}
	w.w = bufio.NewWriterSize(f, 256<<10)
	return w, nil
}

func (w *runWriter) bodyOffset() int64 {
	return indexFixed + int64(len(w.packs))*packEntry + bucketEntry<<w.fanout + 4
}

func (w *runWriter) abort() {
	w.f.Close()
	os.Remove(w.f.Name()) // what remains is removed by the next Open
}

func (w *runWriter) add(e entry) error {
	for n := bucketOf(e.digest, w.fanout); w.at < n; w.at++ {
		w.buckets[w.at].end = uint32(w.written)
	}
	w.row = e.append(w.row[:0])
	b := &w.buckets[w.at]
	b.crc = crc32.Update(b.crc, castagnoli, w.row)
	w.written++
	_, err := w.w.Write(w.row)
	return err
}

// finish publishes the file and opens it. Its name comes from the packs that it covers.
func (w *runWriter) finish() (*run, error) {
	if w.written != w.count {
		return nil, fmt.Errorf("write index: %d entries, want %d", w.written, w.count)
	}
	for ; w.at < len(w.buckets); w.at++ {
		w.buckets[w.at].end = uint32(w.written)
	}
	if err := w.w.Flush(); err != nil {
		return nil, err
	}
	if _, err := w.f.WriteAt(w.head(), 0); err != nil {
		return nil, err
	}
	var names []byte
	for _, p := range w.packs {
		names = append(names, p.name[:]...)
	}
	path := filepath.Join(filepath.Dir(w.f.Name()), imaging.Sum(names).String()+indexExt)
	if err := publish(w.f, path); err != nil {
		return nil, err
	}
	if err := w.f.Close(); err != nil {
		return nil, err
	}
	r, _, err := openRun(path)
	if err != nil {
		return nil, err
	}
	r.packs = w.packs
	return r, nil
}

func (w *runWriter) head() []byte {
	b := []byte(indexMagic)
	b = binary.LittleEndian.AppendUint32(b, indexVersion)
	b = binary.LittleEndian.AppendUint32(b, uint32(w.fanout))
	b = binary.LittleEndian.AppendUint64(b, w.count)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(w.packs)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	for _, p := range w.packs {
		b = append(b, p.name[:]...)
		b = binary.LittleEndian.AppendUint64(b, uint64(p.size))
	}
	for _, k := range w.buckets {
		b = binary.LittleEndian.AppendUint32(b, k.end)
		b = binary.LittleEndian.AppendUint32(b, k.crc)
	}
	return binary.LittleEndian.AppendUint32(b, imaging.CRC(b))
}

// writeRun writes the index file of one pack. It sorts entries.
func writeRun(dir string, p *packFile, entries []entry) (*run, error) {
	sort.Slice(entries, func(i, j int) bool { return entries[i].before(entries[j]) })
	w, err := newRunWriter(dir, []*packFile{p}, uint64(len(entries)))
	if err != nil {
		return nil, fmt.Errorf("write index: %w", err)
	}
	for _, e := range entries {
		if err := w.add(e); err != nil {
			w.abort()
			return nil, fmt.Errorf("write index: %w", err)
		}
	}
	return w.done()
}

func (w *runWriter) done() (*run, error) {
	r, err := w.finish()
	if err != nil {
		w.abort()
		return nil, fmt.Errorf("write index: %w", err)
	}
	return r, nil
}

// cursor goes through a run's entries in order.
type cursor struct {
	r      *run
	base   uint32 // added to the pack numbers
	bucket int
	buf    []byte
	left   []byte
	entry  entry
	ended  bool
}

func (c *cursor) next() error {
	for len(c.left) == 0 {
		if c.bucket == len(c.r.buckets) {
			c.ended = true
			return nil
		}
		b, err := c.r.readBucket(c.bucket, c.buf)
		if err != nil {
			return err
		}
		c.buf, c.left, c.bucket = b, b, c.bucket+1
	}
	c.entry = parseEntry(c.left)
	c.entry.pack += c.base
	c.left = c.left[entrySize:]
	return nil
}

// mergeRuns writes one run with the entries of two.
func mergeRuns(dir string, a, b *run) (*run, error) {
	packs := append(append([]*packFile(nil), a.packs...), b.packs...)
	w, err := newRunWriter(dir, packs, a.count+b.count)
	if err != nil {
		return nil, fmt.Errorf("merge index: %w", err)
	}
	x, y := &cursor{r: a}, &cursor{r: b, base: uint32(len(a.packs))}
	err = errors.Join(x.next(), y.next())
	for err == nil && !(x.ended && y.ended) {
		c := x
		if x.ended || (!y.ended && y.entry.before(x.entry)) {
			c = y
		}
		if err = w.add(c.entry); err == nil {
			err = c.next()
		}
	}
	if err != nil {
		w.abort()
		return nil, fmt.Errorf("merge index: %w", err)
	}
	return w.done()
}

// pruneRun writes a run with the entries of a run's packs that are not gone; nil when none is left.
func pruneRun(dir string, r *run) (*run, error) {
	number := make([]int64, len(r.packs)) // in the new run; -1 for gone
	var packs []*packFile
	for i, p := range r.packs {
		number[i] = -1
		if !p.gone {
			number[i] = int64(len(packs))
			packs = append(packs, p)
		}
	}
	if len(packs) == 0 {
		return nil, nil
	}
	count := uint64(0)
	if err := r.kept(number, func(entry) error { count++; return nil }); err != nil {
		return nil, fmt.Errorf("prune index: %w", err)
	}
	w, err := newRunWriter(dir, packs, count)
	if err != nil {
		return nil, fmt.Errorf("prune index: %w", err)
	}
	if err := r.kept(number, w.add); err != nil {
		w.abort()
		return nil, fmt.Errorf("prune index: %w", err)
	}
	return w.done()
}

// kept calls fn for the entries whose pack has a new number, with it.
func (r *run) kept(number []int64, fn func(entry) error) error {
	c := &cursor{r: r}
	err := c.next()
	for err == nil && !c.ended {
		if int(c.entry.pack) >= len(number) {
			return fmt.Errorf("%w: %s: pack %d", errIndex, r.path, c.entry.pack)
		}
		if n := number[c.entry.pack]; n >= 0 {
			e := c.entry
			e.pack = uint32(n)
			err = fn(e)
		}
		if err == nil {
			err = c.next()
		}
	}
	return err
}
