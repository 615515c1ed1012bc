package benchmark

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"ingot/imaging"
)

// fixedAdds gives what each disk adds to a store of chunks of a fixed size, one behind the other, each chunk compressed
// as Ingot compresses its own. Chunks of zeros are not stored.
func fixedAdds(ctx context.Context, disks []string, size int) (adds [3]uint64, err error) {
	held := map[imaging.Digest]struct{}{}
	for i, d := range disks {
		if adds[i], err = fixedAdd(ctx, d, size, held); err != nil {
			return adds, err
		}
	}
	return adds, nil
}

// fixedAdd counts the stored bytes of the chunks that are not held, and notes them.
func fixedAdd(ctx context.Context, disk string, size int, held map[imaging.Digest]struct{}) (uint64, error) {
	f, err := os.Open(disk)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var stored atomic.Uint64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.NumCPU())
	zero := make([]byte, size)
	for at := int64(0); ; at += int64(size) {
		if at, err = unix.Seek(int(f.Fd()), at, unix.SEEK_DATA); errors.Is(err, unix.ENXIO) {
			err := g.Wait()
			return stored.Load(), err
		}
		if err != nil {
			return 0, errors.Join(err, g.Wait())
		}
		at -= at % int64(size)
		b := make([]byte, size)
		n, err := f.ReadAt(b, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, errors.Join(err, g.Wait())
		}
		b = b[:n]
		d := imaging.Sum(b)
		if _, ok := held[d]; ok || bytes.Equal(b, zero[:n]) {
			continue
		}
		held[d] = struct{}{}
		g.Go(func() error {
			frame, err := imaging.EncodeChunk(nil, b)
			stored.Add(uint64(len(frame)))
			return err
		})
		if ctx.Err() != nil {
			return 0, fmt.Errorf("fixed chunks of %s: %w", disk, errors.Join(ctx.Err(), g.Wait()))
		}
	}
}
