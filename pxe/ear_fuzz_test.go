package pxe

import (
	"testing"
	"time"
)

// FuzzFrame feeds the ear any frame that a stranger may send: nothing it says may end the daemon, and what is kept of
// it stays within its bounds.
func FuzzFrame(f *testing.F) {
	f.Add([]byte("\x01\x80\xc2\x00\x00\x00\x52\x54\x00\xff\x00\x01\x00\x26\x42\x42\x03\x00\x00\x00\x00\x01"), uint16(0))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\x52\x54\x00\xff\x00\x01\x88\x8e\x01\x00"), uint16(20))
	f.Add(append([]byte("\xff\xff\xff\xff\xff\xff\x52\x54\x00\xff\x00\x01\x08\x00\x45\x00\x01\x20\x00\x00\x00\x00\x40\x11\x00\x00\x0a\x4d\x00\x03\xff\xff\xff\xff\x00\x43\x00\x44\x01\x0c\x00\x00\x02\x01\x06\x00"), make([]byte, 280)...), uint16(0))
	l := &link{Server: &Server{known: newClients(), around: newAround()}, name: "srv"}
	f.Fuzz(func(t *testing.T, b []byte, vlan uint16) {
		p, ok := parseFrame(b, vlan)
		if !ok {
			return
		}
		l.hear(p, &ear{rivals: newRivals()}, time.Now())
		if n := len(l.around.young) + len(l.around.old); n > 2*maxSightings {
			t.Fatalf("%d sightings are kept", n)
		}
	})
}
