package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"ingot/imaging"
)

// NoGrow as GrowPartition says that no partition grows on a larger disk.
const NoGrow = -1

// Sink keeps what capture finds. All methods but Commit and PutManifest are called from several goroutines at
// once; the sink must not keep the slices that it is given.
type Sink interface {
	// Has reports whether the chunk is stored already; capture then does not encode it.
	Has(d imaging.Digest) (bool, error)
	// Put stores a chunk: frame is the zstd frame of plain bytes whose digest is d. Storing one twice is no
	// error.
	Put(d imaging.Digest, plain int, frame []byte) error
	// Commit returns when every chunk that was put is durable. It is called once, before PutManifest.
	Commit() error
	// PutManifest stores the finished manifest that f holds; capture closes and removes f afterwards, if it is
	// still there.
	PutManifest(f *os.File, d imaging.Digest) error
}

// Options of a capture. The zero value is fit for use.
type Options struct {
	RootPartition int              // partition number, 0: find it
	GrowPartition int              // partition number, 0: the root, NoGrow: none
	Params        imaging.Params   // zero: imaging.DefaultParams
	TempDir       string           // of the manifest until it is stored; "" is the system's
	Workers       int              // chunks that are encoded at once; 0: one for each processor
	Progress      func(Progress)   // called about twice a second from one goroutine; may be nil
	Now           func() time.Time // nil: time.Now; only Progress depends on it
}

func (o Options) params() imaging.Params {
	if o.Params == (imaging.Params{}) {
		return imaging.DefaultParams()
	}
	return o.Params
}

// Result is what a capture made.
type Result struct {
	Manifest    imaging.Digest
	Header      imaging.Header
	Notes       []Note
	ReadBytes   uint64 // of the disk
	NewChunks   uint64 // that the sink did not have
	NewBytes    uint64 // their frames
	KnownChunks uint64 // data extents whose chunk the sink had
}

// Inspect looks at a disk as Run does, and stores nothing: the header lacks only the counts of extents.
func Inspect(src Source, o Options) (imaging.Header, []Note, error) {
	l, h, err := prepare(src, o)
	if err != nil {
		return imaging.Header{}, nil, err
	}
	return h, l.notes, nil
}

func prepare(src Source, o Options) (*layout, imaging.Header, error) {
	l, err := plan(src)
	if err != nil {
		return nil, imaging.Header{}, err
	}
	h, err := l.roles(o)
	return l, h, err
}

// Run captures src into sink. Errors for a person are a *job.Fault in the chain (job.CodeImageInvalid for a
// disk that cannot become an image); others are the sink's and the system's. After an error the sink may hold
// chunks of a capture that nobody names, and no manifest. It ends early when ctx does.
func Run(ctx context.Context, src Source, sink Sink, o Options) (Result, error) {
	l, h, err := prepare(src, o)
	if err != nil {
		return Result{}, err
	}
	f, err := os.CreateTemp(o.TempDir, "manifest-*")
	if err != nil {
		return Result{}, fmt.Errorf("make manifest file: %w", err)
	}
	res, err := run(ctx, src, sink, o, l, h, f)
	if err := errors.Join(err, discard(f)); err != nil {
		return Result{}, err
	}
	res.Notes = l.notes
	return res, nil
}

func run(ctx context.Context, src Source, sink Sink, o Options, l *layout, h imaging.Header, f *os.File) (Result, error) {
	w, err := imaging.NewManifestWriter(f, h)
	if err != nil {
		return Result{}, refuse(err, "The disk cannot be described: %v.", err)
	}
	p := newPipeline(sink, w, o)
	if err := p.run(ctx, src, l); err != nil {
		return Result{}, err
	}
	if err := src.Unchanged(); err != nil {
		return Result{}, worded(err, "checking the disk file")
	}
	res := p.result()
	if res.Manifest, err = w.Finish(); err != nil {
		return Result{}, err
	}
	if res.Header, err = readBack(f, res.Manifest); err != nil {
		return Result{}, err
	}
	if err := sink.Commit(); err != nil {
		return Result{}, fmt.Errorf("store chunks: %w", err)
	}
	if err := sink.PutManifest(f, res.Manifest); err != nil {
		return Result{}, fmt.Errorf("store manifest %s: %w", res.Manifest.Short(), err)
	}
	return res, nil
}

// readBack opens the finished manifest as everybody else will, and gives its header with the counts.
func readBack(f *os.File, want imaging.Digest) (imaging.Header, error) {
	fi, err := f.Stat()
	if err != nil {
		return imaging.Header{}, fmt.Errorf("read manifest back: %w", err)
	}
	m, err := imaging.OpenManifest(f, fi.Size())
	if err != nil {
		return imaging.Header{}, fmt.Errorf("read manifest back: %w", err)
	}
	if m.Digest() != want {
		return imaging.Header{}, fmt.Errorf("read manifest back: digest %s, want %s", m.Digest().Short(), want.Short())
	}
	return m.Header(), nil
}

// discard closes and removes the temporary manifest; a sink may have moved it away or closed it.
func discard(f *os.File) error {
	if err := f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close manifest file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove manifest file: %w", err)
	}
	return nil
}
