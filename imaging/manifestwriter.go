package imaging

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
)

// ManifestWriter writes a manifest into a file, extent by extent, in constant memory. The head stands before
// the records but is known only after them; so Finish moves the records behind it.
type ManifestWriter struct {
	f      *os.File
	header Header
	at     uint64 // where the next extent must start
	sums   totals
	window []byte // records of the open window
	list   []byte // windowEntry bytes for each closed window
	start  uint64 // first offset of the open window
	err    error  // the first error; everything after it returns the same
}

// totals are the counts at the end of a Header.
type totals struct{ extents, data, dataBytes, zeroBytes, freeBytes uint64 }

func (t *totals) add(e Extent) {
	t.extents++
	switch e.Kind {
	case Data:
		t.data++
		t.dataBytes += e.Length
	case Zero:
		t.zeroBytes += e.Length
	case Free:
		t.freeBytes += e.Length
	}
}

func (t totals) fill(h Header) Header {
	h.Extents, h.DataExtents, h.DataBytes, h.ZeroBytes, h.FreeBytes = t.extents, t.data, t.dataBytes, t.zeroBytes, t.freeBytes
	return h
}

// NewManifestWriter begins a manifest in f, an empty file open for reading and writing that the caller owns.
// FormatVersion and the counts of h are filled in by the writer.
func NewManifestWriter(f *os.File, h Header) (*ManifestWriter, error) {
	h.FormatVersion = h.Params.version()
	if err := h.Validate(); err != nil {
		return nil, fmt.Errorf("begin manifest: %w", err)
	}
	return &ManifestWriter{f: f, header: h, window: make([]byte, 0, windowBytes)}, nil
}

// Append adds the next extent, which must start where the last one ended.
func (w *ManifestWriter) Append(e Extent) error {
	if w.err != nil {
		return w.err
	}
	w.err = w.append(e)
	return w.err
}

func (w *ManifestWriter) append(e Extent) error {
	if e.Offset != w.at {
		return fmt.Errorf("append extent at %d: the last one ended at %d", e.Offset, w.at)
	}
	if err := checkExtent(e, w.header); err != nil {
		return fmt.Errorf("append extent: %w", err)
	}
	if w.sums.extents == MaxExtents {
		return fmt.Errorf("append extent at %d: more than %d", e.Offset, MaxExtents)
	}
	w.window = appendRecord(w.window, e)
	w.at = e.End()
	w.sums.add(e)
	if len(w.window) == windowBytes {
		return w.closeWindow()
	}
	return nil
}

func (w *ManifestWriter) closeWindow() error {
	if _, err := w.f.WriteAt(w.window, int64(len(w.list)/windowEntry)*windowBytes); err != nil {
		return fmt.Errorf("write manifest records: %w", err)
	}
	sum := Sum(w.window)
	w.list = binary.LittleEndian.AppendUint64(w.list, w.start)
	w.list = append(w.list, sum[:]...)
	w.start, w.window = w.at, w.window[:0]
	return nil
}

// Finish writes the head and returns the manifest's digest. It is an error when the extents do not reach the
// end of the disk. It does not fsync or close the file.
func (w *ManifestWriter) Finish() (Digest, error) {
	if w.err != nil {
		return Digest{}, w.err
	}
	d, err := w.finish()
	if err == nil {
		err = fmt.Errorf("manifest %s is finished", d.Short())
		w.err = err
		return d, nil
	}
	w.err = err
	return Digest{}, err
}

func (w *ManifestWriter) finish() (Digest, error) {
	if w.at != w.header.DiskSize {
		return Digest{}, fmt.Errorf("finish manifest: the extents end at %d, the disk at %d", w.at, w.header.DiskSize)
	}
	if len(w.window) > 0 {
		if err := w.closeWindow(); err != nil {
			return Digest{}, err
		}
	}
	head, err := w.head()
	if err != nil {
		return Digest{}, err
	}
	if err := w.moveRecords(int64(len(head))); err != nil {
		return Digest{}, err
	}
	if _, err := w.f.WriteAt(head, 0); err != nil {
		return Digest{}, fmt.Errorf("write manifest head: %w", err)
	}
	return Sum(head), nil
}

func (w *ManifestWriter) head() ([]byte, error) {
	js, err := json.Marshal(w.sums.fill(w.header))
	if err != nil || len(js) > maxHeader {
		return nil, fmt.Errorf("write manifest header of %d bytes: %w", len(js), err)
	}
	b := []byte(manifestMagic)
	for _, v := range []uint32{uint32(w.header.FormatVersion), uint32(len(js)), WindowSize, 0} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = binary.LittleEndian.AppendUint64(b, w.sums.extents)
	return append(append(b, js...), w.list...), nil
}

// moveRecords shifts the records by n bytes, from the last window to the first so that none is overwritten
// before it has moved.
func (w *ManifestWriter) moveRecords(n int64) error {
	size := int64(w.sums.extents) * RecordSize
	buf := make([]byte, windowBytes)
	for i := int64(len(w.list)/windowEntry) - 1; i >= 0; i-- {
		b := buf[:min(windowBytes, size-i*windowBytes)]
		if err := readFull(w.f, b, i*windowBytes); err != nil {
			return fmt.Errorf("move manifest records: %w", err)
		}
		if _, err := w.f.WriteAt(b, i*windowBytes+n); err != nil {
			return fmt.Errorf("move manifest records: %w", err)
		}
	}
	return nil
}
