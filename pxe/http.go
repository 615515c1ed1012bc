package pxe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Bounds of the boot listener. Firmware opens a connection or two; a slow one keeps its place as long as
// something moves every httpStall.
const (
	httpEach   = 16  // requests of one address at once
	httpAll    = 512 // of all
	httpConns  = 1024
	httpStall  = 30 * time.Second
	httpHeader = 8 << 10 // bytes of request line and headers
)

// newHTTP makes the boot listener's server. Its handler is bare: ServeMux would answer shim's "//grubx64.efi"
// with a redirect, which shim takes for a failure.
func (l *link) newHTTP() *http.Server {
	l.httpFetches = newFetches(httpEach, httpAll)
	return &http.Server{
		Handler:           http.HandlerFunc(l.serveHTTP),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    httpHeader,
		ErrorLog:          log.New(l.Log, "", 0),
	}
}

// serveHTTP serves boot files by name, to machines that boot.
func (l *link) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !l.serves(from.Addr().Unmap()) {
		http.Error(w, "not served to this network", http.StatusForbidden)
		return
	}
	ip := from.Addr().Unmap()
	leave, ok := l.httpFetches.enter(ip)
	if !ok {
		http.Error(w, errBusy.Error(), http.StatusServiceUnavailable)
		return
	}
	defer leave()
	f, m, leg, err := l.openHTTP(r, l.machineAt(ip))
	if errors.Is(err, fs.ErrNotExist) {
		http.Error(w, errNotFound.Error(), http.StatusNotFound)
		return
	}
	if err != nil {
		l.Log.Error().Err(err).Str("path", clip(r.URL.Path, maxName)).Msg("boot file could not be served")
		l.fetched(m, leg, r.URL.Path, 0, 0, errors.New("the server could not read it"))
		http.Error(w, "the server could not read it", http.StatusInternalServerError)
		return
	}
	defer f.Close()
	l.sendFile(w, r, f, m, leg)
}

// sendFile answers with a file, its size known, whole or the Range asked for, and records what travelled.
func (l *link) sendFile(w http.ResponseWriter, r *http.Request, f File, m Machine, leg Leg) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := &counted{ResponseWriter: w, control: http.NewResponseController(w)}
	http.ServeContent(out, r, "", time.Time{}, &whole{File: f})
	if r.Method == http.MethodHead || leg == "" {
		return
	}
	total := f.Size()
	if r.Header.Get("Range") != "" {
		total = 0 // a part of it is not an unfinished fetch
	}
	var err error
	if out.bytes < total {
		err = errors.New("the transfer ended early")
	}
	l.fetched(m, leg, r.URL.Path, out.bytes, total, err)
}

// openHTTP finds what a path means to this machine, if it may boot, and which leg fetching it is.
func (l *link) openHTTP(r *http.Request, m Machine) (File, Machine, Leg, error) {
	clean, err := cleanName(r.URL.Path)
	if err != nil {
		return nil, m, "", err
	}
	if clean == nameScript {
		return l.openScript(r, m)
	}
	if mac, ok := byMAC(clean, dirHTTPBoot, "/"+imageAlias); ok {
		if m, err = l.admit(r.Context(), m, mac); err != nil {
			return nil, m, LegNBP, err
		}
		return l.openImage(r.Context(), m)
	}
	leg, ok := bootFiles[clean]
	if !ok {
		return nil, m, "", fmt.Errorf("path %q: %w", clip(clean, maxName), fs.ErrNotExist)
	}
	if m, err = l.admit(r.Context(), m, MAC{}); err != nil {
		return nil, m, leg, err
	}
	f, err := l.Files.Open(clean)
	if err != nil {
		return nil, m, leg, fmt.Errorf("open boot file %s: %w", clean, err)
	}
	return f, m, leg, nil
}

// openScript makes iPXE's script. One that does not say its MAC is told to ask again with it.
func (l *link) openScript(r *http.Request, m Machine) (File, Machine, Leg, error) {
	q := r.URL.Query()
	if !q.Has("mac") {
		m, err := l.admit(r.Context(), m, MAC{})
		return text(ipxeAsk(l.place())), m, "", err
	}
	mac, err := ParseMAC(q.Get("mac"))
	if err != nil {
		return nil, m, "", fmt.Errorf("%v: %w", err, fs.ErrNotExist)
	}
	if u, ok := parseUUID(strings.ToLower(q.Get("uuid"))); ok && m.UUID == "" {
		m.UUID = u
	}
	if m, err = l.admit(r.Context(), m, mac); err != nil {
		return nil, m, LegScript, err
	}
	line, err := l.commandLineFor(r.Context(), m)
	if err != nil {
		return nil, m, LegScript, err
	}
	return text(ipxeScript(l.place(), line)), m, LegScript, nil
}

// openImage gives the RAM-disk image with this machine's own grub.cfg in it; its size is the template's, so
// HEAD and GET agree.
func (l *link) openImage(ctx context.Context, m Machine) (File, Machine, Leg, error) {
	line, err := l.commandLineFor(ctx, m)
	if err != nil {
		return nil, m, LegNBP, err
	}
	f, err := l.Files.Open(nameImage)
	if err != nil {
		return nil, m, LegNBP, fmt.Errorf("open boot file %s: %w", nameImage, err)
	}
	offset, size := l.Files.HTTPBootTemplate()
	p, err := patchConfig(f, offset, size, grubScript(line))
	if err != nil {
		f.Close()
		return nil, m, LegNBP, err
	}
	return p, m, LegNBP, nil
}

// counted counts the body's bytes and lets a transfer live while it moves.
type counted struct {
	http.ResponseWriter
	control *http.ResponseController
	bytes   int64
}

func (c *counted) Write(b []byte) (int, error) {
	if err := c.control.SetWriteDeadline(time.Now().Add(httpStall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, err := c.ResponseWriter.Write(b)
	c.bytes += int64(n)
	return n, err
}

// limitListener holds at most cap(slots) connections; it closes further ones at once.
type limitListener struct {
	net.Listener
	slots chan struct{}
}

func (l *limitListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			return &limitedTCP{Conn: c, leave: sync.OnceFunc(func() { <-l.slots })}, nil
		default:
			c.Close()
		}
	}
}

// limitedTCP gives its slot back when it closes.
type limitedTCP struct {
	net.Conn
	leave func()
}

func (c *limitedTCP) Close() error {
	c.leave()
	return c.Conn.Close()
}
