package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"ingot/imaging/job"
)

// BootInfo asks for the daemon's time and the digest of stage 2.
func (c *Client) BootInfo(ctx context.Context) (job.BootInfo, error) {
	info, err := call[job.BootInfo](ctx, c, http.MethodGet, "/v1/boot?kernel="+url.QueryEscape(c.Kernel), nil)
	if err == nil && info.Version != job.Version {
		return job.BootInfo{}, job.Faultf(job.CodeProtocol, "Agent: %d. Server: %d.", job.Version, info.Version)
	}
	return info, err
}

// Start asks for the boot token that a stick does not carry.
func (c *Client) Start(ctx context.Context, r job.BootRequest) (job.BootReply, error) {
	reply, err := call[job.BootReply](ctx, c, http.MethodPost, "/v1/boot", r)
	switch {
	case err == nil && reply.Version != job.Version:
		return job.BootReply{}, job.Faultf(job.CodeProtocol, "Agent: %d. Server: %d.", job.Version, reply.Version)
	case err == nil && reply.Fault == nil && reply.Token == "":
		return job.BootReply{}, job.Faultf(job.CodeProtocol, "The server answered without a token.")
	}
	reply.Fault = reply.Fault.Clean()
	return reply, err
}

// Hello introduces the laptop.
func (c *Client) Hello(ctx context.Context, h job.Hello) (job.HelloReply, error) {
	reply, err := call[job.HelloReply](ctx, c, http.MethodPost, "/v1/hello", h)
	if err == nil && reply.Version != job.Version {
		return job.HelloReply{}, job.Faultf(job.CodeProtocol, "Agent: %d. Server: %d.", job.Version, reply.Version)
	}
	return reply, err
}

// Next asks what to do; the daemon holds the answer back while there is nothing new.
func (c *Client) Next(ctx context.Context) (job.Next, error) {
	return call[job.Next](ctx, c, http.MethodGet, "/v1/next", nil)
}

// State reports what the agent is about to do and returns when that is durable.
func (c *Client) State(ctx context.Context, id job.ID, e job.StateEvent) (job.Ack, error) {
	return jobCall[job.Ack](ctx, c, http.MethodPost, id, "state", e)
}

// Progress is tried once: the next one says more.
func (c *Client) Progress(ctx context.Context, id job.ID, p job.Progress) (job.Ack, error) {
	if err := checkID(id); err != nil {
		return job.Ack{}, err
	}
	return once[job.Ack](ctx, c, http.MethodPost, "/v1/jobs/"+string(id)+"/progress", p)
}

// Personal fetches what only the verified disk may receive.
func (c *Client) Personal(ctx context.Context, id job.ID) (job.Personal, error) {
	return jobCall[job.Personal](ctx, c, http.MethodGet, id, "personal", nil)
}

// Result ends the job; it is repeated until the daemon has it.
func (c *Client) Result(ctx context.Context, id job.ID, r job.Result) (job.Ack, error) {
	return jobCall[job.Ack](ctx, c, http.MethodPost, id, "result", r)
}

// KeepJournal keeps what must be known of a drive before it is begun, and returns when that is durable.
func (c *Client) KeepJournal(ctx context.Context, id job.ID, j job.DriveJournal) (job.Ack, error) {
	return jobCall[job.Ack](ctx, c, http.MethodPost, id, "journal", j)
}

// Journal gives back what an earlier start kept of a drive.
func (c *Client) Journal(ctx context.Context, id job.ID, drive int) (job.DriveJournal, error) {
	return jobCall[job.DriveJournal](ctx, c, http.MethodGet, id, fmt.Sprintf("journal/%d", drive), nil)
}

// Wiped reports how one drive's wipe ended; it is repeated until the daemon has it.
func (c *Client) Wiped(ctx context.Context, id job.ID, r job.DriveReport) (job.DriveAck, error) {
	return jobCall[job.DriveAck](ctx, c, http.MethodPost, id, "drive", r)
}

func checkID(id job.ID) error {
	if !job.Consists(string(id), 1, 64, job.Lower+job.Digits) {
		return job.Faultf(job.CodeProtocol, "The job's id is not one.")
	}
	return nil
}

func jobCall[Out any](ctx context.Context, c *Client, method string, id job.ID, what string, in any) (Out, error) {
	if err := checkID(id); err != nil {
		var none Out
		return none, err
	}
	return call[Out](ctx, c, method, "/v1/jobs/"+string(id)+"/"+what, in)
}

// Stage2 writes the archive to w and returns nil only when its size and SHA-256 are right. It is tried once
// (CodeUnreachable when it breaks off); w has then taken bytes that prove nothing.
func (c *Client) Stage2(ctx context.Context, f job.File, w io.Writer) error {
	if !job.IsHex(f.SHA256, 64) || f.Size <= 0 {
		return job.Faultf(job.CodeProtocol, "The server names no stage 2.")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/v1/stage2/"+f.SHA256, nil)
	if err != nil {
		return fmt.Errorf("make request for stage 2: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return unreachable("/v1/stage2", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, err := io.ReadAll(io.LimitReader(resp.Body, job.MaxBody))
		if err != nil {
			return unreachable("/v1/stage2", err)
		}
		return decode(resp.StatusCode, b, nil)
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(resp.Body, f.Size+1))
	if err != nil {
		return unreachable("/v1/stage2", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != f.Size || got != f.SHA256 {
		return job.Faultf(job.CodeStage2, "Got %d bytes with the SHA-256 %.12s, want %d with %.12s.", n, got, f.Size, f.SHA256)
	}
	return nil
}
