package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// NBD lends a file to QEMU as a drive's medium, by the Network Block Device protocol (fixed newstyle, simple
// replies; the constants are of its public specification), and can misbehave as real drives do. One
// connection is served at a time.
type NBD struct {
	file   *os.File
	size   uint64
	decide func(NBDRequest) NBDAnswer
	listen net.Listener
	url    string

	mu   sync.Mutex
	conn net.Conn
	done chan struct{}
	errs []error
}

// NBDRequest is what QEMU wants of the medium.
type NBDRequest struct {
	Op     NBDOp
	Offset uint64
	Data   []byte // of a write; valid during the call
	Length uint64
}

// NBDOp is the kind of a request.
type NBDOp uint16

// The kinds of requests.
const (
	NBDRead  NBDOp = 0
	NBDWrite NBDOp = 1
	nbdLeave NBDOp = 2
	NBDFlush NBDOp = 3
	NBDTrim  NBDOp = 4
	NBDZero  NBDOp = 6
)

// NBDAnswer is what the medium makes of a request.
type NBDAnswer int

// Obey is honest. Lie tells that it was done and does nothing; of a read it gives zeros. Fail is the error EIO.
const (
	Obey NBDAnswer = iota
	Lie
	Fail
)

// ServeNBD serves the file at path on a UNIX socket until Close. Decide is asked about every request, by one
// goroutine.
func ServeNBD(path, socket string, decide func(NBDRequest) NBDAnswer) (*NBD, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for QEMU: %w", err), f.Close())
	}
	s := &NBD{file: f, size: uint64(info.Size()), decide: decide, listen: l, url: "nbd+unix:///?socket=" + socket, done: make(chan struct{})}
	go s.serve() // ends with Close
	return s, nil
}

// URL is what a Drive's Source is set to.
func (s *NBD) URL() string { return s.url }

// Close ends the service, and tells what went wrong on the way.
func (s *NBD) Close() error {
	err := s.listen.Close()
	s.mu.Lock()
	if s.conn != nil {
		s.conn.Close() // the serving goroutine sees it
	}
	s.mu.Unlock()
	<-s.done
	return errors.Join(err, errors.Join(s.errs...), s.file.Close())
}

func (s *NBD) serve() {
	defer close(s.done)
	for {
		conn, err := s.listen.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conn = conn
		s.mu.Unlock()
		err = s.session(conn)
		conn.Close()
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
			s.errs = append(s.errs, fmt.Errorf("network block device: %w", err))
		}
	}
}

// The protocol's numbers.
const (
	nbdMagic       = 0x4e42444d41474943 // "NBDMAGIC"
	nbdOption      = 0x49484156454f5054 // "IHAVEOPT"
	nbdOptionReply = 0x3e889045565a9
	nbdRequest     = 0x25609513
	nbdReply       = 0x67446698

	nbdFixedNewstyle = 1
	nbdNoZeroes      = 2

	nbdExportName = 1
	nbdAbort      = 2
	nbdInfo       = 6
	nbdGo         = 7

	nbdAck         = 1
	nbdInfoReply   = 3
	nbdUnsupported = 1<<31 + 1

	nbdFlags = 1 | 1<<2 | 1<<3 | 1<<5 | 1<<6 // has flags, flush, FUA, trim, write zeroes

	nbdEIO     = 5
	nbdEINVAL  = 22
	nbdMaxData = 64 << 20
)

func (s *NBD) session(c net.Conn) error {
	hello := binary.BigEndian.AppendUint64(nil, nbdMagic)
	hello = binary.BigEndian.AppendUint64(hello, nbdOption)
	hello = binary.BigEndian.AppendUint16(hello, nbdFixedNewstyle|nbdNoZeroes)
	if _, err := c.Write(hello); err != nil {
		return err
	}
	var client [4]byte
	if _, err := io.ReadFull(c, client[:]); err != nil {
		return err
	}
	noZeroes := binary.BigEndian.Uint32(client[:])&nbdNoZeroes != 0
	for {
		ready, err := s.option(c, noZeroes)
		if err != nil {
			return err
		}
		if ready {
			return s.transmit(c)
		}
	}
}

// option answers one option of the handshake and reports whether it ended it.
func (s *NBD) option(c net.Conn, noZeroes bool) (ready bool, err error) {
	var head [16]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return false, err
	}
	option, length := binary.BigEndian.Uint32(head[8:]), binary.BigEndian.Uint32(head[12:])
	if binary.BigEndian.Uint64(head[:]) != nbdOption || length > 64<<10 {
		return false, errors.New("that is not an option")
	}
	if _, err := io.CopyN(io.Discard, c, int64(length)); err != nil { // there is one export, whatever its name
		return false, err
	}
	export := binary.BigEndian.AppendUint64(nil, s.size)
	export = binary.BigEndian.AppendUint16(export, nbdFlags)
	switch option {
	case nbdExportName:
		if !noZeroes {
			export = append(export, make([]byte, 124)...)
		}
		_, err := c.Write(export)
		return true, err
	case nbdInfo, nbdGo:
		if err := nbdAnswerOption(c, option, nbdInfoReply, append([]byte{0, 0}, export...)); err != nil {
			return false, err
		}
		return option == nbdGo, nbdAnswerOption(c, option, nbdAck, nil)
	case nbdAbort:
		return false, errors.Join(nbdAnswerOption(c, option, nbdAck, nil), io.EOF)
	}
	return false, nbdAnswerOption(c, option, nbdUnsupported, nil)
}

func nbdAnswerOption(c net.Conn, option, kind uint32, data []byte) error {
	b := binary.BigEndian.AppendUint64(nil, nbdOptionReply)
	b = binary.BigEndian.AppendUint32(b, option)
	b = binary.BigEndian.AppendUint32(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	_, err := c.Write(append(b, data...))
	return err
}

func (s *NBD) transmit(c net.Conn) error {
	for {
		var head [28]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return err
		}
		r := NBDRequest{Op: NBDOp(binary.BigEndian.Uint16(head[6:])), Offset: binary.BigEndian.Uint64(head[16:]), Length: uint64(binary.BigEndian.Uint32(head[24:]))}
		switch {
		case binary.BigEndian.Uint32(head[:]) != nbdRequest:
			return errors.New("that is not a request")
		case r.Op == nbdLeave:
			return io.EOF
		case (r.Op == NBDRead || r.Op == NBDWrite) && r.Length > nbdMaxData:
			return fmt.Errorf("a request of %d bytes", r.Length)
		}
		if r.Op == NBDWrite {
			r.Data = make([]byte, r.Length)
			if _, err := io.ReadFull(c, r.Data); err != nil {
				return err
			}
		}
		data, code := s.carryOut(r)
		reply := binary.BigEndian.AppendUint32(nil, nbdReply)
		reply = binary.BigEndian.AppendUint32(reply, code)
		reply = append(reply, head[8:16]...) // the request's handle
		if _, err := c.Write(append(reply, data...)); err != nil {
			return err
		}
	}
}

// carryOut does what was decided, and returns the data of a read and the protocol's error code.
func (s *NBD) carryOut(r NBDRequest) (data []byte, code uint32) {
	answer := s.decide(r)
	if r.Offset > s.size || r.Length > s.size-r.Offset {
		return nil, nbdEINVAL
	}
	if answer == Fail {
		return nil, nbdEIO
	}
	if r.Op == NBDRead {
		data = make([]byte, r.Length)
	}
	if answer == Lie {
		return data, 0
	}
	var err error
	switch r.Op {
	case NBDRead:
		_, err = s.file.ReadAt(data, int64(r.Offset))
	case NBDWrite:
		_, err = s.file.WriteAt(r.Data, int64(r.Offset))
	case NBDTrim, NBDZero:
		err = unix.Fallocate(int(s.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(r.Offset), int64(r.Length))
	case NBDFlush: // QEMU's end is what is killed, never this host
	default:
		return nil, nbdEINVAL
	}
	if err != nil {
		return nil, nbdEIO
	}
	return data, 0
}
