package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
)

const (
	socketName     = "ingot.sock"
	operatorHeader = "Ingot-Operator" // who stands behind sudo; believed from root only
)

// peer is who is at the other end of a connection.
type peer struct {
	uid    int
	inside bool         // this process itself
	files  *passingConn // may bring an open file with it; nil on other connections
}

type peerKey struct{}

// name is the operator. This process itself may say for whom root started it.
func (p peer) name(said string) string {
	if n := os.Getenv(forVar); p.inside && userName.MatchString(n) {
		return n
	}
	return operatorName(p.uid, said)
}

// actor is the operator with all rights: whom the file system lets at the socket, root has let in.
func (p peer) actor(said string) web.Actor {
	return web.Actor{Name: p.name(said), Right: store.Administrator}
}

// userName is what a system user may be called, so that a header cannot put anything else into the record.
var userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}$`)

// apiServer serves the API to local users; who they are, the kernel says.
func apiServer(api *web.API) *http.Server {
	inner := api.Handler()
	return &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			p := peer{uid: peerUID(c)}
			p.files, _ = c.(*passingConn)
			_, p.inside = c.(*insideConn)
			return context.WithValue(ctx, peerKey{}, p)
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, _ := r.Context().Value(peerKey{}).(peer)
			ctx := web.WithActor(r.Context(), p.actor(r.Header.Get(operatorHeader)))
			if p.files != nil {
				ctx = web.WithFile(ctx, p.files.take)
			}
			inner.ServeHTTP(w, r.WithContext(ctx))
		}),
	}
}

// peerUID asks the kernel who is at the other end of a unix socket; -1 when it does not say.
func peerUID(c net.Conn) int {
	switch c := c.(type) {
	case *net.UnixConn:
		raw, err := c.SyscallConn()
		if err != nil {
			return -1
		}
		uid := -1
		err = raw.Control(func(fd uintptr) {
			if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
				uid = int(cred.Uid)
			}
		})
		if err != nil {
			return -1
		}
		return uid
	case *passingConn:
		return peerUID(c.UnixConn)
	case *insideConn:
		return os.Getuid()
	}
	return -1
}

// operatorName is the name of a user; root may say for whom it acts. It is empty when nobody knows.
func operatorName(uid int, said string) string {
	if uid < 0 {
		return ""
	}
	if uid == 0 && userName.MatchString(said) {
		return said
	}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return "uid " + strconv.Itoa(uid)
}

// listenSocket opens DATA/ingot.sock for the daemon's own user and root; and, where the data folder's group may enter
// the folder, for that group. The caller holds the data folder's lock, so a socket that is there was left by a dead
// daemon.
func listenSocket(data string) (net.Listener, error) {
	path := filepath.Join(data, socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove old socket: %w", err)
	}
	if len(path) > 107 {
		return nil, job.Faultf(job.CodeDaemon, "The path of the data folder is too long for a socket: %s.", path)
	}
	old := unix.Umask(0o177)
	l, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("open socket: %w", err)
	}
	if err := shareSocket(data, path); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return passing{l.(*net.UnixListener)}, nil
}

// shareSocket opens the socket to the folder's group where the folder is open to it.
func shareSocket(data, path string) error {
	fi, err := os.Stat(data)
	if err != nil {
		return fmt.Errorf("share socket: %w", err)
	}
	if fi.Mode()&0o010 == 0 {
		return nil
	}
	_, gid, err := ownerOf(data)
	if err != nil {
		return err
	}
	if gid != os.Getegid() {
		if err := os.Chown(path, -1, gid); err != nil {
			return fmt.Errorf("share socket: %w", err)
		}
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return fmt.Errorf("share socket: %w", err)
	}
	return nil
}

// insideConn is a connection within this process.
type insideConn struct{ net.Conn }

// inside is a listener whose connections never leave the process.
type inside struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newInside() *inside { return &inside{conns: make(chan net.Conn), done: make(chan struct{})} }

func (l *inside) dial(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- &insideConn{there}:
		return here, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (l *inside) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *inside) Close() error { l.once.Do(func() { close(l.done) }); return nil }

// Addr implements net.Listener.
func (l *inside) Addr() net.Addr { return &net.UnixAddr{Name: "inside", Net: "unix"} }
