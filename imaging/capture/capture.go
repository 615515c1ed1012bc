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

// Sink keeps what capture finds: the parts of one store.
type Sink struct {
	Chunks    Chunks
	Manifests Manifests
}

// Chunks stores chunks; a chunkstore.Batch is one. Run ends it in any case: by Commit, and by Abort behind it.
type Chunks interface {
	// Put stores a chunk unless it is held already, and gives its digest. It is called from several goroutines
	// at once and copies the bytes. It may report the error of an earlier chunk.
	Put(plain []byte) (imaging.Digest, error)
	// Commit returns when every chunk is durable.
	Commit() error
	// Abort gives up; behind a Commit it does nothing.
	Abort()
}

// Manifests stores manifests; a chunkstore.Store is one.
type Manifests interface {
	// CreateManifest makes an empty file, which PutManifest or DropManifest takes back.
	CreateManifest() (*os.File, error)
	// PutManifest stores a finished manifest all of whose chunks are held, and closes the file in any case.
	PutManifest(f *os.File) (imaging.Digest, error)
	// DropManifest closes and removes a file that is not put.
	DropManifest(f *os.File) error
}

// Options of a capture. The zero value is fit for use.
type Options struct {
	RootPartition int              // partition number, 0: find it
	GrowPartition int              // partition number, 0: the root, NoGrow: none
	Params        imaging.Params   // zero: imaging.DefaultParams
	Workers       int              // goroutines that hash and put chunks; 0: one for each processor
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
	Manifest  imaging.Digest
	Header    imaging.Header
	Notes     []Note
	ReadBytes uint64 // of the disk
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
	defer sink.Chunks.Abort()
	l, h, err := prepare(src, o)
	if err != nil {
		return Result{}, err
	}
	f, err := sink.Manifests.CreateManifest()
	if err != nil {
		return Result{}, err
	}
	res, err := write(ctx, src, sink.Chunks, o, l, h, f)
	if err != nil {
		return Result{}, errors.Join(err, sink.Manifests.DropManifest(f))
	}
	stored, err := sink.Manifests.PutManifest(f)
	if err != nil {
		return Result{}, fmt.Errorf("store manifest %s: %w", res.Manifest.Short(), err)
	}
	if stored != res.Manifest {
		return Result{}, fmt.Errorf("store manifest %s: the store calls it %s", res.Manifest.Short(), stored.Short())
	}
	return res, nil
}

// write fills f with the manifest, and returns when all its chunks are durable.
func write(ctx context.Context, src Source, chunks Chunks, o Options, l *layout, h imaging.Header, f *os.File) (Result, error) {
	w, err := imaging.NewManifestWriter(f, h)
	if err != nil {
		return Result{}, refuse(err, "The disk cannot be described: %v.", err)
	}
	p := newPipeline(chunks, w, o)
	if err := p.run(ctx, src, l); err != nil {
		return Result{}, err
	}
	if err := src.Unchanged(); err != nil {
		return Result{}, worded(err, "checking the disk file")
	}
	res := Result{Notes: l.notes, ReadBytes: uint64(p.meter.done)}
	if res.Manifest, err = w.Finish(); err != nil {
		return Result{}, err
	}
	if res.Header, err = readBack(f, res.Manifest); err != nil {
		return Result{}, err
	}
	if err := chunks.Commit(); err != nil {
		return Result{}, fmt.Errorf("store chunks: %w", err)
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
