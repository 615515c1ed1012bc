package library

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
	"ingot/store"
)

// Push sends a version to a peer, which records it as a draft. The other side says what it lacks; only that travels.
// One that is cut off goes on when it is ordered again.
func (l *Library) Push(ctx context.Context, operator string, t store.Transfer, tell func(store.Work)) (store.Transferred, error) {
	v, signed, err := l.portable(t.Image)
	if err != nil {
		return store.Transferred{}, err
	}
	a, err := l.asked(ctx, t.Peer)
	if err != nil {
		return store.Transferred{}, err
	}
	defer a.close()
	out, err := a.push(ctx, v, signed, tell)
	if err != nil {
		return out, peerWords(fmt.Errorf("push %s to %s: %w", v.Ref(), a.peer.Name, err))
	}
	return out, l.DB.Update(func(tx *store.Tx) error {
		return tx.Audit(operator, "push", v.Ref().String(), "To "+a.peer.Name+", there "+out.There+".")
	})
}

func (a *asking) push(ctx context.Context, v store.Version, signed store.Signed, tell func(store.Work)) (store.Transferred, error) {
	out := store.Transferred{Version: v}
	signed.Origin = nil
	var begun pushed
	if err := a.send(ctx, http.MethodPost, "/pushes", offer{Signed: signed}, &begun); err != nil {
		return out, err
	}
	if begun.Held != "" {
		out.There, out.Known = begun.Held, true
		return out, nil
	}
	m, err := a.l.Store.OpenManifest(v.Manifest)
	if err != nil {
		return out, err
	}
	defer m.Close()
	if !begun.Manifest {
		if err := a.do(ctx, http.MethodPut, "/pushes/"+begun.ID+"/manifest", m.Bytes(), 0, &struct{}{}); err != nil {
			return out, err
		}
	}
	if err := a.sendMissing(ctx, begun.ID, m, &out, tell); err != nil {
		return out, err
	}
	var end finished
	if err := a.send(ctx, http.MethodPost, "/pushes/"+begun.ID+"/finish", struct{}{}, &end); err != nil {
		return out, err
	}
	if end.Fault != nil {
		return out, job.Faultf(end.Fault.Code, "%s: %s", a.peer.Name, end.Fault.Fact)
	}
	out.There, out.Known = end.Ref, end.Known
	return out, nil
}

// sendMissing sends what the other side names, window by window.
func (a *asking) sendMissing(ctx context.Context, id string, m *imaging.Manifest, out *store.Transferred, tell func(store.Work)) error {
	told, at, all := phaseTeller("sending", tell), uint64(0), m.Header().DataBytes
	for at < m.Count() {
		var next missing
		err := a.l.patiently(ctx, func() uint64 { return out.Sent }, func() error {
			if err := a.do(ctx, http.MethodGet, fmt.Sprintf("/pushes/%s/missing?from=%d", id, at), nil, 0, &next); err != nil {
				return err
			}
			if err := next.check(at, m.Count()); err != nil || len(next.Extents) == 0 {
				return err
			}
			return a.sendChunks(ctx, id, m, spansOf(next.Extents), &out.Sent)
		})
		if err != nil {
			return err
		}
		at = next.Next
		told(all*at/m.Count(), all)
	}
	return nil
}

// check bounds what another server asks for: ascending extents of this window, and a step forward.
func (x missing) check(from, count uint64) error {
	ok := x.Next > from && x.Next <= count && len(x.Extents) <= window
	for _, n := range x.Extents {
		ok = ok && n >= from && n < x.Next
		from = n + 1
	}
	if !ok {
		return job.Faultf(job.CodePeerAnswer, "It asked for extents that are not there.")
	}
	return nil
}

// sendChunks sends one chunk stream.
func (a *asking) sendChunks(ctx context.Context, id string, m *imaging.Manifest, spans []chunkstore.Span, sent *uint64) error {
	r, w := io.Pipe()
	ended := make(chan uint64, 1)
	go func() { // ends when the request has: the reader is closed below
		c := &counting{w: w}
		a.l.Store.WriteStream(ctx, m, c, spans)
		w.Close()
		ended <- c.n
	}()
	err := a.do(ctx, http.MethodPut, "/pushes/"+id+"/chunks", r, 0, &struct{}{})
	r.Close()
	if n := <-ended; err == nil {
		*sent += n
	}
	return err
}

// counting counts what passes.
type counting struct {
	w io.Writer
	n uint64
}

// Write implements io.Writer.
func (c *counting) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += uint64(n)
	return n, err
}
