package chunkstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
)

const (
	sendBytes  = 2 << 20 // plain bytes of one group
	sendChunks = 512
	uploads    = 4 // groups on their way at once

	uploadTime  = 2 * time.Minute // one try of one request
	firstUpload = 250 * time.Millisecond
	maxUpload   = 5 * time.Second // pause between tries
)

// Upload is how a laptop sends the chunks of its drive: a capture's Chunks. Put gathers them into groups; several
// senders at once ask which of a group the library lacks and send those. Its memory is bounded by the groups. A daemon
// that does not answer, or cannot just now, is asked again for as long as ctx lasts.
type Upload struct {
	// Sent counts the stored bytes that travelled, Held the plain bytes that the library had already.
	Sent, Held atomic.Uint64

	c       *Client
	ctx     context.Context
	cancel  context.CancelCauseFunc
	path    string           // of the job, without its last part
	waiting func(*job.Fault) // is told what it waits for, nil when it goes on
	free    chan *group
	full    chan *group
	senders sync.WaitGroup

	mu    sync.Mutex // guards cur and ended
	cur   *group
	ended bool
}

// group is some chunks with their plain bytes.
type group struct {
	plain  []byte
	chunks []groupChunk
	body   []byte // what is sent
	frame  []byte
}

type groupChunk struct {
	digest  imaging.Digest
	off, n  int
	lacking bool
}

// NewUpload begins to send the chunks of a job's drive. waiting may be nil. Commit or Abort must follow.
func (c *Client) NewUpload(ctx context.Context, id job.ID, waiting func(*job.Fault)) *Upload {
	u := &Upload{c: c, path: jobPath(id), waiting: waiting, free: make(chan *group, uploads+2), full: make(chan *group, 1)}
	if waiting == nil {
		u.waiting = func(*job.Fault) {}
	}
	u.ctx, u.cancel = context.WithCancelCause(ctx)
	for range cap(u.free) {
		u.free <- &group{plain: make([]byte, 0, sendBytes)}
	}
	u.senders.Add(uploads)
	for range uploads {
		go u.send()
	}
	return u
}

func jobPath(id job.ID) string { return "/v1/jobs/" + string(id) + "/" }

// Put takes a chunk and gives its digest. The bytes are copied. An error of an earlier chunk is returned by a later
// Put, or by Commit.
func (u *Upload) Put(plain []byte) (imaging.Digest, error) {
	if len(plain) == 0 || len(plain) > int(maxUploaded()) {
		return imaging.Digest{}, fmt.Errorf("send chunk of %d bytes: want 1 to %d", len(plain), maxUploaded())
	}
	d := imaging.Sum(plain)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		return d, errors.New("send chunk: the upload has ended")
	}
	if u.cur != nil && (len(u.cur.plain)+len(plain) > sendBytes || len(u.cur.chunks) == sendChunks) {
		if err := u.handOn(); err != nil {
			return d, err
		}
	}
	if u.cur == nil {
		select {
		case u.cur = <-u.free:
		case <-u.ctx.Done():
			return d, context.Cause(u.ctx)
		}
	}
	g := u.cur
	g.chunks = append(g.chunks, groupChunk{digest: d, off: len(g.plain), n: len(plain)})
	g.plain = append(g.plain, plain...)
	return d, context.Cause(u.ctx)
}

// handOn gives the open group to the senders. The caller holds mu.
func (u *Upload) handOn() error {
	select {
	case u.full <- u.cur:
		u.cur = nil
		return nil
	case <-u.ctx.Done():
		return context.Cause(u.ctx)
	}
}

// Commit returns nil when the library has taken every chunk.
func (u *Upload) Commit() error {
	u.mu.Lock()
	if u.ended {
		u.mu.Unlock()
		return errors.New("end the upload: it has ended")
	}
	var err error
	if u.cur != nil {
		err = u.handOn()
	}
	u.mu.Unlock()
	u.end(err)
	if err == nil {
		err = context.Cause(u.ctx)
	}
	u.cancel(nil)
	return err
}

// Abort gives up; behind a Commit it does nothing.
func (u *Upload) Abort() {
	u.cancel(context.Canceled)
	u.end(nil)
}

// end waits for the senders, once.
func (u *Upload) end(err error) {
	u.mu.Lock()
	was := u.ended
	u.ended = true
	u.mu.Unlock()
	if was {
		return
	}
	if err != nil {
		u.cancel(err)
	}
	close(u.full)
	u.senders.Wait()
}

func (u *Upload) send() {
	defer u.senders.Done()
	for g := range u.full {
		if u.ctx.Err() == nil {
			if err := u.sendGroup(g); err != nil {
				u.cancel(err)
			}
		}
		g.plain, g.chunks = g.plain[:0], g.chunks[:0]
		u.free <- g // never blocks: it came from there
	}
}

// sendGroup asks and sends until the library holds the whole group.
func (u *Upload) sendGroup(g *group) error {
	return u.c.persist(u.ctx, u.waiting, func(ctx context.Context) error {
		if err := u.ask(ctx, g); err != nil {
			return err
		}
		return u.sendLacking(ctx, g)
	})
}

// ask marks the chunks that the library lacks.
func (u *Upload) ask(ctx context.Context, g *group) error {
	list := make([]imaging.Digest, len(g.chunks))
	for i, c := range g.chunks {
		list[i] = c.digest
	}
	lacks, err := u.want(ctx, list)
	if err != nil {
		return err
	}
	mine := map[imaging.Digest]bool{} // a chunk that stands in the group twice is sent once
	for i := range g.chunks {
		c := &g.chunks[i]
		c.lacking = lacks[i] && !mine[c.digest]
		mine[c.digest] = true
	}
	return nil
}

// Lacking asks which of at most MaxWant chunks the library lacks.
func (u *Upload) Lacking(list []imaging.Digest) (lacks []bool, err error) {
	err = u.c.persist(u.ctx, u.waiting, func(ctx context.Context) (err error) {
		lacks, err = u.want(ctx, list)
		return err
	})
	return lacks, err
}

func (u *Upload) want(ctx context.Context, list []imaging.Digest) ([]bool, error) {
	body := make([]byte, 0, len(list)*len(imaging.Digest{}))
	for _, d := range list {
		body = append(body, d[:]...)
	}
	answer, err := u.c.post(ctx, u.path+"want", body, (MaxWant+7)/8)
	if err != nil {
		return nil, fmt.Errorf("ask which chunks are lacking: %w", err)
	}
	return parseBitmap(answer, len(list))
}

func (u *Upload) sendLacking(ctx context.Context, g *group) (err error) {
	g.body = append(g.body[:0], uploadMagic...)
	count, held := 0, uint64(0)
	for _, c := range g.chunks {
		if !c.lacking {
			held += uint64(c.n)
			continue
		}
		plain := g.plain[c.off : c.off+c.n]
		if g.frame, err = imaging.EncodeChunk(g.frame[:0], plain); err != nil {
			return err
		}
		g.body = appendUpload(g.body, c.digest, c.n, g.frame)
		count++
	}
	if count > 0 {
		g.body = endUpload(g.body, count)
		if _, err := u.c.post(ctx, u.path+"chunks", g.body, 0); err != nil {
			return fmt.Errorf("send %d chunks: %w", count, err)
		}
		u.Sent.Add(uint64(len(g.body)))
	}
	u.Held.Add(held)
	return nil
}

// SendManifest sends the finished manifest in f of a job's drive. The outcome is the Version, or that chunks are
// lacking, or a *job.Fault as the error.
func (c *Client) SendManifest(ctx context.Context, id job.ID, f *os.File, size int64, waiting func(*job.Fault)) (out job.Recorded, err error) {
	if waiting == nil {
		waiting = func(*job.Fault) {}
	}
	err = c.persist(ctx, waiting, func(ctx context.Context) error {
		out, err = c.sendManifest(ctx, id, io.NewSectionReader(f, 0, size), size)
		return err
	})
	return out, err
}

func (c *Client) sendManifest(ctx context.Context, id job.ID, body io.Reader, size int64) (job.Recorded, error) {
	var out job.Recorded
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+jobPath(id)+"manifest", body)
	if err != nil {
		return out, fmt.Errorf("send manifest: %w", err)
	}
	req.ContentLength = size
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return out, fmt.Errorf("send manifest: %w: %w", job.Faultf(job.CodeUnreachable, ""), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return out, later{refusal(resp), resp.StatusCode >= 500}
	}
	dec := json.NewDecoder(io.LimitReader(resp.Body, job.MaxBody))
	if err := dec.Decode(&out); err != nil {
		return out, fmt.Errorf("send manifest: %w: %w", job.Faultf(job.CodeUnreachable, "The answer broke off."), err)
	}
	switch {
	case out.Fault != nil:
		return out, later{job.Faultf(out.Fault.Code, "%s", out.Fault.Fact), out.Later}
	case out.Image == nil && !out.Lacking:
		return out, job.Faultf(job.CodeProtocol, "The server did not say what became of the capture.")
	}
	return out, nil
}

// later carries a refusal and whether the daemon may think otherwise later.
type later struct {
	error
	again bool
}

func (l later) Unwrap() error { return l.error }

// post makes one request and gives its answer of at most limit bytes.
func (c *Client) post(ctx context.Context, path string, body []byte, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, uploadTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", job.Faultf(job.CodeUnreachable, ""), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return nil, later{refusal(resp), resp.StatusCode >= 500}
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", job.Faultf(job.CodeUnreachable, ""), err)
	}
	return b, nil
}

// persist calls f until it succeeds, is refused for good, or ctx ends. It tells what it waits for.
func (c *Client) persist(ctx context.Context, waiting func(*job.Fault), f func(context.Context) error) error {
	pause, told := firstUpload, false
	for {
		err := f(ctx)
		if err == nil {
			if told {
				waiting(nil)
			}
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !again(err) {
			return err
		}
		if pause == maxUpload {
			told = true
			waiting(job.FaultOf(err))
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
		pause = min(2*pause, maxUpload)
	}
}

// again tells what repeating may mend: a daemon that does not answer, and one that cannot just now.
func again(err error) bool {
	var l later
	if errors.As(err, &l) {
		return l.again
	}
	var f *job.Fault
	return errors.As(err, &f) && f.Code == job.CodeUnreachable
}
