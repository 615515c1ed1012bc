package disk

import (
	"context"

	"ingot/imaging"
)

// Span is a run of extent numbers.
type Span = imaging.Span

// Source sends stored chunks; package chunkstore's client is one. Fetch calls fn once for each data extent of
// want, in order, with its stored frame, which fn does not keep; zero and free extents within a span are passed
// over. An error of fn ends it. It returns nil only when the sender has said that it
// sent everything. fetched counts the stored bytes that arrived, also with an error.
type Source interface {
	Fetch(ctx context.Context, manifest imaging.Digest, want []Span, fn func(n uint64, frame []byte) error) (fetched uint64, err error)
}
