package pxe_test

import (
	"bufio"
	"io"
	"net/http"
	"net/netip"
	"testing"
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
