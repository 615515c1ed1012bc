package pxe

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Options that the DHCP library has no reader for.
const (
	optPXEUUID   = dhcpv4.GenericOptionCode(97)  // RFC 4578 section 2.3: type byte 0 and 16 bytes
	optIPXE      = dhcpv4.GenericOptionCode(175) // iPXE's encapsulated options
	ipxeHTTP     = 19                            // inside 175: this iPXE can fetch by HTTP
	ipxeNoProxy  = 176                           // inside 175: do not wait for proxy offers
	pxeDiscovery = 6                             // inside 43: PXE_DISCOVERY_CONTROL
	pxeBootItem  = 71                            // inside 43: PXE_BOOT_ITEM, type and layer
	relayLink    = 5                             // inside 82: link selection, RFC 3527
)

// errNotForUs marks what is not a request of a machine that we could answer; it is dropped.
var errNotForUs = errors.New("not a request for us")

// request is a DHCP request, parsed and bounded.
type request struct {
	kind      dhcpv4.MessageType
	xid       dhcpv4.TransactionID
	seconds   uint16
	flags     uint16
	hops      uint8
	machine   Machine
	client    netip.Addr // ciaddr: the address that the machine has
	wanted    netip.Addr // option 50
	server    netip.Addr // option 54
	relay     netip.Addr // giaddr
	relayInfo []byte     // option 82, copied into the reply as it came; at most 255 bytes
	link      netip.Addr // the network to choose the pool by: option 82.5 or giaddr
	uuid      []byte     // option 97, echoed as it came
	clientID  []byte     // option 61, echoed (RFC 6842)
	host      string     // option 12, at most 63 printable characters
	item      []byte     // option 43.71, four bytes, when a boot item is asked for
	noHTTP    bool       // an iPXE that lists its features, HTTP not among them
}

// netboot reports whether the request comes from something that wants a boot file.
func (r request) netboot() bool { return r.machine.Loader != LoaderNone }

// late is the asking time from which a machine's first requests count as lost: iPXE's count starts at 4.
const late = 8

// waited is for how many seconds a machine says to have been asking. EDK2 counts hundredths of a second where
// RFC 2131 wants seconds (seen with OVMF 2022.11: 0, 400, 1200).
func (r request) waited() int {
	if l := r.machine.Loader; r.machine.Arch != ArchBIOS && (l == LoaderPXE || l == LoaderHTTP) {
		return int(r.seconds) / 100
	}
	return int(r.seconds)
}

// parseRequest reads what a DHCP packet asks. It fails with errNotForUs on anything malformed, oversized or
// not from an Ethernet machine; an option 97 that is not a UUID is left out, since some firmware sends none.
func parseRequest(m *dhcpv4.DHCPv4) (request, error) {
	bad := func(format string, args ...any) (request, error) {
		return request{}, fmt.Errorf("parse DHCP request: %w: %s", errNotForUs, fmt.Sprintf(format, args...))
	}
	if m.OpCode != dhcpv4.OpcodeBootRequest || m.HWType != 1 || len(m.ClientHWAddr) != 6 {
		return bad("op %d, hardware type %d, address length %d", m.OpCode, m.HWType, len(m.ClientHWAddr))
	}
	if m.HopCount > 16 {
		return bad("%d relay hops", m.HopCount)
	}
	r := request{kind: m.MessageType(), xid: m.TransactionID, seconds: m.NumSeconds, flags: m.Flags, hops: m.HopCount}
	r.machine.MAC = MAC(m.ClientHWAddr)
	if !r.machine.MAC.Valid() {
		return bad("%s is not the address of one machine", r.machine.MAC)
	}
	if r.kind < dhcpv4.MessageTypeDiscover || r.kind > dhcpv4.MessageTypeInform {
		return bad("message type %d", r.kind)
	}
	for code, limit := range map[uint8]int{43: 255, 60: 255, 61: 255, 77: 255, 82: 255, 93: 32, 175: 1020} {
		if n := len(m.Options[code]); n > limit {
			return bad("option %d of %d bytes", code, n)
		}
	}
	r.client, r.relay = addrOf(m.ClientIPAddr), addrOf(m.GatewayIPAddr)
	r.wanted, r.server = addrOf(m.Options[50]), addrOf(m.Options[54])
	r.clientID = m.Options[61]
	r.host = clip(string(m.Options[12]), 63)
	if err := r.parseRelay(m.Options[82]); err != nil {
		return bad("%v", err)
	}
	if err := r.parseBoot(m.Options); err != nil {
		return bad("%v", err)
	}
	r.machine.Relay = r.relay
	if r.machine.IP = r.client; !r.client.IsValid() {
		r.machine.IP = r.wanted
	}
	return r, nil
}

// parseRelay reads option 82 and chooses the link: RFC 3527's sub-option before giaddr.
func (r *request) parseRelay(b []byte) error {
	r.relayInfo, r.link = b, r.relay
	subs, err := parseTLVs(b, false)
	if err != nil {
		return fmt.Errorf("option 82: %w", err)
	}
	if v, ok := subs[relayLink]; ok && r.relay.IsValid() {
		if r.link = addrOf(v); !r.link.IsValid() {
			return fmt.Errorf("option 82 selects a link that is no address")
		}
	}
	return nil
}

// parseBoot reads who asks (60, 77, 175), for which architecture (93), and by which UUID (97).
func (r *request) parseBoot(o dhcpv4.Options) error {
	class := string(o[60])
	switch {
	case strings.HasPrefix(class, "HTTPClient"):
		r.machine.Loader = LoaderHTTP
	case strings.HasPrefix(class, "PXEClient"):
		r.machine.Loader = LoaderPXE
	}
	if o.Has(optIPXE) || bytes.Contains(o[77], []byte("iPXE")) {
		r.machine.Loader = LoaderIPXE
	}
	if r.machine.Loader == LoaderNone {
		return nil
	}
	arch, err := parseArch(o[93], class)
	if err != nil {
		return err
	}
	r.machine.Arch = arch
	if u := o[97]; len(u) == 17 && u[0] == 0 {
		r.uuid, r.machine.UUID = u, formatUUID(u[1:])
	}
	if b := o[43]; len(b) > 0 {
		subs, err := parseTLVs(b, true)
		if err != nil {
			return fmt.Errorf("option 43: %w", err)
		}
		if v := subs[pxeBootItem]; len(v) == 4 {
			r.item = v
		}
	}
	if b := o[175]; len(b) > 0 {
		subs, err := parseTLVs(b, true)
		if err != nil {
			return fmt.Errorf("option 175: %w", err)
		}
		_, http := subs[ipxeHTTP]
		r.noHTTP = !http && len(subs) > 2
	}
	return nil
}

// parseArch reads option 93, a list of 16-bit numbers of which the first counts, or else the class
// "PXEClient:Arch:00007:...". A ROM that tells neither is a BIOS one.
func parseArch(b []byte, class string) (Arch, error) {
	if len(b) > 0 {
		if len(b)%2 != 0 {
			return 0, fmt.Errorf("option 93 of %d bytes", len(b))
		}
		return Arch(b[0])<<8 | Arch(b[1]), nil
	}
	_, rest, ok := strings.Cut(class, ":Arch:")
	if !ok {
		return ArchBIOS, nil
	}
	digits, _, _ := strings.Cut(rest, ":")
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("architecture in the class: %w", err)
	}
	return Arch(n), nil
}

// parseTLVs reads code-length-value fields. With ends, code 255 ends the list and 0 is padding (RFC 2132
// section 8.4); option 82 has neither. A field that runs past the end is an error; of a repeated code the
// first counts.
func parseTLVs(b []byte, ends bool) (map[byte][]byte, error) {
	out := map[byte][]byte{}
	for len(b) > 0 {
		if ends && b[0] == 255 {
			break
		}
		if ends && b[0] == 0 {
			b = b[1:]
			continue
		}
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return nil, fmt.Errorf("a field runs past its end")
		}
		if _, twice := out[b[0]]; !twice {
			out[b[0]] = b[2 : 2+int(b[1])]
		}
		b = b[2+int(b[1]):]
	}
	return out, nil
}

// addrOf gives a usable unicast IPv4 address, or the invalid one.
func addrOf(b []byte) netip.Addr {
	if v4 := net.IP(b).To4(); len(b) == 4 || len(b) == 16 && v4 != nil {
		a, _ := netip.AddrFromSlice(v4)
		if !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return a
		}
	}
	return netip.Addr{}
}
