package chunkstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
)

// MaxDigests bounds how many chunks may be asked for by digest at once.
const MaxDigests = 4096

// WriteStream writes the chunk stream of a manifest's spans to w, as StreamHandler answers it. What goes wrong on the
// way stands in the stream's last record.
func (s *Store) WriteStream(ctx context.Context, m *imaging.Manifest, w io.Writer, spans []Span) {
	newSender(s, m, w).run(ctx, spans)
}

// ReadStream reads a chunk stream that holds nothing but extents of asked, as Client.Fetch does.
func ReadStream(r io.Reader, asked []Span, fn func(n uint64, frame []byte) error) (fetched uint64, err error) {
	return readStream(r, asked, fn)
}

// DigestHandler answers POST of up to MaxDigests digests of 32 bytes each with the chunk stream of those that the store
// holds: the number of a record is the digest's place in the request.
func (s *Store) DigestHandler() http.Handler { return http.HandlerFunc(s.serveDigests) }

func (s *Store) serveDigests(w http.ResponseWriter, r *http.Request) {
	want, err := readDigests(r.Body)
	if err != nil {
		refuse(w, http.StatusBadRequest, job.Faultf(job.CodeBadRequest, "%s.", job.Reason(err)))
		return
	}
	w.Header().Set("Content-Type", streamType)
	p := patientWriter{w, http.NewResponseController(w)}
	defer p.rc.SetWriteDeadline(time.Time{}) // the connection goes on to serve other requests
	_ = s.sendDigests(r.Context(), p, want)  // whoever asked sees a stream without its end
}

func readDigests(r io.Reader) ([]imaging.Digest, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxDigests*32+1))
	if err != nil {
		return nil, err
	}
	if len(b) == 0 || len(b)%32 != 0 || len(b) > MaxDigests*32 {
		return nil, fmt.Errorf("%d bytes are not 1 to %d digests", len(b), MaxDigests)
	}
	out := make([]imaging.Digest, len(b)/32)
	for i := range out {
		copy(out[i][:], b[i*32:])
	}
	return out, nil
}

func (s *Store) sendDigests(ctx context.Context, w io.Writer, want []imaging.Digest) error {
	if _, err := io.WriteString(w, streamMagic); err != nil {
		return err
	}
	sent := uint64(0)
	for i, d := range want {
		if err := ctx.Err(); err != nil {
			return err
		}
		frame, err := s.Frame(d)
		if err != nil {
			continue // it is not held, or damaged here too: the asker looks elsewhere
		}
		if err := writeRecord(w, uint64(i), frame); err != nil {
			return err
		}
		sent++
	}
	return writeRecord(w, endRecord, binary.LittleEndian.AppendUint64(nil, sent))
}

func writeRecord(w io.Writer, n uint64, body []byte) error {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, recordHead+len(body)), n)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	_, err := w.Write(append(b, body...))
	return err
}

// FetchDigests asks for chunks by digest and calls fn for each that the other side holds, with its place in want and
// its plain bytes, which are proven and valid until fn returns. It is for mending: a chunk that did not come is held
// nowhere there. want may have any length.
func (c *Client) FetchDigests(ctx context.Context, want []imaging.Digest, fn func(i int, plain []byte) error) error {
	for at := 0; at < len(want); at += MaxDigests {
		if err := c.fetchDigests(ctx, want[at:min(at+MaxDigests, len(want))], func(i int, plain []byte) error { return fn(at+i, plain) }); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) fetchDigests(ctx context.Context, want []imaging.Digest, fn func(i int, plain []byte) error) error {
	body := make([]byte, 0, 32*len(want))
	for _, d := range want {
		body = append(body, d[:]...)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+"/v1/digests", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask for chunks: %w", err)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("ask for chunks: %w: %w", job.Faultf(job.CodeUnreachable, ""), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask for chunks: %w", refusal(resp))
	}
	_, err = readStream(resp.Body, []Span{{First: 0, Last: uint64(len(want) - 1)}}, func(n uint64, frame []byte) error {
		plain, err := decodeUnknown(frame, want[n])
		if err != nil {
			return err
		}
		return fn(int(n), plain)
	})
	return err
}

// decodeUnknown decodes a frame whose plain length is not known before: its zstd header tells it, and the digest proves
// it.
func decodeUnknown(frame []byte, want imaging.Digest) ([]byte, error) {
	n, err := imaging.PlainLength(frame)
	if err != nil {
		return nil, errors.Join(err, job.Faultf(job.CodeChunk, "Chunk %s.", want.Short()))
	}
	return imaging.DecodeChunk(frame, nil, want, n)
}
