package chunkstore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ingot/imaging"
	"ingot/imaging/job"
)

// Bounds of one intake.
const (
	intakeStreams = 8        // at once
	intakeReserve = 64 << 20 // bytes of the file system that a capture leaves to everything else

	// sealEvery is how long chunks may wait in an open pack: so much of the sending a killed daemon costs at most.
	sealEvery = 20 * time.Second
)

// Intake takes in one capture from a laptop, which is believed nothing: what it sends counts by its digest only, and
// never more than its drive can hold. Its methods may be called from any goroutine.
//
// The chunks go into batches. A pack is safe when it is full, or after sealEvery; so a laptop or a daemon that dies
// costs little. One more batch, which stores nothing, keeps all of them from gc until Close.
type Intake struct {
	s       *Store
	disk    uint64 // bytes of the captured drive
	streams chan struct{}

	mu     sync.RWMutex // held for reading while chunks are put, for writing while a batch begins or ends
	pins   *Batch       // from the first word to Close
	batch  *Batch       // that is open; nil when none is
	began  time.Time    // the open batch
	sum    Stats        // of batches that have ended
	closed bool
}

// NewIntake begins to take in a drive of so many bytes. Exactly one Close must follow.
func (s *Store) NewIntake(disk uint64) *Intake {
	return &Intake{s: s, disk: disk, streams: make(chan struct{}, intakeStreams)}
}

// Want answers a question: the body is digests one behind the other, the answer a bitmap of those that are lacking.
func (i *Intake) Want(body []byte) ([]byte, error) {
	list, err := parseWant(body)
	if err != nil {
		return nil, err
	}
	lacks := make([]bool, len(list))
	err = i.use(func(b *Batch) error {
		for n, d := range list {
			held, err := i.pins.Has(d) // pinned first, then looked for
			if err == nil && !held {
				held, err = b.Has(d)
			}
			if err != nil {
				return err
			}
			lacks[n] = !held
		}
		return nil
	})
	return bitmap(lacks), err
}

// Take stores the chunks of one stream. What arrived before an error stays.
func (i *Intake) Take(body io.Reader) error {
	select {
	case i.streams <- struct{}{}:
		defer func() { <-i.streams }()
	default:
		return job.Faultf(job.CodeBusy, "More than %d streams of one laptop.", intakeStreams)
	}
	if err := i.s.room(0); err != nil {
		return err
	}
	var b *Batch
	_, err := readUpload(body, func(d imaging.Digest, plain []byte) error {
		return i.use(func(open *Batch) error {
			b = open
			if n := open.Stats().NewPlain + i.sum.NewPlain; n+uint64(len(plain)) > i.disk+uint64(maxUploaded())*intakeStreams {
				return refused("It sent more than its drive of %d bytes can hold.", i.disk)
			}
			if _, err := i.pins.Has(d); err != nil {
				return err
			}
			_, err := open.Put(plain)
			return err
		})
	})
	if b != nil && b.failed() != nil {
		i.drop(b)
		return err
	}
	if err != nil || !i.due() {
		return err
	}
	_, err = i.seal()
	return err
}

// due reports whether the open batch has waited long enough.
func (i *Intake) due() bool {
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.batch != nil && time.Since(i.began) > sealEvery
}

// drop gives up a batch that cannot store any more; the next chunk begins another.
func (i *Intake) drop(b *Batch) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.batch == b {
		b.Abort()
		i.batch = nil
	}
}

// use calls f with the open batch, beside others.
func (i *Intake) use(f func(*Batch) error) error {
	i.mu.RLock()
	for i.batch == nil && !i.closed {
		i.mu.RUnlock()
		i.mu.Lock()
		if i.batch == nil && !i.closed {
			i.batch, i.began = i.s.NewBatch(), time.Now()
			if i.pins == nil {
				i.pins = i.s.NewBatch()
			}
		}
		i.mu.Unlock()
		i.mu.RLock()
	}
	defer i.mu.RUnlock()
	if i.closed {
		return job.Faultf(job.CodeBusy, "This capture is being ended.")
	}
	return f(i.batch)
}

// Manifest takes the manifest of the capture, size bytes, once check agrees to its header and every chunk that it
// names is held and safe. Where chunks are lacking the error is CodeLacking: more may be sent, then the manifest again.
func (i *Intake) Manifest(body io.Reader, size int64, check func(imaging.Header) error) (imaging.Digest, Stats, error) {
	if size <= 0 || size > MaxManifest(i.disk) {
		return imaging.Digest{}, Stats{}, refused("A manifest of %d bytes for a drive of %d.", size, i.disk)
	}
	if err := i.s.room(size); err != nil {
		return imaging.Digest{}, Stats{}, err
	}
	f, err := i.s.CreateManifest()
	if err != nil {
		return imaging.Digest{}, Stats{}, err
	}
	err = copyManifest(f, body, size, check)
	if err != nil {
		return imaging.Digest{}, Stats{}, manifestWords(errors.Join(err, i.s.DropManifest(f)))
	}
	stats, err := i.seal()
	if err != nil {
		return imaging.Digest{}, stats, errors.Join(err, i.s.DropManifest(f))
	}
	d, err := i.s.PutManifest(f)
	return d, stats, manifestWords(err)
}

// copyManifest brings a manifest into f and has its header checked.
func copyManifest(f *os.File, body io.Reader, size int64, check func(imaging.Header) error) error {
	n, err := io.Copy(f, io.LimitReader(body, size+1))
	if f := job.FaultOf(full(err)); err != nil && f.Code == job.CodeFull {
		return full(err)
	}
	if err != nil {
		return fmt.Errorf("take manifest: %w: %w", err, refused("The manifest broke off after %d bytes.", n))
	}
	if n != size {
		return refused("The manifest has %d bytes or more, %d were announced.", n, size)
	}
	m, err := imaging.OpenManifest(f, size)
	if err != nil {
		return err
	}
	return check(m.Header())
}

// MaxManifest is the longest manifest, in bytes, of a drive of so many bytes: an extent is at least a block.
func MaxManifest(disk uint64) int64 {
	extents := int64(min(disk/imaging.BlockSize+2, imaging.MaxExtents))
	return 1<<20 + extents*imaging.RecordSize + (extents/imaging.WindowSize+1)*64
}

// manifestWords tells what is lacking from what is wrong.
func manifestWords(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrMissing):
		return fmt.Errorf("%w: %w", job.Faultf(job.CodeLacking, ""), err)
	case errors.Is(err, imaging.ErrManifest):
		return fmt.Errorf("%w: %w", refused("Its manifest is damaged or is none."), err)
	}
	return err
}

// seal makes everything that was put safe; the next chunk begins a new batch.
func (i *Intake) seal() (Stats, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.batch == nil {
		return i.sum, nil
	}
	err := i.batch.Commit()
	s := i.batch.Stats()
	i.batch.Abort() // the other batch keeps its chunks
	i.batch = nil
	i.sum = Stats{i.sum.Chunks + s.Chunks, i.sum.NewChunks + s.NewChunks, i.sum.PlainBytes + s.PlainBytes,
		i.sum.NewPlain + s.NewPlain, i.sum.StoredBytes + s.StoredBytes, i.sum.NewPacks + s.NewPacks}
	return i.sum, err
}

// Close ends the intake and keeps what has arrived, so that the same drive sends it no second time.
func (i *Intake) Close() error {
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock()
	_, err := i.seal()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.pins != nil {
		i.pins.Abort()
		i.pins = nil
	}
	return err
}

// room refuses what would leave less than the reserve.
func (s *Store) room(more int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		return fmt.Errorf("room of the image store: %w", err)
	}
	if free := int64(st.Bavail) * st.Bsize; free < intakeReserve+more {
		return job.Faultf(job.CodeFull, "%d MB are free; a capture leaves %d MB.", free/1e6, int64(intakeReserve)/1e6)
	}
	return nil
}
