package site

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"ingot/cmd/internal/browser"
	"ingot/store"
)

// Password is what everybody here signs in with.
const Password = "correct battery horse"

// Link lets somebody in and gives the address at which that person sets a password, below Pages.
func (s *Site) Link(ctx context.Context, name string, right store.Right) (string, error) {
	var got store.OperatorLink
	if err := s.Read(ctx, &got, "operator", "add", name, "--right", string(right)); err != nil {
		return "", err
	}
	u, err := url.Parse(got.Link)
	if err != nil || !strings.HasPrefix(u.Path, "/setup/") {
		return "", fmt.Errorf("the link %q leads to no setup: %w", got.Link, err)
	}
	return u.Path, nil
}

// Person lets somebody in who then sits at a browser, signed in.
func (s *Site) Person(ctx context.Context, b *browser.Browser, name string, right store.Right) (*browser.Tab, error) {
	link, err := s.Link(ctx, name, right)
	if err != nil {
		return nil, err
	}
	t, err := b.Tab(s.Pages)
	if err != nil {
		return nil, err
	}
	if err := t.SetUp(link, name, Password); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// Visitor lets somebody in who speaks HTTP instead of sitting at a browser. The client keeps the session's cookie.
func Visitor(ctx context.Context, pages, link, name string) (*http.Client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	c := &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 4}} // the site's certificate is its own
	form := url.Values{"name": {name}, "password": {Password}, "again": {Password}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, pages+link, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s does not get in: %w", name, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/" {
		return nil, fmt.Errorf("%s does not get in: %s at %s, %w: %.300s", name, resp.Status, resp.Request.URL.Path, err, text)
	}
	return c, nil
}

// Waiting starts laptops and waits until each shows its code. Stop switches them off.
func (s *Site) Waiting(ctx context.Context, laptops []*Laptop) (stop func(), err error) {
	stop = func() {
		for _, l := range laptops {
			if l.Run != nil {
				l.Run.PullPlug()
			}
		}
	}
	for _, l := range laptops {
		if l.Run, err = l.PowerOn(s.Agents); err != nil {
			return stop, err
		}
	}
	for _, l := range laptops {
		if l.Code, err = l.Run.Code(ctx); err != nil {
			return stop, err
		}
	}
	return stop, nil
}

// Deployed waits until a device has received what it was ordered.
func (s *Site) Deployed(ctx context.Context, ref string) (store.DeviceView, error) {
	for {
		d, err := Ask[store.DeviceView](ctx, s, "devices/"+ref)
		if err != nil || d.State == store.Deployed && d.Holds != nil {
			return d, err
		}
		if d.State == store.Failed {
			return d, fmt.Errorf("%s failed: %+v", ref, d.Job)
		}
		select {
		case <-ctx.Done():
			return d, fmt.Errorf("wait for %s: %w; it is %s", ref, ctx.Err(), d.State)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
