package disk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
)

// How fetching behaves on a bad network.
const (
	maxSpans     = 256              // runs of extents in one request: well below 8 KiB of query
	silence      = 30 * time.Second // without a frame: ask anew
	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 5 * time.Second
	patience     = 10 * time.Minute // without a frame in the whole run: give up
)

// fetcher asks for extents until it has them all. A request that breaks off is repeated for what is missing;
// a cable pull or a daemon's restart costs only time.
type fetcher struct {
	source   Source
	manifest imaging.Digest
	count    func(stored uint64)
	quiet    *quiet
}

// wish is one extent that is wanted.
type wish struct {
	n     uint64
	joins bool // between the wish before and this one lies no data extent: one span may cover both
}

// wishes turns ascending indices of data extents into what to ask for.
func wishes(first uint64, extents []imaging.Extent, idx []int) []wish {
	out := make([]wish, 0, len(idx))
	at := 0 // extents before it have been looked at
	for k, i := range idx {
		joins := k > 0
		for ; at < i; at++ {
			joins = joins && extents[at].Kind != imaging.Data
		}
		at = i + 1
		out = append(out, wish{first + uint64(i), joins})
	}
	return out
}

// fetch calls take for each extent that is wanted (ascending), in order and exactly once.
func (f *fetcher) fetch(ctx context.Context, want []wish, take func(ctx context.Context, frame []byte) error) error {
	backoff := firstBackoff
	for len(want) > 0 {
		got, err := f.once(ctx, want, take)
		want = want[got:]
		if got > 0 {
			backoff = firstBackoff
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !mayRetry(err) {
			return err
		}
		if f.quiet.failed() {
			return fmt.Errorf("fetch extents from %d: %w: %w", want[0].n, err, job.Faultf(job.CodeStream, "Nothing arrived for %s.", f.quiet.limit))
		}
		if err := pause(ctx, backoff); err != nil {
			return err
		}
		backoff = min(2*backoff, maxBackoff)
	}
	return nil
}

// errSilence ends a request on which nothing moves.
var errSilence = errors.New("nothing arrives")

// taken carries an error of our own side through the Source: it is final.
type taken struct{ error }

func (t taken) Unwrap() error { return t.error }

// once makes one request and returns how many extents it brought.
func (f *fetcher) once(ctx context.Context, want []wish, take func(ctx context.Context, frame []byte) error) (int, error) {
	spans, asked := spansOf(want)
	rctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(silence, func() { cancel(errSilence) })
	defer watch.Stop()
	got := 0
	stored, err := f.source.Fetch(rctx, f.manifest, spans, func(n uint64, frame []byte) error {
		watch.Stop() // our own slowness is not the sender's
		if got == asked || n != want[got].n {
			return fmt.Errorf("extent %d arrived out of turn", n)
		}
		f.quiet.heard()
		if err := take(ctx, frame); err != nil {
			return taken{err}
		}
		got++
		watch.Reset(silence)
		return nil
	})
	f.count(stored)
	if err == nil && got < asked {
		err = fmt.Errorf("the stream ended after %d of %d extents: %w", got, asked, job.Faultf(job.CodeStream, "It ended after %d of %d pieces.", got, asked))
	}
	if err == nil {
		return got, nil
	}
	return got, fmt.Errorf("fetch extents from %d: %w", want[0].n, err)
}

// mayRetry tells a broken connection from a broken image: what the daemon refuses in words, a damaged chunk,
// and our own errors stay as they are.
func mayRetry(err error) bool {
	var own taken
	if errors.As(err, &own) {
		return false
	}
	var fault *job.Fault
	if errors.As(err, &fault) {
		switch fault.Code {
		case job.CodeStream, job.CodeUnreachable, job.CodeDaemon, job.CodeBusy:
			return true
		}
		return false
	}
	return true
}

// spansOf covers a prefix of what is wanted with at most maxSpans spans, and says how long the prefix is.
func spansOf(want []wish) (spans []Span, covered int) {
	for _, w := range want {
		if k := len(spans); k > 0 && w.joins {
			spans[k-1].Last = w.n
		} else if k == maxSpans {
			break
		} else {
			spans = append(spans, Span{First: w.n, Last: w.n})
		}
		covered++
	}
	return spans, covered
}

// Persist calls f until it succeeds, fails for a reason that repeating does not mend, or has failed for 10
// minutes (CodeStream). It is for what is asked of the network beside the chunks.
func Persist(ctx context.Context, f func(context.Context) error) error {
	q, backoff := newQuiet(patience), firstBackoff
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !mayRetry(err) || errors.Is(err, imaging.ErrManifest) {
			return manifestFault(err)
		}
		if q.failed() {
			return fmt.Errorf("%w: %w", err, job.Faultf(job.CodeStream, "Nothing arrived for %s.", q.limit))
		}
		if err := pause(ctx, backoff); err != nil {
			return err
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// FetchHead fetches the image's first HeadSize bytes, which commit writes last; it touches no disk. It also
// refuses a manifest whose disk ends in data where a second GPT belongs. stored counts what travelled.
func FetchHead(ctx context.Context, src Source, m *imaging.Manifest) (head []byte, stored uint64, err error) {
	h := m.Header()
	head = make([]byte, HeadSize(h))
	var data []imaging.Numbered
	err = Persist(ctx, func(context.Context) error {
		if err := checkTail(m, h); err != nil {
			return err
		}
		data, err = headExtents(m, uint64(len(head)))
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	f := fetcher{source: src, manifest: m.Digest(), count: func(n uint64) { stored += n }, quiet: newQuiet(patience)}
	want := make([]wish, len(data))
	for i, e := range data {
		want[i] = wish{n: e.N, joins: i > 0} // the head's data extents, all of them
	}
	err = f.fetch(ctx, want, func(_ context.Context, frame []byte) error {
		e := data[0]
		data = data[1:]
		plain, err := imaging.DecodeChunk(frame, nil, e.Digest, int(e.Length))
		if err != nil {
			return fmt.Errorf("decode the head at %d: %w: %w", e.Offset, err, job.Faultf(job.CodeChunk, "Chunk %s, at byte %d.", e.Digest.Short(), e.Offset))
		}
		copy(head[e.Offset:], plain)
		return nil
	})
	return head, stored, err
}

// headExtents lists the data extents that begin within the head.
func headExtents(m *imaging.Manifest, head uint64) (data []imaging.Numbered, err error) {
	for e, err := range m.All() {
		if err != nil {
			return nil, err
		}
		if e.Offset >= head {
			break
		}
		if e.Kind == imaging.Data {
			data = append(data, e)
		}
	}
	return data, nil
}

// checkTail holds the rule that an image's own second GPT is not an extent: written, it would be the old table
// at the end of a disk that has not been proven yet.
func checkTail(m *imaging.Manifest, h imaging.Header) error {
	if h.Table != "gpt" {
		return nil
	}
	var last [1]imaging.Extent
	if _, err := m.Extents(m.Count()-1, last[:]); err != nil {
		return err
	}
	if last[0].Kind == imaging.Data {
		return job.Faultf(job.CodeManifest, "The image ends in data where its second partition table was.")
	}
	return nil
}

// manifestFault gives a damaged manifest its words; a network error keeps its own.
func manifestFault(err error) error {
	var fault *job.Fault
	if errors.As(err, &fault) || !errors.Is(err, imaging.ErrManifest) {
		return err
	}
	return fmt.Errorf("%w: %w", err, job.Faultf(job.CodeManifest, ""))
}
