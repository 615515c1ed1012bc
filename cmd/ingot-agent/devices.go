package main

import (
	"fmt"
	"strings"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"ingot/cmd/ingot-agent/internal/kmod"
)

// followDevices loads modules for devices that appear later: a dongle, a dock, the drives behind a controller. The
// kernel announces each on a netlink socket (NETLINK_KOBJECT_UEVENT), with its modalias. The goroutine lives as
// long as the process.
func followDevices(l *kmod.Loader, log zerolog.Logger) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return fmt.Errorf("listen for devices: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20); err != nil {
		log.Debug().Err(err).Msg("the buffer for devices stays small")
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		unix.Close(fd)
		return fmt.Errorf("listen for devices: %w", err)
	}
	go func() {
		defer unix.Close(fd)
		buf := make([]byte, 16<<10)
		for {
			n, from, err := unix.Recvfrom(fd, buf, 0)
			if err == unix.EINTR || err == unix.ENOBUFS {
				continue // announcements were lost: the next coldplug finds those devices
			}
			if err != nil {
				return
			}
			if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
				continue // only the kernel is believed
			}
			if alias := addedAlias(string(buf[:n])); alias != "" {
				if err := l.LoadAlias(alias); err != nil {
					log.Debug().Err(err).Str("device", alias).Msg("a driver did not load")
				}
			}
		}
	}()
	return nil
}

// addedAlias is the modalias of an announcement that a device was added, or nothing.
func addedAlias(event string) string {
	added, alias := false, ""
	for f := range strings.SplitSeq(event, "\x00") {
		added = added || f == "ACTION=add"
		if v, ok := strings.CutPrefix(f, "MODALIAS="); ok {
			alias = v
		}
	}
	if !added {
		return ""
	}
	return alias
}
