package pxe

import (
	"fmt"
	"net/netip"
	"strings"
)

// maxCommandLine bounds the kernel command line in bytes (x86 kernels take 2047).
const maxCommandLine = 1024

// commandLine is the one place where the kernel command line is made. server is our address as the machine
// sees it. The characters are limited to those that mean nothing to GRUB's and iPXE's scripts, so neither
// needs quoting; anything else is an error.
func (c Config) commandLine(server netip.Addr, token string) (string, error) {
	if len(token) < 1 || len(token) > 64 || !only(token, "_-") {
		return "", fmt.Errorf("make command line: the boot token is not 1 to 64 letters, digits, _ or -")
	}
	hex, ok := strings.CutPrefix(c.AgentPin, "sha256:")
	if !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", fmt.Errorf("make command line: the pin %q is not sha256: and 64 lower-case hex characters", clip(c.AgentPin, 80))
	}
	if c.AgentPort < 1 || c.AgentPort > 65535 || !server.Is4() {
		return "", fmt.Errorf("make command line: no agent address %s:%d", server, c.AgentPort)
	}
	line := fmt.Sprintf("console=tty0 console=ttyS0,115200 quiet ingot.url=https://%s:%d ingot.pin=%s ingot.token=%s",
		server, c.AgentPort, c.AgentPin, token)
	if c.Debug {
		line += " ingot.debug"
	}
	if len(line) > maxCommandLine || !only(line, " =:/,._-") {
		return "", fmt.Errorf("make command line: %d bytes, or characters that a script would read", len(line))
	}
	return line, nil
}

// only reports whether s holds letters, digits and the extra characters alone.
func only(s, extra string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(extra, r)) {
			return false
		}
	}
	return true
}

// grubConfig is /grub/grub.cfg: the same for every machine, since the signed netboot GRUB looks for no other.
// A laptop without a serial port has no `serial`, and keeps its screen alone. When the machine's own part is
// not there, the machine has nothing to do: it restarts, and then its firmware is sent to its own disk.
const grubConfig = `# Ingot: this file is the same for every machine.
if serial --unit=0 --speed=115200; then
  terminal_output console serial
fi
set timeout=0
source /grub/by-mac/$net_default_mac
echo "Ingot: nothing to start here. Restarting."
sleep 5
reboot
`

// grubScript starts the agent. In the RAM-disk image it is the whole configuration.
func grubScript(commandLine string) string {
	return grubStart("made for one start of one machine", commandLine)
}

// grubStart is the script behind a remark of what it is for.
func grubStart(what, commandLine string) string {
	return `# Ingot: ` + what + `.
if serial --unit=0 --speed=115200; then
  terminal_output console serial
fi
set timeout=0
echo "Ingot: loading the start system."
if linux /` + nameKernel + ` ` + commandLine + `; then
  if initrd /` + nameInitrd + `; then
    boot
  fi
fi
echo "Ingot: the start system did not load. Restarting."
sleep 10
reboot
`
}

// ipxeScript starts the agent from iPXE. initrd= names the initramfs for kernels started as EFI programs.
func ipxeScript(p place, commandLine string) string {
	return `#!ipxe
echo Ingot: loading the start system.
kernel ` + p.url(nameKernel) + ` initrd=` + nameInitrd + ` ` + commandLine + ` || goto failed
initrd --name ` + nameInitrd + ` ` + p.url(nameInitrd) + ` || goto failed
boot || goto failed
:failed
echo Ingot: the start system did not load. Restarting.
sleep 10
reboot
`
}

// ipxeAsk is the script for an iPXE that did not say who it is: it asks again and says so.
func ipxeAsk(p place) string {
	return "#!ipxe\nchain --replace " + p.url(nameScript) + "?mac=${netX/mac}&uuid=${uuid}\n"
}
