package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
)

// client speaks the API to the daemon, or to a house opened in this process when none runs.
type client struct {
	http   *http.Client
	close  func() error
	socket string // the daemon's; "" when the folder is open in this process, or the server is another one
	base   string // URL of a server on the network; "" for this machine
	token  string // that this server is shown

	revision uint64 // of the device as the person saw it
}

// patience is how long a command waits for a data folder that another one is using: a daemon that starts or
// stops, or a command that works by itself.
const patience = 5 * time.Second

// connect goes to the server that was named, else finds the daemon of the data folder, or opens the folder in this
// process. create lets the folder be made when nobody has yet.
func (a *app) connect(ctx context.Context, create bool) (*client, error) {
	if a.remoteServer() != "" {
		return a.connectRemote()
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(patience); ; {
		c, err := dialDaemon(filepath.Join(cfg.Data, socketName))
		if err != nil || c != nil {
			return c, err
		}
		if err := a.asOwner(cfg.Data); err != nil {
			return nil, err
		}
		c, err = a.openInside(cfg, create)
		if !errors.Is(err, errInUse) {
			return c, err
		}
		if time.Now().After(end) {
			return nil, job.Faultf(job.CodeDaemon, "Another ingot is using %s and does not answer on its socket.", cfg.Data)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// dialDaemon gives a client of the daemon behind a socket, or nil when none listens there.
func dialDaemon(path string) (*client, error) {
	c, err := net.Dial("unix", path)
	if errors.Is(err, os.ErrPermission) {
		return nil, job.Faultf(job.CodePolicy, "You may not use %s: try sudo, or become a member of the group ingot.", path)
	}
	if err != nil {
		return nil, nil
	}
	if err := c.Close(); err != nil {
		return nil, err
	}
	cl := over(func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}, func() error { return nil })
	cl.socket = path
	return cl, nil
}

// openInside opens the data folder in this process and serves the API over a pipe.
func (a *app) openInside(cfg config, create bool) (*client, error) {
	log := zerolog.Nop() // a person sits here: failures come back in words
	if os.Getenv("INGOT_DEBUG") != "" {
		log = zerolog.New(a.err).With().Timestamp().Logger()
	}
	h, err := openHouse(cfg, log, create)
	if err != nil {
		return nil, err
	}
	l, server := newInside(), apiServer(h.api)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }() // ends by the Close below
	return over(l.dial, func() error {
		err := server.Close()
		if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		return errors.Join(err, h.close())
	}), nil
}

func over(dial func(context.Context) (net.Conn, error), end func() error) *client {
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	return &client{http: &http.Client{Transport: t}, close: func() error { t.CloseIdleConnections(); return end() }}
}

// with runs f over a connection.
func (a *app) with(create bool, f func(*client) error) error {
	c, err := a.connect(a.ctx, create)
	if err != nil {
		return err
	}
	c.revision = a.revision
	return errors.Join(f(c), c.close())
}

// send makes one request and gives its body, after a refusal was turned into its Fault.
func (c *client) send(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	res, err := c.open(ctx, method, path, in)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// open is send with the whole answer.
func (c *client) open(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("ask the daemon: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, cmp.Or(c.base, "http://ingot")+"/api/v1/"+path, body)
	if err != nil {
		return nil, fmt.Errorf("ask the daemon: %w", err)
	}
	if s := store.StampOf(ctx); s.Request != "" {
		req.Header.Set("Idempotency-Key", s.Request)
		if s.Revision != 0 {
			req.Header.Set("If-Match", strconv.FormatUint(s.Revision, 10))
		}
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	} else if name := os.Getenv("SUDO_USER"); name != "" && os.Getuid() == 0 {
		req.Header.Set(operatorHeader, name)
	}
	res, err := c.do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the daemon: %w", certificateWords(err))
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	var r job.Refusal
	if err := json.NewDecoder(io.LimitReader(res.Body, job.MaxBody)).Decode(&r); err != nil || r.Fault.Code == "" {
		return nil, job.Faultf(job.CodeDaemon, "It answered with status %d.", res.StatusCode)
	}
	return nil, &r.Fault
}

// do sends a request. An act that carries an id is sent again while the daemon restarts: it is done once.
func (c *client) do(req *http.Request) (*http.Response, error) {
	for end := time.Now().Add(patience); ; {
		res, err := c.http.Do(req)
		if err == nil || req.Header.Get("Idempotency-Key") == "" || time.Now().After(end) || req.Context().Err() != nil || untrusted(err) {
			return res, err
		}
		time.Sleep(100 * time.Millisecond)
		if req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// untrusted reports whether it is another server's certificate that answers: that will not change.
func untrusted(err error) bool { return job.FaultOf(certificateWords(err)).Code == job.CodeCertificate }

// actOn sends one act on a device: with an id of its own, and on the view that this command has of the device. A device
// that cannot be seen (by a code that is spent) is left to the daemon's words.
func actOn[Out any](ctx context.Context, c *client, ref, path string, in any) (Out, error) {
	revision := uint64(0)
	if d, err := get[store.DeviceView](ctx, c, "devices/"+url.PathEscape(ref)); err == nil {
		revision = d.Revision
	}
	return actAt[Out](ctx, c, revision, path, in)
}

// actAt sends one act on a device of which this command saw this revision; what the person saw before (--revision)
// counts more.
func actAt[Out any](ctx context.Context, c *client, revision uint64, path string, in any) (Out, error) {
	revision = cmp.Or(c.revision, revision)
	return post[Out](store.WithStamp(ctx, store.Stamp{Request: rand.Text(), Revision: revision}), c, path, in)
}

// get reads one answer.
func get[Out any](ctx context.Context, c *client, path string) (Out, error) {
	return ask[Out](ctx, c, http.MethodGet, path, nil)
}

// post sends one act and reads its answer.
func post[Out any](ctx context.Context, c *client, path string, in any) (Out, error) {
	return ask[Out](ctx, c, http.MethodPost, path, in)
}

func ask[Out any](ctx context.Context, c *client, method, path string, in any) (out Out, err error) {
	body, err := c.send(ctx, method, path, in)
	if err != nil {
		return out, err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&out); err != nil {
		return out, fmt.Errorf("read the daemon's answer: %w", err)
	}
	return out, nil
}

// stream follows an NDJSON answer. A stream without its last line is a failure: nobody knows how it ended.
func stream[Step, Done any](ctx context.Context, c *client, method, path string, in any, step func(Step)) (Done, error) {
	var none Done
	body, err := c.send(ctx, method, path, in)
	if err != nil {
		return none, err
	}
	defer body.Close()
	dec := json.NewDecoder(body)
	for {
		var l web.Line[Step, Done]
		if err := dec.Decode(&l); err != nil {
			return none, job.Faultf(job.CodeDaemon, "The daemon stopped before the end was known.")
		}
		switch {
		case l.Fault != nil:
			return none, l.Fault
		case l.Done != nil:
			return *l.Done, nil
		case l.Step != nil:
			step(*l.Step)
		}
	}
}
