package chunkstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"ingot/imaging"
	"ingot/imaging/job"
)

// firstRead is what the client asks for before it knows a manifest's size: the head of any image in use.
const firstRead = 64 << 10

// OpenManifest opens a manifest at the daemon and proves its head by d. Its windows are read over HTTP when
// they are needed, and proven; ctx bounds those reads too.
func (c *Client) OpenManifest(ctx context.Context, d imaging.Digest) (*imaging.Manifest, error) {
	r := &rangeReader{ctx: ctx, c: c, url: c.Base + "/v1/manifests/" + d.String()}
	if err := r.start(); err != nil {
		return nil, fmt.Errorf("open manifest %s: %w", d.Short(), err)
	}
	m, err := imaging.OpenManifest(r, r.size)
	if err != nil {
		return nil, fmt.Errorf("open manifest %s: %w: %w", d.Short(), job.Faultf(manifestCode(err), ""), err)
	}
	if m.Digest() != d {
		return nil, fmt.Errorf("open manifest: %w", job.Faultf(job.CodeManifest, "It has the digest %s, want %s.", m.Digest().Short(), d.Short()))
	}
	return m, nil
}

// manifestCode keeps the code of a reading error; anything else is damage.
func manifestCode(err error) job.Code {
	var f *job.Fault
	if errors.As(err, &f) {
		return f.Code
	}
	return job.CodeManifest
}

// rangeReader is an io.ReaderAt over HTTP ranges.
type rangeReader struct {
	ctx   context.Context
	c     *Client
	url   string
	size  int64
	first []byte // the start of the file, from start
}

// start reads the first bytes and learns the size.
func (r *rangeReader) start() error {
	resp, err := r.get(0, firstRead)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	from, to, size, err := parseContentRange(resp.Header.Get("Content-Range"))
	if err != nil || from != 0 || to != min(size, firstRead) {
		return job.Faultf(job.CodeStream, "The server answered with another range than was asked for.")
	}
	r.size, r.first = size, make([]byte, to)
	return readBody(resp.Body, r.first)
}

// ReadAt implements io.ReaderAt.
func (r *rangeReader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= r.size {
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), r.size-off)]
	if err := r.fill(want, off); err != nil {
		return 0, err
	}
	if len(want) < len(p) {
		return len(want), io.EOF
	}
	return len(want), nil
}

func (r *rangeReader) fill(p []byte, off int64) error {
	if off < int64(len(r.first)) {
		n := copy(p, r.first[off:])
		p, off = p[n:], off+int64(n)
	}
	if len(p) == 0 {
		return nil
	}
	resp, err := r.get(off, int64(len(p)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	from, to, size, err := parseContentRange(resp.Header.Get("Content-Range"))
	if err != nil || from != off || to != off+int64(len(p)) || size != r.size {
		return job.Faultf(job.CodeStream, "The server answered with another range than was asked for.")
	}
	return readBody(resp.Body, p)
}

func (r *rangeReader) get(off, n int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for manifest: %w", err)
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	resp, err := r.c.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask for manifest: %w: %w", job.Faultf(job.CodeUnreachable, ""), err)
	}
	if resp.StatusCode == http.StatusPartialContent {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, fmt.Errorf("ask for manifest: %w", refusal(resp))
}

// readBody fills p and wants the body to end there.
func readBody(body io.Reader, p []byte) error {
	if _, err := io.ReadFull(body, p); err != nil {
		return fmt.Errorf("read manifest: %w: %w", job.Faultf(job.CodeStream, ""), err)
	}
	if n, err := body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return job.Faultf(job.CodeStream, "More of the manifest arrived than was asked for.")
	}
	return nil
}

// parseContentRange reads "bytes a-b/size" (RFC 9110, section 14.4); to is exclusive.
func parseContentRange(s string) (from, to, size int64, err error) {
	if _, err = fmt.Sscanf(s, "bytes %d-%d/%d", &from, &to, &size); err != nil || strings.Count(s, "/") != 1 {
		return 0, 0, 0, fmt.Errorf("content range %.60q", s)
	}
	if to++; from < 0 || from >= to || to > size {
		return 0, 0, 0, fmt.Errorf("content range %.60q", s)
	}
	return from, to, size, nil
}
