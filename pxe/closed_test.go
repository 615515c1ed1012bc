package pxe_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/pxe"
)

// onlyOne lets one machine boot and refuses every other one, as a closed bench with one job does.
type onlyOne struct {
	*word
	mac string
}

func (o onlyOne) Decide(_ context.Context, m pxe.Machine) pxe.Decision {
	if m.MAC.String() == o.mac {
		return pxe.Decision{Action: pxe.Boot, Why: "It has a job."}
	}
	return pxe.Decision{Action: pxe.Refuse, Why: "The bench is closed."}
}

// fetcher asks from one address of the bench, as a machine that knows every name does.
type fetcher struct {
	t  *testing.T
	ip string
}

// tftp gives the bytes that come before the end of a transfer or an ERROR.
func (f fetcher) tftp(name string) (data []byte) {
	f.t.Helper()
	c, err := net.ListenPacket("udp4", f.ip+":0")
	if err != nil {
		f.t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.WriteTo([]byte("\x00\x01"+name+"\x00octet\x00"), &net.UDPAddr{IP: net.ParseIP(serverIP), Port: 69}); err != nil {
		f.t.Fatal(err)
	}
	buf := make([]byte, 2048)
	for {
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			f.t.Fatalf("TFTP %s from %s: %v; want an answer", name, f.ip, err)
		}
		if op := binary.BigEndian.Uint16(buf); op != 3 {
			return data
		}
		data = append(data, buf[4:n]...)
		c.WriteTo([]byte{0, 4, buf[2], buf[3]}, from)
		if n < 516 {
			return data
		}
	}
}

// http gives the status and the body.
func (f fetcher) http(method, path string) (int, []byte) {
	f.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(f.ip)}}
	c := &http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(f.t.Context(), method, "http://"+serverIP+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	r, err := c.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return r.StatusCode, body
}

// paths are all that could be asked for, and what is made for one machine in its name.
func paths(mac string) (tftp, http []string) {
	files := []string{"shimx64.efi", "grubx64.efi", "undionly.kpxe", "vmlinuz", "initrd.img"}
	tftp = append(files, "grub/grub.cfg", "/grub/by-mac/"+mac)
	for _, f := range files {
		http = append(http, "/"+f, "//"+f)
	}
	return tftp, append(http, "/boot.ipxe", "/boot.ipxe?mac="+mac+"&uuid="+uuid, "/httpboot/"+mac+"/ingot.img")
}

// TestAMachineThatIsNotToBootGetsNoByte asks by every leg, in both modes: as the firmware does, and directly.
func TestAMachineThatIsNotToBootGetsNoByte(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	for _, ip := range []string{"10.77.0.50", "10.77.0.51", "10.77.0.52"} {
		address(t, "cli", ip+"/24")
	}
	for name, cfg := range map[string]pxe.Config{"proxy": proxyConfig(), "dhcp": dhcpConfig()} {
		b := newBench(cfg)
		b.Server.Director = onlyOne{b.word, macA}
		b.start(t)
		for what, firmware := range map[string][]dhcpv4.Modifier{"UEFI": edk2(), "BIOS": biosROM(), "HTTP Boot": httpBoot(), "iPXE": iPXE()} {
			offer := newLaptop(t, macB).discover(quick, firmware...)
			if offer == nil || !strings.HasSuffix(offer.BootFileNameOption()+offer.BootFileName, "nothing-to-start") {
				t.Errorf("%s: %s of a stranger was offered %v; want the file that is not there", name, what, offer)
			}
		}
		boots := knows(newLaptop(t, macA), "10.77.0.50", name)
		stranger := knows(newLaptop(t, macB), "10.77.0.51", name)
		for _, ip := range []string{stranger, "10.77.0.52"} { // one that DHCP saw, one that nobody saw
			for _, mac := range []string{macB, macA} { // in its own name, and in that of the one that may
				asksForAll(t, name, fetcher{t, ip}, mac, 0)
			}
		}
		asksForAll(t, name, fetcher{t, boots}, macA, 1)
		b.stop()
	}
}

// knows lets the server see which address a machine took: this one from another server, or one of its own.
func knows(l *laptop, ip, mode string) string {
	o := l.discover(quick, edk2()...)
	if mode == "proxy" {
		l.request(never, append(edk2(), chosen("10.77.0.2"), wanted(ip))...)
		return ip
	}
	ip = o.YourIPAddr.String()
	l.request(quick, append(edk2(), chosen(serverIP), wanted(ip))...)
	return ip
}

// asksForAll wants every answer to have at least some bytes, or none.
func asksForAll(t *testing.T, mode string, f fetcher, mac string, least int) {
	t.Helper()
	byTFTP, byHTTP := paths(mac)
	for _, p := range byTFTP {
		if got := f.tftp(p); len(got) < least || least == 0 && len(got) > 0 {
			t.Errorf("%s: TFTP %s gave %s %d bytes", mode, p, f.ip, len(got))
		}
	}
	for _, p := range byHTTP {
		for _, method := range []string{"GET", "HEAD"} {
			code, body := f.http(method, p)
			refused := code == http.StatusNotFound && (method == "HEAD" || bytes.Equal(body, []byte("no such file\n")))
			if refused == (least > 0) {
				t.Errorf("%s: %s %s gave %s %d and %d bytes", mode, method, p, f.ip, code, len(body))
			}
		}
	}
}

// TestWhatIsMadeForOneMachineGoesToNoOther: on an open bench everybody boots, each with a token of its own.
func TestWhatIsMadeForOneMachineGoesToNoOther(t *testing.T) {
	if ranElsewhere(t) {
		return
	}
	cable(t)
	for _, ip := range []string{"10.77.0.50", "10.77.0.51"} {
		address(t, "cli", ip+"/24")
	}
	b := newBench(proxyConfig())
	b.start(t)
	knows(newLaptop(t, macA), "10.77.0.50", "proxy")
	knows(newLaptop(t, macB), "10.77.0.51", "proxy")
	for ip, may := range map[string]bool{"10.77.0.50": true, "10.77.0.51": false} {
		f := fetcher{t, ip}
		if got := f.tftp("/grub/by-mac/" + macA); (len(got) > 0) != may {
			t.Errorf("the script of %s gave %s %d bytes", macA, ip, len(got))
		}
		for _, p := range []string{"/boot.ipxe?mac=" + macA, "/httpboot/" + macA + "/ingot.img"} {
			if code, _ := f.http("GET", p); (code == http.StatusOK) != may {
				t.Errorf("%s gave %s %d", p, ip, code)
			}
		}
	}
}
