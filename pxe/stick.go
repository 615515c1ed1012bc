package pxe

import (
	"fmt"
	"net/netip"
	"strings"
)

// StickConfig is the whole GRUB configuration of a boot stick: where the daemon is, each address tried in turn, the pin
// of its key, and the boot bundle that the stick was made of. It carries no token, since it starts many laptops.
func StickConfig(servers []netip.AddrPort, pin, bundle string) (string, error) {
	if len(servers) < 1 || len(servers) > 8 {
		return "", fmt.Errorf("make stick: %d addresses of the daemon, want 1 to 8", len(servers))
	}
	var urls []string
	for _, s := range servers {
		// The line of one machine is checked like this one: its token stands in for what a stick has instead.
		if _, err := (Config{AgentPort: int(s.Port()), AgentPin: pin}).commandLine(s.Addr(), "stick"); err != nil {
			return "", err
		}
		urls = append(urls, "https://"+s.String())
	}
	if !only(bundle, "-") || bundle == "" {
		return "", fmt.Errorf("make stick: no name of a boot bundle")
	}
	return grubScript(fmt.Sprintf("console=tty0 console=ttyS0,115200 quiet ingot.usb ingot.url=%s ingot.pin=%s ingot.bundle=%s",
		strings.Join(urls, ","), pin, bundle)), nil
}
