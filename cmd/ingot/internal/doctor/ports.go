package doctor

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// HoldersOf finds who listens on ports of this host, below a folder as /proc. It fills the Holders and Err of each.
func HoldersOf(proc string, ports []Port) {
	inodes := make([][]string, len(ports))
	var all []string
	for i := range ports {
		inodes[i], ports[i].Err = listeners(proc, ports[i])
		all = append(all, inodes[i]...)
	}
	owners := ownersOf(proc, all)
	for i := range ports {
		seen := map[int]bool{}
		for _, inode := range inodes[i] {
			h := owners[inode]
			if !seen[h.Pid] {
				ports[i].Holders = append(ports[i].Holders, h)
			}
			seen[h.Pid] = true
		}
	}
}

// listening are the states, as proc(5) numbers them, in which a socket takes what comes.
var listening = map[string]string{"tcp": "0A", "udp": "07"}

// listeners lists the inodes of the sockets that listen on a port.
func listeners(proc string, p Port) (inodes []string, err error) {
	for _, family := range []string{"", "6"} {
		f, err := os.Open(filepath.Join(proc, "net", p.Proto+family))
		if os.IsNotExist(err) && family == "6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("list sockets: %w", err)
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			w := strings.Fields(lines.Text())
			if len(w) < 10 || w[3] != listening[p.Proto] {
				continue
			}
			_, hex, _ := strings.Cut(w[1], ":")
			if n, err := strconv.ParseUint(hex, 16, 16); err == nil && int(n) == p.Number {
				inodes = append(inodes, w[9])
			}
		}
		f.Close()
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("list sockets: %w", err)
		}
	}
	return inodes, nil
}

// ownersOf finds the programs that have sockets open; one that we may not see has no pid.
func ownersOf(proc string, inodes []string) map[string]Holder {
	out := map[string]Holder{}
	for _, i := range inodes {
		out[i] = Holder{}
	}
	if len(inodes) == 0 {
		return out
	}
	fds, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*"))
	if err != nil {
		return out
	}
	for _, fd := range fds {
		to, err := os.Readlink(fd)
		inode, isSocket := strings.CutPrefix(to, "socket:[")
		inode = strings.TrimSuffix(inode, "]")
		if _, wanted := out[inode]; err != nil || !isSocket || !wanted {
			continue
		}
		dir := filepath.Dir(filepath.Dir(fd))
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		out[inode] = Holder{Pid: pid, Name: comm(dir)}
	}
	return out
}

func comm(dir string) string {
	b, err := fs.ReadFile(os.DirFS(dir), "comm")
	if err != nil {
		return "a program"
	}
	return strings.TrimSpace(string(b))
}
