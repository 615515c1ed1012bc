package firmware

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// node is one member of a cpio archive. A folder has the mode bits of a folder and no data.
type node struct {
	path   string // without a leading slash
	mode   uint32 // type and permission bits, as in stat(2)
	data   []byte
	device [2]uint32 // major and minor of a device node
}

// The type bits of a node's mode.
const (
	modeDir  = 0o040000
	modeFile = 0o100000
	modeChar = 0o020000
)

// maxCPIOFile is what the newc format's eight hex digits allow, with room to spare.
const maxCPIOFile = 1 << 31

// writeCPIO writes nodes in the "newc" format that the kernel unpacks (Linux, early-userspace/buffer-format).
// Missing parent folders are added. Members are sorted by path, owned by root, dated 0 and numbered in order,
// so that equal nodes give equal bytes.
func writeCPIO(w io.Writer, nodes []node) error {
	nodes, err := withParents(nodes)
	if err != nil {
		return err
	}
	for i, n := range nodes {
		links := uint32(1)
		if n.mode&0o170000 == modeDir {
			links = 2
		}
		if err := writeNode(w, uint32(i+1), links, n); err != nil {
			return fmt.Errorf("write cpio member %s: %w", n.path, err)
		}
	}
	return writeNode(w, 0, 1, node{path: "TRAILER!!!"})
}

// withParents sorts the nodes and adds the folders above them. Two nodes of one path are an error.
func withParents(nodes []node) ([]node, error) {
	all := map[string]node{}
	for _, n := range nodes {
		if n.path != path.Clean(n.path) || strings.HasPrefix(n.path, "/") || strings.HasPrefix(n.path, "..") {
			return nil, fmt.Errorf("cpio member %q: not a clean path", n.path)
		}
		if _, twice := all[n.path]; twice {
			return nil, fmt.Errorf("cpio member %s stands twice", n.path)
		}
		all[n.path] = n
	}
	for _, n := range nodes {
		for dir := path.Dir(n.path); dir != "."; dir = path.Dir(dir) {
			if _, ok := all[dir]; !ok {
				all[dir] = node{path: dir, mode: modeDir | 0o755}
			}
		}
	}
	sorted := make([]node, 0, len(all))
	for _, n := range all {
		sorted = append(sorted, n)
	}
	slices.SortFunc(sorted, func(a, b node) int { return strings.Compare(a.path, b.path) })
	return sorted, nil
}

// writeNode writes the header of thirteen 8-digit hex fields, the name and the data, each padded to 4 bytes.
func writeNode(w io.Writer, inode, links uint32, n node) error {
	if len(n.data) > maxCPIOFile {
		return fmt.Errorf("%d bytes are too many", len(n.data))
	}
	header := "070701"
	for _, v := range []uint32{inode, n.mode, 0, 0, links, 0, uint32(len(n.data)), 0, 0, n.device[0], n.device[1], uint32(len(n.path) + 1), 0} {
		header += fmt.Sprintf("%08X", v)
	}
	if _, err := io.WriteString(w, header+n.path+"\x00"+zeros(len(header)+len(n.path)+1)); err != nil {
		return err
	}
	if _, err := w.Write(n.data); err != nil {
		return err
	}
	_, err := io.WriteString(w, zeros(len(n.data)))
	return err
}

// zeros pads n bytes to a multiple of 4.
func zeros(n int) string { return "\x00\x00\x00"[:(4-n%4)%4] }
