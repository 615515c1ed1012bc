package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestTheServersLoadIsWhatItsKernelCounted between two looks; what it does not count is not known.
func TestTheServersLoadIsWhatItsKernelCounted(t *testing.T) {
	dir, now := t.TempDir(), time.Unix(1e9, 0)
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kernel := func(busy, idle, sentA, sentB int) {
		t.Helper()
		put("stat", fmt.Sprintf("cpu  %d 0 0 %d 0 0 0 0 0 0\ncpu0 1 1 1 1\n", busy, idle))
		put("class/net/eth0/statistics/tx_bytes", fmt.Sprintln(sentA))
		put("class/net/eth1/statistics/tx_bytes", fmt.Sprintln(sentB))
	}
	put("class/net/eth0/speed", "1000\n")
	put("class/net/eth1/speed", "10000\n")
	m := newMeter([]string{"eth0", "eth1", "gone0"})
	m.proc, m.sys, m.now = dir, dir, func() time.Time { return now }
	kernel(100, 100, 0, 0)
	if l := m.read(); l.CPU >= 0 || l.Adapter != 0 {
		t.Errorf("at first: %+v; want nothing known", l)
	}
	now = now.Add(2 * time.Second)
	kernel(250, 150, 200e6, 1000e6) // 80 % of one, 40 % of the other
	if l := m.read(); l.CPU != 0.75 || l.Sending != 100e6 || l.Adapter != 125e6 {
		t.Errorf("after two seconds: %+v; want 75 %%, 100 of 125 MB/s", l)
	}
	kernel(9999, 9999, 0, 0)
	if l := m.read(); l.CPU != 0.75 {
		t.Errorf("within the same second: %+v; want what it was", l)
	}
	put("class/net/eth0/speed", "-1\n") // no cable
	put("class/net/eth1/speed", "unknown\n")
	put("stat", "nonsense\n")
	now = now.Add(2 * time.Second)
	if l := m.read(); l.CPU >= 0 || l.Adapter != 0 {
		t.Errorf("when nothing can be read: %+v; want nothing known", l)
	}
	if real := newMeter(nil).count(time.Now()); real.busy == 0 || real.idle == 0 {
		t.Errorf("this kernel counted %+v", real)
	}
}
