package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The head of a bbolt file: two pages, each a header of 16 bytes and a meta record of 64, of which the newer valid one
// counts. Numbers are in the machine's own order.
const (
	pageHeader = 16
	metaSize   = 64
	metaMagic  = 0xED0CDAED
)

// checkWhole refuses a file that ends before the last page that it speaks of: half a copy, or a cut-off download. The
// engine reads by mapping the file, and a page behind its end would kill the process. A file that is no database, an
// empty one and an absent one are the engine's own to judge.
func checkWhole(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil // the engine says it better
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return nil
	}
	head := make([]byte, 128<<10) // two pages of the largest size
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	var newest, need uint64
	for _, m := range metas(head[:n]) {
		if tx := binary.NativeEndian.Uint64(m[48:]); tx >= newest {
			newest, need = tx, binary.NativeEndian.Uint64(m[40:])*uint64(binary.NativeEndian.Uint32(m[8:]))
		}
	}
	if need > uint64(info.Size()) {
		return fmt.Errorf("%w: the file has %d of at least %d bytes", ErrDamaged, info.Size(), need)
	}
	return nil
}

// checkBefore proves the file before the engine maps it, and while nobody writes to it. It says whether one of the two
// heads is lost.
func checkBefore(path string, timeout time.Duration) (lostHead bool, err error) {
	if err := checkWhole(path); err != nil {
		return false, err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false, nil // the engine says it better
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return false, nil
	}
	for end := time.Now().Add(timeout); ; time.Sleep(20 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(end) {
			return false, ErrLocked
		}
	}
	if info, err = f.Stat(); err != nil { // whoever had it may have made it longer
		return false, err
	}
	return walkPages(f, info.Size())
}

// metas finds the valid meta records: the first page's, and the second's, which lies one page further.
func metas(head []byte) (out [][]byte) {
	for _, page := range []int{0, 4096, 8192, 16384, 32768, 65536} {
		if len(head) < page+pageHeader+metaSize {
			break
		}
		m := head[page+pageHeader:][:metaSize]
		sum := fnv.New64a()
		sum.Write(m[:metaSize-8])
		if binary.NativeEndian.Uint32(m) == metaMagic && binary.NativeEndian.Uint64(m[56:]) == sum.Sum64() {
			out = append(out, m)
		}
	}
	return out
}
