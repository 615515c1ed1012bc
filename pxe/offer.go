package pxe

import (
	"fmt"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// The names by which machines are sent on. A refused name is one that TFTP and HTTP always deny.
const (
	nameShim     = "shimx64.efi"
	nameGRUB     = "grubx64.efi"
	nameUndionly = "undionly.kpxe"
	nameKernel   = "vmlinuz"
	nameInitrd   = "initrd.img"
	nameImage    = "httpboot.img"
	nameScript   = "boot.ipxe"
	nameRefused  = "nothing-to-start"
	dirHTTPBoot  = "httpboot/"
	imageAlias   = "ingot.img" // firmware takes the suffix .img for a RAM disk
)

// place is where our boot services stand, as one machine sees them.
type place struct {
	server   netip.Addr
	httpPort int
}

// url gives the HTTP address of a name.
func (p place) url(name string) string {
	if p.httpPort == 80 {
		return fmt.Sprintf("http://%s/%s", p.server, name)
	}
	return fmt.Sprintf("http://%s:%d/%s", p.server, p.httpPort, name)
}

// answer is what a machine is told about booting.
type answer struct {
	leg  Leg    // LegOffer, LegRefuse, LegIgnore, LegUnsupported or LegLoop; empty: not a network boot
	text string // for the boot log
	file string // file name or URL; empty: nothing is told
	http bool   // file is for UEFI HTTP Boot
}

// choose decides what a machine is told. The order matters: iPXE says PXEClient with its platform's
// architecture, so it is looked for first, or it would be sent its own loader again.
func choose(r request, d Decision, p place) answer {
	m := r.machine
	if !r.netboot() {
		return answer{}
	}
	if !supported(m) {
		return answer{leg: LegUnsupported, text: fmt.Sprintf("%s is not supported yet: no boot file for it", m.Arch)}
	}
	name, http := loaderFor(r, p)
	switch d.Action {
	case Boot:
		return answer{leg: LegOffer, text: d.Why, file: name, http: http}
	case Refuse:
		name = nameRefused
		if http || m.Loader == LoaderIPXE {
			name = p.url(nameRefused)
		}
		return answer{leg: LegRefuse, text: d.Why, file: name, http: http}
	}
	return answer{leg: LegIgnore, text: d.Why}
}

// supported reports whether the boot bundle, which is for x64, has anything for this machine. An x64 laptop's
// BIOS says architecture 0 like any PC's.
func supported(m Machine) bool {
	switch m.Arch {
	case ArchBIOS, ArchX64, ArchEBC, ArchX64HTTP:
		return true
	}
	return false
}

// loaderFor gives the first file for a machine that is to boot.
func loaderFor(r request, p place) (name string, http bool) {
	m := r.machine
	switch {
	case m.Loader == LoaderIPXE && r.noHTTP && m.Arch == ArchBIOS:
		return nameUndionly, false // a ROM that cannot fetch by HTTP; undionly.kpxe can, so this happens once
	case m.Loader == LoaderIPXE:
		return p.url(nameScript + "?mac=" + m.MAC.String()), false
	case m.Loader == LoaderHTTP:
		return p.url(dirHTTPBoot + m.MAC.String() + "/" + imageAlias), true
	case m.Arch == ArchBIOS:
		return nameUndionly, false
	}
	return nameShim, false
}

// reply starts a reply to r as RFC 2131 section 4.3.1 wants it: the fields that every reply copies.
func (r request) reply(kind dhcpv4.MessageType, p place) *dhcpv4.DHCPv4 {
	m := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: 1, ClientHWAddr: r.machine.MAC[:],
		TransactionID: r.xid, Flags: r.flags, Options: dhcpv4.Options{},
	}
	if r.relay.IsValid() {
		m.GatewayIPAddr = r.relay.AsSlice()
	}
	m.UpdateOption(dhcpv4.OptMessageType(kind))
	m.UpdateOption(dhcpv4.OptServerIdentifier(p.server.AsSlice()))
	if len(r.clientID) > 0 {
		m.UpdateOption(dhcpv4.OptClientIdentifier(r.clientID))
	}
	if len(r.relayInfo) > 0 {
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionRelayAgentInformation, r.relayInfo))
	}
	return m
}

// addBoot writes an answer into a reply. As a proxy the class (60) says that we speak PXE, and 43 says "use
// this file, ask nobody else": without it EDK2 asks port 4011 again, or ends in PXE-E16. As a full server the
// file alone is enough, as with any DHCP server; 60 would start a search for boot servers. A name fills
// `file`; a URL for HTTP Boot stands in option 67, and in `file` too where it fits.
func addBoot(m *dhcpv4.DHCPv4, r request, a answer, p place, mode Mode) {
	if a.file == "" {
		return
	}
	m.ServerIPAddr = p.server.AsSlice()
	if len(a.file) < 128 {
		m.BootFileName = a.file
	}
	if len(r.uuid) > 0 {
		m.UpdateOption(dhcpv4.OptGeneric(optPXEUUID, r.uuid))
	}
	switch {
	case a.http:
		m.UpdateOption(dhcpv4.OptClassIdentifier("HTTPClient"))
		m.UpdateOption(dhcpv4.OptBootFileName(a.file))
	case mode == ModeProxy:
		m.UpdateOption(dhcpv4.OptClassIdentifier("PXEClient"))
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionVendorSpecificInformation, vendorOptions(r)))
	case r.machine.Loader == LoaderIPXE:
		m.UpdateOption(dhcpv4.OptGeneric(optIPXE, []byte{ipxeNoProxy, 1, 1}))
	}
}

// vendorOptions is option 43: take the file as offered (PXE 2.1, discovery control bit 3), and the boot item
// again if one was asked for.
func vendorOptions(r request) []byte {
	if r.item != nil {
		return append(append([]byte{pxeBootItem, 4}, r.item...), 255)
	}
	return []byte{pxeDiscovery, 1, 8, 255}
}

// addLease writes an address and what belongs to it into a reply.
func addLease(m *dhcpv4.DHCPv4, ip netip.Addr, s Subnet) {
	m.YourIPAddr = ip.AsSlice()
	m.UpdateOption(dhcpv4.OptIPAddressLeaseTime(s.LeaseTime))
	m.UpdateOption(dhcpv4.OptRenewTimeValue(s.LeaseTime / 2))
	m.UpdateOption(dhcpv4.OptRebindingTimeValue(s.LeaseTime * 7 / 8))
	addNetwork(m, s)
}

// addNetwork writes the facts of a subnet; they alone answer a DHCPINFORM.
func addNetwork(m *dhcpv4.DHCPv4, s Subnet) {
	mask := ^uint32(0) << (32 - s.Prefix.Bits())
	m.UpdateOption(dhcpv4.OptSubnetMask(addr4(mask).AsSlice()))
	m.UpdateOption(dhcpv4.OptBroadcastAddress(addr4(ip4(s.Prefix.Addr()) | ^mask).AsSlice()))
	if s.Router.IsValid() {
		m.UpdateOption(dhcpv4.OptRouter(s.Router.AsSlice()))
	}
	if len(s.DNS) > 0 {
		var all []byte
		for _, d := range s.DNS {
			all = append(all, d.AsSlice()...)
		}
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionDomainNameServer, all))
	}
	if s.Domain != "" {
		m.UpdateOption(dhcpv4.OptDomainName(s.Domain))
	}
}

// destination is where a reply goes (RFC 2131 section 4.1): back through the relay; to the address that the
// machine has; to everybody otherwise, whatever its broadcast flag says, since it cannot answer ARP yet. A
// refusal goes to everybody, for its machine may be on the wrong network.
func destination(r request, kind dhcpv4.MessageType, ports Ports) netip.AddrPort {
	everybody := netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), uint16(ports.Client))
	switch {
	case r.relay.IsValid():
		return netip.AddrPortFrom(r.relay, uint16(ports.DHCP))
	case r.client.IsValid() && kind == dhcpv4.MessageTypeAck:
		return netip.AddrPortFrom(r.client, uint16(ports.Client))
	}
	return everybody
}
