package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// apiClient is a program at another computer: it speaks the JSON API over HTTPS, with a token.
type apiClient struct {
	token string
	http  http.Client
}

// newAPIClient has a token made for a program.
func newAPIClient(ctx context.Context, d *Daemon, name string, right store.Right) (*apiClient, error) {
	var made store.TokenMade
	if err := d.Read(ctx, &made, "token", "add", name, "--right", string(right), "--days", "1"); err != nil {
		return nil, err
	}
	return &apiClient{token: made.Token, http: http.Client{Timeout: 30 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}}, nil // the site's certificate is its own
}

// refusedBy posts something and wants it refused with a code.
func (c *apiClient) refusedBy(ctx context.Context, path string, body any, want job.Code) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, pagesAt+"/api/v1/"+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("post %s: %w", path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("post %s: %w", path, err)
	}
	var got job.Refusal
	if err := json.Unmarshal(text, &got); err != nil || resp.StatusCode < 400 || got.Fault.Code != want {
		return fmt.Errorf("post %s %s: %s %.300s; want a refusal with %s", path, b, resp.Status, text, want)
	}
	return nil
}
