package disk

import (
	"context"

	"ingot/imaging"
)

// Span is a run of extent numbers, First to Last inclusive.
type Span struct{ First, Last uint64 }

// Source sends stored chunks. Fetch calls fn once for each data extent of want, in order, with its stored
// frame, which fn does not keep; an error of fn ends it. It returns nil only when the sender has said that it
// sent everything. fetched counts the stored bytes that arrived, also with an error.
type Source interface {
	Fetch(ctx context.Context, manifest imaging.Digest, want []Span, fn func(n uint64, frame []byte) error) (fetched uint64, err error)
}
