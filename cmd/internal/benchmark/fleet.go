package benchmark

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ingot/cmd/internal/e2e"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
	"ingot/imaging/job/client"
	"ingot/imaging/sign"
	"ingot/store"
)

// fleet is many laptops at one daemon, as far as the daemon can tell: each with its own key, token and order.
type fleet struct {
	d       *e2e.Daemon
	laptops []*member
}

type member struct {
	serial string
	device string // its id, once it is adopted
	client *client.Client
	code   string
	signer []byte // the daemon's public key
}

// gather lets n laptops say Hello. Their numbers begin at first.
func gather(ctx context.Context, d *e2e.Daemon, first, n int, size uint64) (*fleet, error) {
	f := &fleet{d: d, laptops: make([]*member, n)}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i := range f.laptops {
		g.Go(func() error {
			m, err := greet(ctx, first+i, size)
			f.laptops[i] = m
			return err
		})
	}
	if err := g.Wait(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func greet(ctx context.Context, n int, size uint64) (*member, error) {
	line, err := bootLine(ctx, macOf(n))
	if err != nil {
		return nil, err
	}
	c, err := client.New(line.url, job.KeyID(line.pin))
	if err != nil {
		return nil, err
	}
	m := &member{serial: serialOf(n), client: c}
	h := helloOf(m.serial)
	h.Version, h.Token, h.Nonce = job.Version, line.token, fmt.Sprintf("%032x", n)
	h.Drives = []job.Drive{{Path: "/dev/nvme0n1", Serial: m.serial, Transport: "nvme", SizeBytes: size, SectorSize: 512}}
	r, err := c.Hello(ctx, h)
	m.code, m.signer = r.Code, r.SigningKey
	return m, err
}

func (f *fleet) close() {
	for _, m := range f.laptops {
		if m != nil {
			m.client.Close()
		}
	}
}

// adopt adopts all of them at the same moment by one role and returns how many different names they got.
func (f *fleet) adopt(ctx context.Context, role, image string) (names int, err error) {
	if err := f.d.Do(ctx, []string{"role", "add", role, "--image", image, "--names", "LT-{seq:4}"}); err != nil {
		return 0, err
	}
	api := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(f.d.Data, "ingot.sock"))
	}}}
	defer api.CloseIdleConnections()
	var mu sync.Mutex
	seen := map[string]bool{}
	start := make(chan struct{})
	g, ctx := errgroup.WithContext(ctx)
	for _, m := range f.laptops {
		g.Go(func() error {
			<-start
			d, err := adoptOne(ctx, api, role, m.code)
			mu.Lock()
			defer mu.Unlock()
			seen[d.Name], m.device = true, d.ID
			return err
		})
	}
	close(start)
	err = g.Wait()
	return len(seen), err
}

func adoptOne(ctx context.Context, api *http.Client, role, code string) (store.DeviceView, error) {
	var d store.DeviceView
	body, err := json.Marshal(store.Adoption{Code: code, Role: role})
	if err != nil {
		return d, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://ingot/api/v1/devices/adopt", bytes.NewReader(body))
	if err != nil {
		return d, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := api.Do(req)
	if err != nil {
		return d, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return d, err
	}
	if resp.StatusCode != http.StatusOK {
		return d, fmt.Errorf("adopt %s: %s: %.200s", code, resp.Status, text)
	}
	return d, json.Unmarshal(text, &d)
}

// order orders an image for some of the laptops.
func (f *fleet) order(ctx context.Context, laptops []*member, image string) error {
	order := []string{"deploy"}
	for _, m := range laptops {
		order = append(order, m.serial)
	}
	return f.d.Do(ctx, append(order, "--image", image, "--no-personalise"))
}

// flow is what many chunk streams at once did.
type flow struct {
	daemon  usage
	seconds float64
	bytes   uint64 // that arrived while all were running
}

// stream orders an image for the first n laptops and lets each read its chunks, over and over, for a while in
// which all of them are in the middle of a stream.
func (f *fleet) stream(ctx context.Context, n int, image string, during time.Duration) (flow, error) {
	if err := f.order(ctx, f.laptops[:n], image); err != nil {
		return flow{}, err
	}
	daemon := watch(f.d.Proc.Pid())
	var got atomic.Uint64
	begun := make(chan struct{}, n)
	ctx, stop := context.WithCancelCause(ctx)
	g, ctx := errgroup.WithContext(ctx)
	for _, m := range f.laptops[:n] {
		g.Go(func() error { return m.read(ctx, &got, begun) })
	}
	var out flow
	g.Go(func() error {
		for range n {
			select {
			case <-begun:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		from, start := got.Load(), time.Now()
		select {
		case <-time.After(during):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		out.bytes, out.seconds = got.Load()-from, time.Since(start).Seconds()
		stop(errEnough)
		return nil
	})
	err := g.Wait()
	stop(nil)
	out.daemon = daemon()
	if errors.Is(err, errEnough) {
		err = nil
	}
	return out, err
}

// errEnough ends the streams.
var errEnough = errors.New("measured")

// read takes the laptop's order and reads its image until ctx ends.
func (m *member) read(ctx context.Context, got *atomic.Uint64, begun chan<- struct{}) error {
	j, err := m.order(ctx)
	if err != nil {
		return err
	}
	manifest := j.Image.Manifest
	images := &chunkstore.Client{HTTP: m.client.HTTP(), Base: m.client.Base()}
	man, err := images.OpenManifest(ctx, manifest)
	if err != nil {
		return ending(ctx, err)
	}
	first := true
	for {
		_, err := images.Fetch(ctx, manifest, []chunkstore.Span{{First: 0, Last: man.Count() - 1}}, func(_ uint64, frame []byte) error {
			if got.Add(uint64(len(frame))); first {
				first = false
				begun <- struct{}{}
			}
			return nil
		})
		if err != nil {
			return ending(ctx, err)
		}
	}
}

// ending prefers why ctx ended.
func ending(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// order waits for the laptop's order.
func (m *member) order(ctx context.Context) (j job.Job, err error) {
	for {
		n, err := m.client.Next(ctx)
		if err != nil {
			return j, ending(ctx, err)
		}
		if n.Order != job.Work {
			continue
		}
		payload, err := sign.Open(m.signer, "job", n.Job)
		if err != nil {
			return j, fmt.Errorf("open the order of %s: %w", m.serial, err)
		}
		return j, json.Unmarshal(payload, &j)
	}
}
