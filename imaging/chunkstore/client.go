package chunkstore

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"ingot/imaging"
	"ingot/imaging/job"
)

// Client reads manifests and chunks from a daemon over HTTP. Everything that arrives is hostile until its
// digest holds.
type Client struct {
	HTTP *http.Client
	Base string // scheme, host and port, such as https://10.0.0.1:8443
}

// Fetch asks for the data extents of want, which are ascending and apart, in as many requests as it takes. It
// calls fn for each that arrives, in ascending order, with its frame, which is valid until fn returns; an
// error of fn ends it and is returned as it is. Fetch returns nil only when each stream said itself that it was whole.
// Frames are not decoded here: see imaging.DecodeChunk. fetched counts the stored bytes that arrived, also
// with an error.
func (c *Client) Fetch(ctx context.Context, manifest imaging.Digest, want []Span, fn func(n uint64, frame []byte) error) (fetched uint64, err error) {
	for len(want) > 0 {
		var query string
		var asked []Span
		query, asked, want = nextQuery(want)
		n, err := c.fetch(ctx, manifest, query, asked, fn)
		fetched += n
		if err != nil {
			return fetched, err
		}
	}
	return fetched, nil
}

func (c *Client) fetch(ctx context.Context, manifest imaging.Digest, query string, asked []Span, fn func(n uint64, frame []byte) error) (uint64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Base+"/v1/chunks/"+manifest.String()+"?extents="+query, nil)
	if err != nil {
		return 0, fmt.Errorf("ask for chunks: %w", err)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask for chunks: %w: %w", job.Faultf(job.CodeUnreachable, ""), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("ask for chunks: %w", refusal(resp))
	}
	return readStream(resp.Body, asked, fn)
}

// refusal reads the words of an answer that is not a success.
func refusal(resp *http.Response) error {
	var r job.Refusal
	b, err := io.ReadAll(io.LimitReader(resp.Body, job.MaxBody))
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil || r.Fault.Code == "" {
		return job.Faultf(job.CodeStream, "The server answered with status %d.", resp.StatusCode)
	}
	return job.Faultf(r.Fault.Code, "%s", r.Fault.Fact)
}

// streamReader checks the order and the bounds of a chunk stream.
type streamReader struct {
	r     *bufio.Reader
	asked []Span
	next  uint64 // the smallest number that may come
	count uint64
	bytes uint64
	frame []byte
}

func broken(format string, args ...any) error {
	return job.Faultf(job.CodeStream, format, args...)
}

// readStream reads one stream up to its end record.
func readStream(body io.Reader, asked []Span, fn func(n uint64, frame []byte) error) (fetched uint64, err error) {
	s := &streamReader{r: bufio.NewReaderSize(body, 256<<10), asked: asked}
	var magic [len(streamMagic)]byte
	if _, err := io.ReadFull(s.r, magic[:]); err != nil {
		return 0, s.cut(err)
	}
	if string(magic[:]) != streamMagic {
		return 0, broken("It does not begin as a chunk stream.")
	}
	for {
		ended, err := s.record(fn)
		if ended || err != nil {
			return s.bytes, err
		}
	}
}

// cut says that the bytes ended too early.
func (s *streamReader) cut(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("read chunk stream after %d chunks: %w", s.count, err)
	}
	return fmt.Errorf("%w: %w", broken("It broke off after %d chunks.", s.count), err)
}

func (s *streamReader) record(fn func(n uint64, frame []byte) error) (ended bool, err error) {
	var head [recordHead]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return false, s.cut(err)
	}
	n, size := binary.LittleEndian.Uint64(head[:]), binary.LittleEndian.Uint32(head[8:])
	switch {
	case n == endRecord:
		return true, s.end(size)
	case n == errorRecord:
		return false, s.fault(size)
	case !s.expected(n):
		return false, broken("Extent %d came out of turn.", n)
	case size == 0 || size > imaging.MaxFrame:
		return false, broken("Extent %d came with %d bytes.", n, size)
	}
	if err := s.body(size); err != nil {
		return false, err
	}
	s.count++
	s.bytes += uint64(size)
	return false, fn(n, s.frame)
}

// expected takes a number that was asked for and is larger than the last one.
func (s *streamReader) expected(n uint64) bool {
	for len(s.asked) > 0 && s.asked[0].Last < n {
		s.asked = s.asked[1:]
	}
	if len(s.asked) == 0 || n < s.asked[0].First || n < s.next {
		return false
	}
	s.next = n + 1
	return true
}

func (s *streamReader) body(size uint32) error {
	if cap(s.frame) < int(size) {
		s.frame = make([]byte, size)
	}
	s.frame = s.frame[:size]
	if _, err := io.ReadFull(s.r, s.frame); err != nil {
		return s.cut(err)
	}
	return nil
}

func (s *streamReader) end(size uint32) error {
	if size != 8 {
		return broken("Its end has %d bytes.", size)
	}
	if err := s.body(size); err != nil {
		return err
	}
	if n := binary.LittleEndian.Uint64(s.frame); n != s.count {
		return broken("%d chunks arrived, %d were sent.", s.count, n)
	}
	if _, err := s.r.ReadByte(); !errors.Is(err, io.EOF) {
		return broken("Something follows its end.")
	}
	return nil
}

// fault reads the sender's own error.
func (s *streamReader) fault(size uint32) error {
	if size > maxFault {
		return broken("An error of %d bytes arrived.", size)
	}
	if err := s.body(size); err != nil {
		return err
	}
	var f job.Fault
	if err := json.Unmarshal(s.frame, &f); err != nil || f.Code == "" {
		return broken("An error arrived that cannot be read.")
	}
	return job.Faultf(f.Code, "%s", f.Fact)
}
