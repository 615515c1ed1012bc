package pxe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/pin/tftp/v3"
)

// The library waits timeout for each acknowledgement and sends again, retries times. It has no windowsize
// option (RFC 7440): every loader falls back to lock-step, which costs EDK2 and shim a second or two; GRUB, which
// fetches kernel and initramfs, never asks for one.
const (
	tftpTimeout = time.Second
	tftpRetries = 6
	tftpEach    = 8   // transfers of one address at once; a size probe may linger beside the real one
	tftpAll     = 256 // of all; each holds a socket and 130 KB
)

// Names that GRUB asks for by TFTP.
const (
	nameGRUBConfig = "grub/grub.cfg"
	dirByMAC       = "grub/by-mac/"
)

var (
	errNotFound = errors.New("no such file")
	errBusy     = errors.New("too many transfers, try again")
	errStopped  = errors.New("the server is stopping")
)

// newTFTP makes the read-only server: without a write handler the library refuses writes.
func (l *link) newTFTP() *tftp.Server {
	l.tftpFetches = newFetches(tftpEach, tftpAll)
	s := tftp.NewServer(l.readTFTP, nil)
	s.SetTimeout(tftpTimeout)
	s.SetRetries(tftpRetries)
	s.SetBackoff(func(int) time.Duration { return 0 })
	return s
}

// readTFTP serves one read request. What it returns becomes the ERROR packet's text, so nothing of the host
// stands in it.
func (l *link) readTFTP(name string, rf io.ReaderFrom) error {
	out, ok := rf.(tftp.OutgoingTransfer)
	if !ok {
		return errStopped
	}
	remote := out.RemoteAddr()
	ip := remote.AddrPort().Addr().Unmap()
	if !l.serves(ip) {
		return errNotFound
	}
	leave, ok := l.tftpFetches.enter(ip)
	if !ok {
		return errBusy
	}
	defer leave()
	f, m, leg, err := l.openTFTP(l.alive, name, l.machineAt(ip))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			l.Log.Error().Err(err).Str("file", clip(name, maxName)).Msg("boot file could not be served")
			l.fetched(m, leg, name, 0, 0, errors.New("the server could not read it"))
		}
		return errNotFound
	}
	defer f.Close()
	src := &whole{File: &stoppable{File: f, ctx: l.alive}}
	out.SetSize(f.Size())
	n, err := rf.ReadFrom(src)
	if isSizeProbe(err) {
		return nil
	}
	if err != nil {
		l.fetched(m, leg, name, min(n, f.Size()), f.Size(), err)
		return err
	}
	l.fetched(m, leg, name, n, f.Size(), nil)
	return nil
}

// openTFTP finds what a name means to this machine, if it may boot, and which leg fetching it is.
func (l *link) openTFTP(ctx context.Context, name string, m Machine) (File, Machine, Leg, error) {
	clean, err := cleanName(name)
	if err != nil {
		return nil, m, "", err
	}
	if clean == nameGRUBConfig {
		m, err = l.admit(ctx, m, MAC{})
		return text(grubConfig), m, LegConfig, err
	}
	if strings.HasPrefix(clean, dirByMAC) {
		mac, ok := byMAC(clean, dirByMAC, "")
		if !ok {
			return nil, m, "", fs.ErrNotExist
		}
		if m, err = l.admit(ctx, m, mac); err != nil {
			return nil, m, LegScript, err
		}
		line, err := l.commandLineFor(ctx, m)
		if err != nil {
			return nil, m, LegScript, err
		}
		return text(grubScript(line)), m, LegScript, nil
	}
	leg, ok := bootFiles[clean]
	if !ok {
		return nil, m, "", fs.ErrNotExist
	}
	if m, err = l.admit(ctx, m, MAC{}); err != nil {
		return nil, m, leg, err
	}
	f, err := l.Files.Open(clean)
	if err != nil {
		return nil, m, leg, fmt.Errorf("open boot file %s: %w", clean, err)
	}
	return f, m, leg, nil
}

// isSizeProbe recognises EDK2's way to learn a file's size: it asks with tsize and answers the OACK with
// ERROR 8, "User aborted". The library calls the OACK block 0.
func isSizeProbe(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "sending block 0: code=")
}

// stoppable is a File whose reading ends when ctx does.
type stoppable struct {
	File
	ctx context.Context
}

func (s *stoppable) Read(b []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, errStopped
	}
	return s.File.Read(b)
}

// textFile is a File made of a string.
type textFile struct{ *strings.Reader }

func text(s string) File        { return textFile{strings.NewReader(s)} }
func (t textFile) Size() int64  { return t.Reader.Size() }
func (t textFile) Close() error { return nil }
