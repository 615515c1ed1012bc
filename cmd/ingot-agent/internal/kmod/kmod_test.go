package kmod_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"golang.org/x/sys/unix"

	"ingot/cmd/ingot-agent/internal/kmod"
)

var folder = map[string]string{
	"modules.dep": `kernel/net/r8169.ko: kernel/net/phy/libphy.ko kernel/net/mdio_devres.ko
kernel/net/mdio_devres.ko: kernel/net/phy/libphy.ko
kernel/net/phy/libphy.ko:
kernel/net/phy/realtek.ko: kernel/net/phy/libphy.ko
kernel/net/e1000e.ko.zst:
kernel/usb/xhci-pci.ko: kernel/usb/xhci-hcd.ko.xz
kernel/usb/xhci-hcd.ko.xz:
kernel/net/broken.ko: kernel/net/absent.ko
kernel/a.ko:
kernel/b.ko:
`,
	"modules.alias": `# Aliases extracted from modules themselves.
alias pci:v000010ECd00008168sv*sd*bc*sc*i* r8169
alias pci:v00008086d0000[0-9A]5FAsv*sd*bc*sc*i* e1000e
alias pci:v*d*sv*sd*bc0Csc03i30* xhci-pci
alias fs-ext4 ext4
alias usb:v0BDAp815[23]d*dc*dsc*dp*ic*isc*ip*in* r8152
`,
	"modules.softdep": "softdep r8169 pre: realtek\nsoftdep a pre: b nowhere\nsoftdep b pre: a post: e1000e\n",
	"modules.builtin": "kernel/drivers/base/builtin-thing.ko\n",
}

func index(t *testing.T, files map[string]string) *kmod.Index {
	t.Helper()
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	x, err := kmod.ReadIndex(m)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func names(steps []kmod.Step) string {
	var out []string
	for _, s := range steps {
		out = append(out, s.Name)
	}
	return strings.Join(out, " ")
}

func TestAPlanHasWhatIsNeededFirst(t *testing.T) {
	x := index(t, folder)
	cases := map[string]string{
		"r8169":         "libphy realtek mdio_devres r8169",
		"xhci-pci":      "xhci_hcd xhci_pci",
		"xhci_pci":      "xhci_hcd xhci_pci",
		"e1000e":        "e1000e",
		"builtin-thing": "",
		"a":             "b e1000e a", // a circle of soft dependencies, one of them absent
	}
	for module, want := range cases {
		steps, err := x.Plan(module)
		if err != nil || names(steps) != want {
			t.Errorf("Plan(%s) = %s, %v; want %s", module, names(steps), err, want)
		}
	}
}

func TestAMissingModuleIsNamed(t *testing.T) {
	x := index(t, folder)
	for module, needs := range map[string]string{"broken": "absent", "nowhere": "nowhere"} {
		_, err := x.Plan(module)
		var m *kmod.Missing
		if !errors.As(err, &m) || m.Needs != needs || !strings.Contains(err.Error(), needs) {
			t.Errorf("Plan(%s) = %v; want %s named", module, err, needs)
		}
	}
}

func TestAModaliasFindsItsDriver(t *testing.T) {
	x := index(t, folder)
	cases := map[string][]string{
		"pci:v000010ECd00008168sv00001043sd0000208Fbc02sc00i00": {"r8169"},
		"pci:v00008086d000015FAsv00000000sd00000000bc02sc00i00": {"e1000e"},
		"pci:v00008086d0000B5FAsv00000000sd00000000bc02sc00i00": nil,
		"pci:v00008086d0000A36Dsv000017AAsd00002292bc0Csc03i30": {"xhci_pci"},
		"usb:v0BDAp8153d3100dc00dsc00dp00icFFiscFFip00in00":     {"r8152"},
		"usb:v0BDAp8154d3100dc00dsc00dp00icFFiscFFip00in00":     nil,
		"fs-ext4": {"ext4"},
		"":        nil,
	}
	for alias, want := range cases {
		if got := x.Match(alias); !reflect.DeepEqual(got, want) {
			t.Errorf("Match(%s) = %v; want %v", alias, got, want)
		}
	}
}

func TestABrokenIndexIsRefused(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"no modules.dep":         {"modules.alias": ""},
		"a line without a colon": {"modules.dep": "kernel/a.ko\n"},
		"a file that climbs":     {"modules.dep": "../../etc/a.ko:\n"},
		"an alias of two words":  {"modules.dep": "", "modules.alias": "alias x\n"},
		"a softdep without pre":  {"modules.dep": "", "modules.softdep": "softdep a b\n"},
		"an endless line":        {"modules.dep": strings.Repeat("x", kmod.MaxLine+10)},
	} {
		m := fstest.MapFS{}
		for n, text := range files {
			m[n] = &fstest.MapFile{Data: []byte(text)}
		}
		if _, err := kmod.ReadIndex(m); err == nil {
			t.Errorf("%s: ReadIndex = no error", name)
		}
	}
}

// lay puts the folder on disk.
func lay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range folder {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestColdplugLoadsEachModuleOnce(t *testing.T) {
	sys := t.TempDir()
	put := func(dev, modalias string) {
		d := filepath.Join(sys, "devices", dev)
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d, "modalias"), []byte(modalias+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("pci0000:00/0000:00:01.0", "pci:v000010ECd00008168sv00001043sd0000208Fbc02sc00i00")
	put("pci0000:00/0000:00:02.0", "pci:v000010ECd00008168sv00001043sd0000208Fbc02sc00i01")
	put("pci0000:00/0000:00:03.0", "pci:v00008086d0000A36Dsv000017AAsd00002292bc0Csc03i30")
	var got []string
	l := kmod.Loader{Dir: lay(t), Insert: func(file string) error {
		got = append(got, filepath.Base(file))
		if strings.HasPrefix(filepath.Base(file), "xhci-pci") { // the bus driver shows a device of its own
			put("pci0000:00/0000:00:03.0/usb1", "pci:v00008086d000015FAsv00000000sd00000000bc02sc00i00")
		}
		if strings.HasPrefix(filepath.Base(file), "libphy") {
			return unix.EEXIST
		}
		return nil
	}}
	if err := l.Refresh(); err != nil {
		t.Fatal(err)
	}
	if wrong := l.Coldplug(sys); len(wrong) > 0 {
		t.Errorf("Coldplug = %v", wrong)
	}
	want := "libphy.ko realtek.ko mdio_devres.ko r8169.ko xhci-hcd.ko.xz xhci-pci.ko e1000e.ko.zst"
	if strings.Join(got, " ") != want {
		t.Errorf("inserted %v; want %s", got, want)
	}
}

func TestAModuleThatTheKernelRefusesIsNamed(t *testing.T) {
	l := kmod.Loader{Dir: lay(t), Insert: func(file string) error {
		if strings.Contains(file, "xhci-hcd") {
			return unix.EKEYREJECTED
		}
		return nil
	}}
	if err := l.Refresh(); err != nil {
		t.Fatal(err)
	}
	if err := l.Load("xhci-pci"); err == nil || !strings.Contains(err.Error(), "xhci_hcd") {
		t.Errorf("Load = %v; want xhci_hcd named", err)
	}
	if err := l.Load("r8169"); err != nil {
		t.Errorf("Load of another module = %v", err)
	}
}

func TestPackedModulesAreUnpacked(t *testing.T) {
	want := bytes.Repeat([]byte("\x7fELF module "), 5000)
	var x, z bytes.Buffer
	xw, err := xz.NewWriter(&x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := xw.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := xw.Close(); err != nil {
		t.Fatal(err)
	}
	zw, err := zstd.NewWriter(&z)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zw.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	for file, packed := range map[string][]byte{"a.ko.xz": x.Bytes(), "a.ko.zst": z.Bytes()} {
		got, err := kmod.Unpack(file, bytes.NewReader(packed))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("Unpack(%s) = %d bytes, %v", file, len(got), err)
		}
		if _, err := kmod.Unpack(file, bytes.NewReader(packed[:len(packed)/2])); err == nil {
			t.Errorf("Unpack of half of %s = no error", file)
		}
	}
	if _, err := kmod.Unpack("a.ko.gz", bytes.NewReader(nil)); err == nil {
		t.Error("Unpack(a.ko.gz) = no error")
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("pci:v*d[0-9A]*", "pci:v0d5")
	f.Add("[", "[")
	f.Add("*[!a-]*?", "-")
	f.Fuzz(func(t *testing.T, pattern, alias string) {
		if len(pattern) > 200 || len(alias) > 200 || len(strings.Fields("x"+pattern)) != 1 {
			return
		}
		x, err := kmod.ReadIndex(fstest.MapFS{
			"modules.dep":   &fstest.MapFile{},
			"modules.alias": &fstest.MapFile{Data: []byte("alias " + pattern + " m\n")},
		})
		if err == nil {
			x.Match(alias)
		}
	})
}
