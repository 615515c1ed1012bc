package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"ingot/imaging/job"
)

// The pauses between tries.
const (
	firstPause = 250 * time.Millisecond
	maxPause   = 5 * time.Second
	callTime   = 90 * time.Second // one try of one call; longer than Next is held open
)

// call makes one call, again and again until the daemon has answered or ctx ends. A refusal ends it, except
// that the daemon is asked again where it says that it cannot just now (status 5xx).
func call[Out any](ctx context.Context, c *Client, method, path string, in any) (Out, error) {
	wait := firstPause
	for {
		out, err := once[Out](ctx, c, method, path, in)
		if err == nil {
			return out, nil
		}
		if ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
		if final(err) {
			return out, err
		}
		if err := c.wait(ctx, wait); err != nil {
			return out, err
		}
		wait = min(2*wait, maxPause)
	}
}

// refused carries a refusal and whether the daemon may think otherwise later.
type refused struct {
	fault *job.Fault
	later bool
}

func (r refused) Error() string { return r.fault.Error() }
func (r refused) Unwrap() error { return r.fault }

// final tells what repeating cannot mend.
func final(err error) bool {
	var r refused
	if errors.As(err, &r) {
		return !r.later
	}
	var f *job.Fault
	return errors.As(err, &f) && f.Code != job.CodeUnreachable
}

// once makes one try. The error of a daemon that did not answer is CodeUnreachable, of a wrong key CodePin,
// of an answer that is not the protocol's CodeProtocol.
func once[Out any](ctx context.Context, c *Client, method, path string, in any) (Out, error) {
	var out Out
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return out, fmt.Errorf("encode %s: %w", path, err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return out, fmt.Errorf("make request %s: %w", path, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return out, unreachable(path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, job.MaxBody+1))
	if err != nil {
		return out, unreachable(path, err)
	}
	return out, decode(resp.StatusCode, b, &out)
}

func unreachable(path string, err error) error {
	if errors.Is(err, ErrPin) {
		return fmt.Errorf("ask %s: %w: %w", path, err, job.Faultf(job.CodePin, ""))
	}
	return fmt.Errorf("ask %s: %w: %w", path, err, job.Faultf(job.CodeUnreachable, ""))
}

// decode reads one answer: exactly one JSON value with status 200, a Refusal with any other.
func decode(status int, body []byte, out any) error {
	if len(body) > job.MaxBody {
		return job.Faultf(job.CodeProtocol, "An answer of more than %d bytes.", job.MaxBody)
	}
	if status == http.StatusOK {
		if err := json.Unmarshal(body, out); err != nil {
			return fmt.Errorf("read answer: %w: %w", err, job.Faultf(job.CodeProtocol, "An answer that cannot be read."))
		}
		return nil
	}
	var r job.Refusal
	if err := json.Unmarshal(body, &r); err != nil || r.Fault.Code == "" {
		r.Fault = *job.Faultf(job.CodeProtocol, "The server answered with status %d.", status)
	}
	return refused{job.Faultf(r.Fault.Code, "%s", r.Fault.Fact), status >= 500}
}
