package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/store"
)

// The daemon has a user of its own and sees neither home folders nor what only root may read. So a disk file is
// opened by whoever asks, with his rights, and the open file travels over the socket with the first bytes of the
// request (SCM_RIGHTS, unix(7)).

// importFile asks for an import and hands the file over.
func importFile(c *cobra.Command, cl *client, in store.Import, tell func(store.Work)) (store.Imported, error) {
	if cl.socket != "" {
		f, err := os.OpenFile(in.File, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait for a writer
		switch {
		case errors.Is(err, os.ErrNotExist):
			return store.Imported{}, job.Faultf(job.CodeNotFound, "No file %s.", in.File)
		case err != nil:
			return store.Imported{}, job.Faultf(job.CodePolicy, "The file %s may not be read.", in.File)
		}
		defer f.Close()
		cl = cl.with(f)
		defer cl.close()
	}
	return stream[store.Work, store.Imported](c.Context(), cl, http.MethodPost, "images/import", in, tell)
}

// exportFile asks for an export into a file that is made here, and gives it its name when it is proven.
func exportFile(c *cobra.Command, cl *client, e store.Export, tell func(store.Work)) (store.Exported, error) {
	const path = "images/export"
	if cl.socket == "" {
		return stream[store.Work, store.Exported](c.Context(), cl, http.MethodPost, path, e, tell)
	}
	f, err := library.NewFile(e.File)
	if err != nil {
		return store.Exported{}, err
	}
	defer os.Remove(f.Name()) // after it was named there is nothing left to remove
	defer f.Close()
	bringing := cl.with(f)
	defer bringing.close()
	out, err := stream[store.Work, store.Exported](c.Context(), bringing, http.MethodPost, path, e, tell)
	if err != nil {
		return out, err
	}
	return out, library.NameNew(f.Name(), e.File)
}

// with gives a client for one request that brings an open file along.
func (c *client) with(f *os.File) *client {
	return over(func(ctx context.Context) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", c.socket)
		if err != nil {
			return nil, err
		}
		return &bringingConn{UnixConn: conn.(*net.UnixConn), file: f}, nil
	}, func() error { return nil })
}

// bringingConn sends a file with its first bytes.
type bringingConn struct {
	*net.UnixConn
	file *os.File // nil once it is sent
}

// Write implements io.Writer.
func (c *bringingConn) Write(b []byte) (int, error) {
	if c.file == nil || len(b) == 0 {
		return c.UnixConn.Write(b)
	}
	n, _, err := c.UnixConn.WriteMsgUnix(b, unix.UnixRights(int(c.file.Fd())), nil)
	if err != nil {
		return n, err
	}
	c.file = nil
	m, err := c.UnixConn.Write(b[n:])
	return n + m, err
}

// passing is the daemon's socket: its connections may bring an open file.
type passing struct{ *net.UnixListener }

// Accept implements net.Listener.
func (l passing) Accept() (net.Conn, error) {
	c, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	return &passingConn{UnixConn: c}, nil
}

// passingConn keeps the newest file that came, until somebody takes it or the connection ends.
type passingConn struct {
	*net.UnixConn
	mu   sync.Mutex
	file *os.File
}

// Read implements io.Reader. There is room for one file a message; the kernel closes what does not fit.
func (c *passingConn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return c.UnixConn.Read(b)
	}
	oob := make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := c.UnixConn.ReadMsgUnix(b, oob)
	if oobn > 0 {
		c.keep(oob[:oobn])
	}
	return n, err
}

func (c *passingConn) keep(oob []byte) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			old := c.take()
			if old != nil {
				old.Close()
			}
			c.mu.Lock()
			c.file = os.NewFile(uintptr(fd), "passed")
			c.mu.Unlock()
		}
	}
}

// take gives the file that came, once; nil when there is none.
func (c *passingConn) take() *os.File {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.file
	c.file = nil
	return f
}

// Close implements net.Conn.
func (c *passingConn) Close() error {
	if f := c.take(); f != nil {
		return errors.Join(f.Close(), c.UnixConn.Close())
	}
	return c.UnixConn.Close()
}
