package benchmark

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"time"

	"ingot/cmd/internal/lab"
)

// peer is a program that does a laptop's work in its own way. Its script runs on the laptop, with URL for the
// server's files over HTTP and DISK for the drive, an empty file of the right size; it ends when everything is on
// the drive.
type peer struct {
	name   string
	needs  []string // programs
	script string
}

// peers are the contestants, the one that goals name first. None reads back what it wrote. Multicast is left out:
// it is for many laptops at once and gains nothing for one.
func peers() []peer {
	pcl := fmt.Sprintf(`
part() { # loop devices stand for the drive's partitions
	l=$(losetup -f --show --offset "$2" --sizelimit "$3" "$DISK"); exec 3<"$l"; losetup -d "$l"
	curl -sSf "$URL/$4" | zstd -q -dc | partclone."$1" -q -r -s - -o "$l" -L /dev/null >/dev/null 2>&1
	exec 3<&-
}
part vfat %d %d %s; part ext4 %d %d %s; sync -f "$DISK"`, espAt, espSize, espFile, rootAt, rootSize, rootFile)
	return []peer{
		{name: "partclone", needs: []string{"curl", "zstd", "partclone.ext4", "partclone.vfat"}, script: pcl},
		{name: "curl | zstd | dd", needs: []string{"curl", "zstd"},
			script: `curl -sSf "$URL/` + wholeFile + `" | zstd -q -dc | dd of="$DISK" bs=4M iflag=fullblock conv=notrunc,fsync status=none`},
	}
}

// installed tells whether the host has what the peer needs.
func (p peer) installed() bool {
	for _, n := range p.needs {
		if _, err := exec.LookPath(n); err != nil {
			return false
		}
	}
	return true
}

const filesPort = "8099"

// serveFiles serves a folder to the peers until ctx ends. Go's file server uses sendfile and was measured to be
// as fast here as nginx.
func serveFiles(ctx context.Context, dir string) (wait func() error, err error) {
	l, err := net.Listen("tcp", net.JoinHostPort(lab.ServerIP, filesPort))
	if err != nil {
		return nil, err
	}
	s := &http.Server{Handler: http.FileServer(http.Dir(dir)), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	return func() error {
		<-ctx.Done()
		err := s.Close()
		if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		return err
	}, nil
}
