package imaging

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"sort"
	"sync"
)

// Sizes of the manifest's parts in bytes, and bounds; doc.go draws the layout.
const (
	WindowSize = 4096    // records in one window, the unit that is read and proven
	RecordSize = 48      // bytes of one record
	MaxExtents = 1 << 28 // extents of one manifest

	manifestMagic = "INGOTMAN"
	fixedSize     = 32 // magic to record count
	windowEntry   = 40 // first offset and digest of one window
	windowBytes   = WindowSize * RecordSize
	heldWindows   = 2 // verified windows that an open Manifest keeps, if Keep says nothing else
)

// ErrManifest says that a manifest is damaged or is not one.
var ErrManifest = errors.New("manifest is damaged")

func manifestError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrManifest, fmt.Sprintf(format, args...))
}

// Numbered is an extent with its number in the manifest, from 0.
type Numbered struct {
	N uint64
	Extent
}

// Manifest reads a manifest window by window and keeps only the list of windows and the last few that were
// read: about 80 KiB and 400 KiB for 8 million extents. It serves many goroutines.
type Manifest struct {
	r       io.ReaderAt
	header  Header
	digest  Digest
	count   uint64
	records int64 // where the records start, bytes
	starts  []uint64
	sums    []Digest

	mu   sync.Mutex
	keep int
	held []window // most recently used last
}

type window struct {
	n       int
	records []byte
}

// OpenManifest reads and checks the head of a manifest of size bytes: its bounds, its header and the list of
// windows, whose BLAKE3 is the manifest's Digest. The caller compares that digest with the one it trusts. The
// records are proven when they are read.
func OpenManifest(r io.ReaderAt, size int64) (*Manifest, error) {
	fixed := make([]byte, fixedSize)
	if _, err := r.ReadAt(fixed, 0); err != nil {
		return nil, headError(err)
	}
	lay, err := parseFixed(fixed, size)
	if err != nil {
		return nil, err
	}
	head := make([]byte, lay.records)
	if err := readFull(r, head, 0); err != nil {
		return nil, headError(err)
	}
	header, err := parseHeader(head[fixedSize : fixedSize+lay.header])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if header.FormatVersion != lay.version {
		return nil, manifestError("version %d, its header says %d", lay.version, header.FormatVersion)
	}
	m := &Manifest{r: r, header: header, digest: Sum(head), count: lay.count, records: lay.records, keep: heldWindows}
	m.parseWindows(head[fixedSize+lay.header:])
	return m, m.checkHead()
}

// headError tells a file that ends too early from one that cannot be read.
func headError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return manifestError("it ends within its head")
	}
	return fmt.Errorf("read manifest head: %w", err)
}

type layout struct {
	version int
	header  int64 // bytes of JSON
	count   uint64
	records int64 // offset of the first record
}

func parseFixed(b []byte, size int64) (layout, error) {
	if string(b[:8]) != manifestMagic {
		return layout{}, manifestError("it does not begin with %s", manifestMagic)
	}
	version, header := binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])
	win, zero := binary.LittleEndian.Uint32(b[16:]), binary.LittleEndian.Uint32(b[20:])
	count := binary.LittleEndian.Uint64(b[24:])
	switch {
	case version == 0 || version > ManifestVersion:
		return layout{}, manifestError("version %d, this program reads 1 to %d", version, ManifestVersion)
	case header == 0 || header > maxHeader:
		return layout{}, manifestError("header of %d bytes", header)
	case win != WindowSize || zero != 0:
		return layout{}, manifestError("windows of %d records", win)
	case count == 0 || count > MaxExtents:
		return layout{}, manifestError("%d extents", count)
	}
	l := layout{version: int(version), header: int64(header), count: count}
	l.records = fixedSize + l.header + int64(windows(count))*windowEntry
	if want := l.records + int64(count)*RecordSize; size != want {
		return layout{}, manifestError("%d bytes, want %d", size, want)
	}
	return l, nil
}

func windows(count uint64) uint64 { return (count + WindowSize - 1) / WindowSize }

func readFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (m *Manifest) parseWindows(b []byte) {
	n := len(b) / windowEntry
	m.starts, m.sums = make([]uint64, n), make([]Digest, n)
	for i := range n {
		e := b[i*windowEntry:]
		m.starts[i] = binary.LittleEndian.Uint64(e)
		copy(m.sums[i][:], e[8:windowEntry])
	}
}

// checkHead compares the parts of the head with each other.
func (m *Manifest) checkHead() error {
	h := m.header
	if h.Extents != m.count || h.DataExtents > m.count {
		return manifestError("its header counts %d extents, its list %d", h.Extents, m.count)
	}
	if h.DataBytes > h.DiskSize || h.ZeroBytes > h.DiskSize || h.FreeBytes > h.DiskSize ||
		h.DataBytes+h.ZeroBytes+h.FreeBytes != h.DiskSize {
		return manifestError("its bytes do not add up to the disk")
	}
	for i, s := range m.starts {
		if (i == 0 && s != 0) || (i > 0 && s <= m.starts[i-1]) || s >= h.DiskSize {
			return manifestError("window %d starts at %d, out of order", i, s)
		}
	}
	return nil
}

// Header is a copy of the header; its slice is shared and must not be changed.
func (m *Manifest) Header() Header { return m.header }

// Digest identifies the manifest's content.
func (m *Manifest) Digest() Digest { return m.digest }

// Count is the number of extents, at least 1.
func (m *Manifest) Count() uint64 { return m.count }

// Keep sets how many windows, of 192 KiB each, are kept for who reads here and there instead of in order.
func (m *Manifest) Keep(windows int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep = max(windows, 1)
	m.held = m.held[max(len(m.held)-m.keep, 0):]
}

// Close closes what the manifest reads from, where that can be closed.
func (m *Manifest) Close() error {
	if c, ok := m.r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Extents fills dst with the extents from number from on and returns how many there were: fewer than len(dst)
// only at the manifest's end, 0 from Count on. Each extent comes out of a window whose digest held.
func (m *Manifest) Extents(from uint64, dst []Extent) (int, error) {
	if from >= m.count {
		return 0, nil
	}
	dst = dst[:min(uint64(len(dst)), m.count-from)]
	for done := 0; done < len(dst); {
		n := from + uint64(done)
		w, err := m.window(int(n / WindowSize))
		if err != nil {
			return 0, err
		}
		for b := w.records[n%WindowSize*RecordSize:]; len(b) > 0 && done < len(dst); b = b[RecordSize:] {
			dst[done] = parseRecord(b)
			done++
		}
	}
	return len(dst), nil
}

// From goes through the extents from number n on, in disk order. After an error it ends.
func (m *Manifest) From(n uint64) iter.Seq2[Numbered, error] {
	return func(yield func(Numbered, error) bool) {
		for n < m.count {
			w, err := m.window(int(n / WindowSize))
			if err != nil {
				yield(Numbered{}, err)
				return
			}
			for end := min(m.count, (n/WindowSize+1)*WindowSize); n < end; n++ {
				if !yield(Numbered{n, parseRecord(w.records[n%WindowSize*RecordSize:])}, nil) {
					return
				}
			}
		}
	}
}

// All goes through every extent in disk order. After an error it ends.
func (m *Manifest) All() iter.Seq2[Numbered, error] { return m.From(0) }

// Find gives the number of the extent that holds the byte at offset.
func (m *Manifest) Find(offset uint64) (uint64, error) {
	if offset >= m.header.DiskSize {
		return 0, fmt.Errorf("find extent at %d: the disk ends at %d", offset, m.header.DiskSize)
	}
	wn := sort.Search(len(m.starts), func(i int) bool { return m.starts[i] > offset }) - 1
	w, err := m.window(wn)
	if err != nil {
		return 0, err
	}
	n := len(w.records) / RecordSize
	i := sort.Search(n, func(i int) bool { return parseRecord(w.records[i*RecordSize:]).Offset > offset }) - 1
	return uint64(wn)*WindowSize + uint64(i), nil
}

// window gives a proven window, from memory where it is held.
func (m *Manifest) window(n int) (window, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, w := range m.held {
		if w.n == n {
			m.held = append(append(m.held[:i], m.held[i+1:]...), w)
			return w, nil
		}
	}
	w, err := m.load(n)
	if err != nil {
		return window{}, err
	}
	if len(m.held) >= m.keep {
		m.held = m.held[:copy(m.held, m.held[1:])]
	}
	m.held = append(m.held, w)
	return w, nil
}

func (m *Manifest) load(n int) (window, error) {
	first := uint64(n) * WindowSize
	b := make([]byte, min(WindowSize, m.count-first)*RecordSize)
	if err := readFull(m.r, b, m.records+int64(n)*windowBytes); err != nil {
		return window{}, fmt.Errorf("read manifest window %d: %w", n, err)
	}
	if Sum(b) != m.sums[n] {
		return window{}, manifestError("window %d (extents %d to %d) does not have its digest", n, first, first+uint64(len(b)/RecordSize)-1)
	}
	return window{n, b}, m.checkWindow(n, b)
}

// checkWindow proves that the records of a window touch, fit the parameters and end where the next one starts.
func (m *Manifest) checkWindow(n int, b []byte) error {
	at, end := m.starts[n], m.header.DiskSize
	if n+1 < len(m.starts) {
		end = m.starts[n+1]
	}
	for i := 0; i < len(b); i += RecordSize {
		e := parseRecord(b[i:])
		if e.Offset != at {
			return manifestError("extent %d starts at %d, want %d", n*WindowSize+i/RecordSize, e.Offset, at)
		}
		if err := checkExtent(e, m.header); err != nil {
			return manifestError("extent %d: %v", n*WindowSize+i/RecordSize, err)
		}
		at = e.End()
	}
	if at != end {
		return manifestError("window %d ends at %d, want %d", n, at, end)
	}
	return nil
}

// checkExtent checks one extent by itself.
func checkExtent(e Extent, h Header) error {
	switch {
	case e.Kind != Data && e.Kind != Zero && e.Kind != Free:
		return fmt.Errorf("kind %d is unknown", e.Kind)
	case e.Length == 0 || e.Length > h.DiskSize || e.Offset > h.DiskSize-e.Length:
		return fmt.Errorf("%d bytes at %d do not lie on the disk", e.Length, e.Offset)
	case e.Length%BlockSize != 0 && (e.End() != h.DiskSize || e.Length > BlockSize):
		return fmt.Errorf("%d bytes at %d are not whole blocks", e.Length, e.Offset)
	case e.Kind == Data && e.Length > uint64(h.Params.Max):
		return fmt.Errorf("%d bytes of data at %d, the maximum is %d", e.Length, e.Offset, h.Params.Max)
	case e.Kind != Data && !e.Digest.IsZero():
		return fmt.Errorf("a digest on an extent at %d without data", e.Offset)
	}
	return nil
}

// Verify reads every window and compares the sums with the header.
func (m *Manifest) Verify() error {
	var t totals
	for e, err := range m.All() {
		if err != nil {
			return err
		}
		t.add(e.Extent)
	}
	if h := t.fill(m.header); h.DataExtents != m.header.DataExtents || h.DataBytes != m.header.DataBytes ||
		h.ZeroBytes != m.header.ZeroBytes || h.FreeBytes != m.header.FreeBytes {
		return manifestError("its header's sums are not those of its extents")
	}
	return nil
}

func parseRecord(b []byte) Extent {
	lk := binary.LittleEndian.Uint64(b[8:])
	e := Extent{Offset: binary.LittleEndian.Uint64(b), Length: lk & (1<<56 - 1), Kind: Kind(lk >> 56)}
	copy(e.Digest[:], b[16:RecordSize])
	return e
}

func appendRecord(b []byte, e Extent) []byte {
	b = binary.LittleEndian.AppendUint64(b, e.Offset)
	b = binary.LittleEndian.AppendUint64(b, e.Length|uint64(e.Kind)<<56)
	return append(b, e.Digest[:]...)
}

// Bytes reads the whole manifest from its start, as it is stored.
func (m *Manifest) Bytes() io.Reader {
	return io.NewSectionReader(m.r, 0, m.records+int64(m.count)*RecordSize)
}
