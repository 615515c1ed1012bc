package setup_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"ingot/cmd/ingot/internal/setup"
	"ingot/pxe"
)

// TestWiredAdaptersAreFoundLikeliestFirst reads a sysfs made by hand.
func TestWiredAdaptersAreFoundLikeliestFirst(t *testing.T) {
	sys := t.TempDir()
	nic := func(name string, files map[string]string) {
		for f, text := range files {
			path := filepath.Join(sys, name, f)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	nic("t-empty", map[string]string{"type": "1", "carrier": "0", "operstate": "down", "device/x": ""})
	nic("t-bench", map[string]string{"type": "1", "carrier": "1", "operstate": "up", "device/x": ""})
	nic("t-bridge", map[string]string{"type": "1", "carrier": "1", "operstate": "up", "bridge/x": ""})
	nic("t-member", map[string]string{"type": "1", "carrier": "1", "operstate": "up", "device/x": "", "master": ""})
	nic("t-wlan", map[string]string{"type": "1", "carrier": "1", "operstate": "up", "device/x": "", "wireless/x": ""})
	nic("t-phy", map[string]string{"type": "1", "carrier": "1", "operstate": "up", "device/x": "", "phy80211/x": ""})
	nic("t-tap", map[string]string{"type": "1", "carrier": "1", "operstate": "up", "tun_flags": "0x1"})
	nic("t-ppp", map[string]string{"type": "512", "carrier": "1", "operstate": "up"})
	nic("lo", map[string]string{"type": "772", "carrier": "1"})
	got, err := setup.Wired(sys)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range got {
		names = append(names, n.Name)
	}
	want := []string{"t-bench", "t-bridge", "t-empty"}
	if len(names) != len(want) || names[0] != want[0] || names[1] != want[1] || names[2] != want[2] {
		t.Errorf("Wired = %v; want %v", names, want)
	}
	if !got[0].Up || got[2].Up {
		t.Errorf("%s up %v, %s up %v", got[0].Name, got[0].Up, got[2].Name, got[2].Up)
	}
}

// TestASuggestedPoolIsAlwaysOneThatADaemonTakes: whatever the network, a pool lies inside it and spares its ends.
func TestASuggestedPoolIsAlwaysOneThatADaemonTakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		own := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(rapid.IntRange(1, 223).Draw(t, "a")), byte(rapid.IntRange(0, 255).Draw(t, "b")),
			byte(rapid.IntRange(0, 255).Draw(t, "c")), byte(rapid.IntRange(0, 255).Draw(t, "d"))}), rapid.IntRange(0, 32).Draw(t, "bits"))
		for mode, pool := range map[pxe.Mode]func(netip.Prefix) (netip.Addr, netip.Addr, bool){pxe.ModeDHCP: setup.Pool, pxe.ModeProxy: setup.Lent} {
			from, to, ok := pool(own)
			if !ok {
				if own.Bits() >= 8 && own.Bits() <= 26 {
					t.Fatalf("no pool in %s", own)
				}
				continue
			}
			c := pxe.Config{Mode: mode, Interfaces: []string{"x"}, Subnets: []pxe.Subnet{{Prefix: own.Masked(), First: from, Last: to}}, AgentPort: 8443, AgentPin: "sha256:" + string(make64())}
			if err := c.Validate(); err != nil {
				t.Fatalf("pool %s to %s of %s: %v", from, to, own, err)
			}
		}
	})
}

func make64() []byte {
	b := make([]byte, 64)
	for i := range b {
		b[i] = '0'
	}
	return b
}

func TestModeIsNeverASecondDHCPServer(t *testing.T) {
	if got := setup.Mode(netip.MustParseAddr("10.0.0.1")); got != setup.Proxy {
		t.Errorf("Mode beside a server = %s", got)
	}
	if got := setup.Mode(netip.Addr{}); got != setup.DHCP {
		t.Errorf("Mode alone = %s", got)
	}
}

func TestTheOldFileIsKeptAndNothingIsHalfWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "etc", "ingot.toml")
	for i, step := range []struct {
		text, old string
		changed   bool
	}{{"one", "", true}, {"one", "", false}, {"two", "one", true}, {"three", "two", true}, {"three", "two", false}} {
		changed, err := setup.Write(path, []byte(step.text), 0o644)
		if err != nil || changed != step.changed {
			t.Errorf("step %d: Write = %v, %v; want %v", i, changed, err, step.changed)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != step.text {
			t.Errorf("step %d: the file is %q, %v", i, b, err)
		}
		if b, _ := os.ReadFile(path + ".old"); string(b) != step.old {
			t.Errorf("step %d: the old file is %q; want %q", i, b, step.old)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := setup.Write(filepath.Join(path, "below"), []byte("x"), 0o644); err == nil {
		t.Error("a file below a file was written")
	}
}

// TestOnlyIngotsOwnFolderIsTakenOver: a folder with other things in it keeps its owner and its rights.
func TestOnlyIngotsOwnFolderIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	mode := func(path string) os.FileMode {
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return fi.Mode().Perm()
	}
	for name, content := range map[string]string{"empty": "", "ours": "ingot.lock", "built": "boot", "strange": "letters"} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if content != "" {
			if err := os.WriteFile(filepath.Join(path, content), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		err := setup.Claim(path, os.Getuid(), os.Getgid())
		if strange := name == "strange"; errors.Is(err, setup.ErrStrange) != strange || !strange && err != nil {
			t.Errorf("Claim(%s) = %v", name, err)
		}
		if want := map[bool]os.FileMode{true: 0o755, false: 0o710}[name == "strange"]; mode(path) != want {
			t.Errorf("%s has the mode %o; want %o", name, mode(path), want)
		}
	}
	if err := setup.Claim(filepath.Join(dir, "a", "b"), os.Getuid(), os.Getgid()); err != nil || mode(filepath.Join(dir, "a", "b")) != 0o710 {
		t.Errorf("a new folder: %v", err)
	}
}
