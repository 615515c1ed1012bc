package setup

import "net/netip"

// The two ways to answer, as the configuration names them.
const (
	Proxy = "proxy"
	DHCP  = "dhcp"
)

// Mode is the way to answer where this DHCP server was heard; an invalid address is nobody. Two servers that give
// addresses on one network give one address to two machines, so beside another one it is always the proxy.
func Mode(server netip.Addr) string {
	if server.IsValid() {
		return Proxy
	}
	return DHCP
}

// Pool is what a DHCP server of our own may give on the network of own: some two fifths from its middle on, as .100 to
// .199 of a /24. It is not ok where there is no room.
func Pool(own netip.Prefix) (from, to netip.Addr, ok bool) {
	base, size, ok := room(own)
	if !ok || size < 8 {
		return from, to, false
	}
	size = min(size, 65536)
	return addr(base + size*100/256), addr(base + size*200/256 - 1), true
}

// Lent is a pool to suggest in proxy mode: ten addresses near the network's end, as .240 to .249 of a /24. Whether
// they lie outside the range of the other DHCP server only a person can say.
func Lent(own netip.Prefix) (from, to netip.Addr, ok bool) {
	base, size, ok := room(own)
	if !ok || size < 64 {
		return from, to, false
	}
	return addr(base + size - 16), addr(base + size - 7), true
}

func room(own netip.Prefix) (base, size uint32, ok bool) {
	if !own.IsValid() || !own.Addr().Is4() || own.Bits() < 8 || own.Bits() > 30 {
		return 0, 0, false
	}
	b := own.Masked().Addr().As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]), 1 << (32 - own.Bits()), true
}

func addr(v uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}
