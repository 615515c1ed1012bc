package doctor_test

import (
	"net"
	"os"
	"testing"

	"ingot/cmd/ingot/internal/doctor"
)

// TestAListenerIsFoundWithItsProgram looks for this test's own sockets.
func TestAListenerIsFoundWithItsProgram(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	client, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	ports := []doctor.Port{
		{Proto: "tcp", Number: tcp.Addr().(*net.TCPAddr).Port},
		{Proto: "udp", Number: udp.LocalAddr().(*net.UDPAddr).Port},
		{Proto: "tcp", Number: free.Addr().(*net.TCPAddr).Port},
		{Proto: "tcp", Number: client.LocalAddr().(*net.TCPAddr).Port}, // open, but nobody listens there
	}
	doctor.HoldersOf("/proc", ports)
	for i, want := range []int{1, 1, 0, 0} {
		p := ports[i]
		if p.Err != nil || len(p.Holders) != want || want > 0 && (p.Holders[0].Pid != os.Getpid() || p.Holders[0].Name == "") {
			t.Errorf("%s %d: %+v, %v; want %d holders", p.Proto, p.Number, p.Holders, p.Err, want)
		}
	}
	ports = []doctor.Port{{Proto: "tcp", Number: 80}}
	doctor.HoldersOf(t.TempDir(), ports)
	if ports[0].Err == nil {
		t.Error("a host without /proc/net has no listeners")
	}
}
