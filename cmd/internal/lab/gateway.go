package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// gatewayVar names the gateway's socket to the process inside the lab.
const gatewayVar = "INGOT_LAB_GATEWAY"

// OpenGateway lets the lab, which has a network of its own, fetch packages: an HTTP proxy on a unix socket, served by
// this process outside until the returned function is called. Call it before Enter. Only a case that asks for
// Bench.Gateway can use it; the virtual laptops cannot.
func OpenGateway() (stop func(), err error) {
	if Inside() {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "ingot-lab-")
	if err != nil {
		return nil, fmt.Errorf("open the lab's gateway: %w", err)
	}
	path := filepath.Join(dir, "gateway")
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the lab's gateway: %w", err), os.RemoveAll(dir))
	}
	if err := os.Setenv(gatewayVar, path); err != nil {
		return nil, err
	}
	s := &http.Server{Handler: http.HandlerFunc(forwardHTTP), ReadHeaderTimeout: time.Minute}
	go s.Serve(l) // ends with stop
	return func() {
		s.Close()
		os.RemoveAll(dir)
	}, nil
}

// forwardHTTP is the proxy: a request as it stands, or a tunnel.
func forwardHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		tunnel(w, r)
		return
	}
	out := r.Clone(r.Context())
	out.RequestURI = ""
	for _, h := range []string{"Proxy-Connection", "Connection", "Keep-Alive", "Te", "Trailer", "Upgrade"} {
		out.Header.Del(h)
	}
	res, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer res.Body.Close()
	for k, v := range res.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(res.StatusCode)
	io.Copy(w, res.Body) // whoever misses the end asks again
}

func tunnel(w http.ResponseWriter, r *http.Request) {
	there, err := net.DialTimeout("tcp", r.Host, 30*time.Second)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	here, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		there.Close()
		return
	}
	if _, err := io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		here.Close()
		there.Close()
		return
	}
	join(here, there)
}

// join copies both ways until one side ends.
func join(a, b net.Conn) {
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		go func() { // ends with either connection
			io.Copy(way[0], way[1])
			ended <- struct{}{}
		}()
	}
	<-ended
	a.Close()
	b.Close()
	<-ended
}

// Gateway opens a port on the server's loopback that leads to the gateway, until ctx ends, and gives it as the URL of
// an HTTP proxy.
func (b *Bench) Gateway(ctx context.Context) (url string, err error) {
	path := os.Getenv(gatewayVar)
	if path == "" {
		return "", errors.New("the lab has no gateway: the case is not named as one that needs it")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("open the gateway inside: %w", err)
	}
	context.AfterFunc(ctx, func() { l.Close() })
	go func() { // ends with ctx
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial("unix", path)
			if err != nil {
				here.Close()
				continue
			}
			go join(here, there) // ends with either side
		}
	}()
	return "http://" + l.Addr().String(), nil
}
