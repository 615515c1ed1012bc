package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"
)

// Ask reads something of the JSON API over the daemon's own socket.
func Ask[T any](ctx context.Context, d *Daemon, what string) (out T, err error) {
	c := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(d.Data, "ingot.sock"))
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://ingot/api/v1/"+what, nil)
	if err != nil {
		return out, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return out, fmt.Errorf("ask for %s: %w", what, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return out, fmt.Errorf("ask for %s: %s", what, resp.Status)
	}
	err = json.NewDecoder(resp.Body).Decode(&out)
	return out, err
}
