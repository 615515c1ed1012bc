package disk

import "context"

// pool is a fixed number of aligned buffers: what bounds Restore's memory. A buffer is made when it is first
// needed.
type pool struct {
	free chan []byte
	size int
}

func newPool(count, size int) *pool {
	p := &pool{free: make(chan []byte, count), size: size}
	for range count {
		p.free <- nil
	}
	return p
}

// get waits for a buffer.
func (p *pool) get(ctx context.Context) ([]byte, error) {
	select {
	case b := <-p.free:
		if b == nil {
			b = AlignedBuffer(p.size)
		}
		return b, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// put gives a buffer back, at its full length.
func (p *pool) put(b []byte) { p.free <- b[:p.size] }
