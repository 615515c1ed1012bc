package pxe_test

import (
	"bufio"
	"io"
	"net/http"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
)

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }
func mustAddr(s string) netip.Addr        { return netip.MustParseAddr(s) }
func mustPrefix(s string) netip.Prefix    { return netip.MustParsePrefix(s) }

func withHeader(t *testing.T, url, value string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Long", value)
	return r
}

// linkUp switches an interface on or off.
func linkUp(name string, up bool) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if up {
		return netlink.LinkSetUp(l)
	}
	return netlink.LinkSetDown(l)
}
