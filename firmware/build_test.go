package firmware_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/firmware"
)

func TestEqualInputGivesEqualBytes(t *testing.T) {
	agent := agentFile(t, "")
	a := mustBuild(t, t.TempDir(), debFolder(t, packs()), agent)
	b := mustBuild(t, t.TempDir(), debFolder(t, packs()), agent)
	if filepath.Base(a.Dir()) != filepath.Base(b.Dir()) {
		t.Errorf("bundles %s and %s; want one name", a.Dir(), b.Dir())
	}
	files, err := os.ReadDir(a.Dir())
	if err != nil || len(files) != 10 {
		t.Fatalf("the bundle holds %d files, %v; want 10", len(files), err)
	}
	for _, f := range files {
		x, err := os.ReadFile(filepath.Join(a.Dir(), f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(filepath.Join(b.Dir(), f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if string(x) != string(y) {
			t.Errorf("%s differs between two builds", f.Name())
		}
	}
}

func TestABundleHoldsWhatThePackagesHeld(t *testing.T) {
	set := packs()
	b := mustBuild(t, t.TempDir(), debFolder(t, set), agentFile(t, "tail"))
	for name, want := range map[string]string{
		firmware.Shim: "the shim", firmware.Grub: "the netboot grub", firmware.Undionly: "iPXE", firmware.Kernel: "the kernel",
	} {
		f, err := b.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(f); string(got) != want || err != nil || f.Size != int64(len(want)) {
			t.Errorf("%s = %q, %v; want %q", name, got, err, want)
		}
		f.Close()
	}
	one, two := cpioFiles(t, b, firmware.Stage1), cpioFiles(t, b, firmware.Stage2)
	kernel := set["linux-image-"+fakeKernel].files
	for path, in := range map[string]map[string]string{
		modulePath("r8169"): one, modulePath("realtek"): one, modulePath("libphy"): one, modulePath("mii"): one,
		modulePath("ext4"): two, modulePath("crc32c-generic"): two, modulePath("crc32c-intel"): two, modulePath("nvme"): two,
	} {
		if in[path] != kernel[path] || in[path] == "" {
			t.Errorf("%s is not in its stage as shipped", path)
		}
	}
	for path, want := range map[string]string{"lib/firmware/rtl_nic/a.fw": "blob a"} {
		if one[path] != want {
			t.Errorf("stage 1: %s = %q; want %q", path, one[path], want)
		}
	}
	if !strings.HasSuffix(one["init"], "tail") {
		t.Error("stage 1 has not the agent as /init")
	}
	for _, p := range []string{"bin/ntfs-3g", "lib/x86_64-linux-gnu/libntfs-3g.so.89", "lib/x86_64-linux-gnu/libc.so.6", "lib64/ld-linux-x86-64.so.2"} {
		if two[p] == "" {
			t.Errorf("stage 2 has no plain file %s", p)
		}
	}
	for p := range two {
		if one[p] != "" && !strings.Contains(p, "/modules.") {
			t.Errorf("%s travels twice", p)
		}
		if strings.Contains(p, "never_wanted") || strings.Contains(p, "shadow") {
			t.Errorf("stage 2 holds %s", p)
		}
	}
	if got := strings.Join(b.Record().MissingFirmware, ","); got != "r8169: rtl_nic/b.fw" {
		t.Errorf("missing firmware = %q", got)
	}
}

func TestTheModuleListsAreThoseOfDepmod(t *testing.T) {
	b := mustBuild(t, t.TempDir(), debFolder(t, packs()), agentFile(t, ""))
	one, two := cpioFiles(t, b, firmware.Stage1), cpioFiles(t, b, firmware.Stage2)
	base := "lib/modules/" + fakeKernel + "/modules."
	for _, c := range []struct {
		name, text, line string
		want             bool
	}{
		{"dependencies", one[base+"dep"], "kernel/drivers/r8169.ko: kernel/drivers/mii.ko kernel/drivers/libphy.ko", true},
		{"a module without any", one[base+"dep"], "kernel/drivers/mii.ko:", true},
		{"an alias", one[base+"alias"], "alias pci:v000010ECd00008168* r8169", true},
		{"a soft dependency", one[base+"softdep"], "softdep r8169 pre: realtek", true},
		{"what is built in", one[base+"builtin"], "kernel/net/packet/af_packet.ko", true},
		{"stage 1 knows no drive", one[base+"dep"], "kernel/drivers/nvme.ko:", false},
		{"stage 2 knows the network too", two[base+"alias"], "alias pci:v000010ECd00008168* r8169", true},
		{"stage 2 knows the drives", two[base+"dep"], "kernel/drivers/nvme.ko:", true},
		{"a name with a hyphen", two[base+"alias"], "alias crc32c crc32c_generic", true},
		{"the file systems", two[base+"softdep"], "softdep ext4 pre: crc32c", true},
	} {
		if got := strings.Contains("\n"+c.text, "\n"+c.line+"\n"); got != c.want {
			t.Errorf("%s: the line %q stands there: %v; want %v", c.name, c.line, got, c.want)
		}
	}
}

func TestCompressedModulesStayAsShipped(t *testing.T) {
	set := packs()
	k := set["linux-image-"+fakeKernel].files
	for name, squeeze := range map[string]func(*testing.T, string) string{"xz": xzBytes, "zst": zstdBytes} {
		p := modulePath(map[string]string{"xz": "r8169", "zst": "nvme"}[name])
		k[p+"."+name] = squeeze(t, k[p])
		delete(k, p)
	}
	b := mustBuild(t, t.TempDir(), debFolder(t, set), agentFile(t, ""))
	one, two := cpioFiles(t, b, firmware.Stage1), cpioFiles(t, b, firmware.Stage2)
	if p := modulePath("r8169") + ".xz"; one[p] != k[p] {
		t.Error("the .ko.xz module is not as shipped")
	}
	if p := modulePath("nvme") + ".zst"; two[p] != k[p] {
		t.Error("the .ko.zst module is not as shipped")
	}
	if dep := one["lib/modules/"+fakeKernel+"/modules.dep"]; !strings.Contains(dep, "kernel/drivers/r8169.ko.xz: kernel/drivers/mii.ko kernel/drivers/libphy.ko\n") {
		t.Error("the dependencies of the compressed module were not read")
	}
}

func TestABrokenSourceIsNamedAndChangesNothing(t *testing.T) {
	kernelName := "linux-image-" + fakeKernel
	noise := make([]byte, 7<<20)
	src := rand.NewChaCha8([32]byte{})
	src.Read(noise)
	good := debFolder(t, packs())
	for _, c := range []struct {
		name   string
		change func(t *testing.T, set map[string]*pack)
		spoil  func(t *testing.T, debs string)
		agent  string
		want   string
	}{
		{name: "a missing package", change: func(_ *testing.T, s map[string]*pack) { delete(s, "shim-signed") }, want: "packages missing: shim-signed"},
		{name: "a missing kernel", change: func(_ *testing.T, s map[string]*pack) { delete(s, kernelName) }, want: "packages missing: linux-image-*-amd64"},
		{name: "an unsigned kernel does not do", change: func(_ *testing.T, s map[string]*pack) { s[kernelName].name = kernelName + "-unsigned" }, want: "packages missing: linux-image-*-amd64"},
		{name: "a missing module", change: func(_ *testing.T, s map[string]*pack) { delete(s[kernelName].files, modulePath("igc")) }, want: "no module igc"},
		{name: "a missing dependency", change: func(_ *testing.T, s map[string]*pack) { delete(s[kernelName].files, modulePath("libphy")) }, want: "no module libphy (needed by"},
		{name: "a module that is no ELF file", change: func(_ *testing.T, s map[string]*pack) { s[kernelName].files[modulePath("igc")] = "text" }, want: "igc.ko: read ELF"},
		{name: "a cut compressed module", change: func(t *testing.T, s map[string]*pack) {
			z := xzBytes(t, s[kernelName].files[modulePath("igc")])
			s[kernelName].files[modulePath("igc")+".xz"] = z[:len(z)/2]
			delete(s[kernelName].files, modulePath("igc"))
		}, want: "igc.ko.xz: unpack"},
		{name: "one module at two places", change: func(_ *testing.T, s map[string]*pack) {
			s[kernelName].files["lib/modules/"+fakeKernel+"/updates/igc.ko"] = fakeModule("igc")
		}, want: "module igc stands at"},
		{name: "a missing library", change: func(_ *testing.T, s map[string]*pack) {
			delete(s["libc6"].files, "lib/x86_64-linux-gnu/libc.so.6")
		}, want: "needs libc.so.6, which no package given holds"},
		{name: "a file that two packages hold", change: func(_ *testing.T, s map[string]*pack) {
			s["ipxe"].files["usr/lib/shim/shimx64.efi.signed"] = "another"
		}, want: "stands in shim-signed and in ipxe"},
		{name: "a missing file", change: func(_ *testing.T, s map[string]*pack) { s["ipxe"].files = map[string]string{"usr/lib/x": ""} }, want: "no package given holds /usr/lib/ipxe/undionly.kpxe"},
		{name: "links in a circle", change: func(_ *testing.T, s map[string]*pack) {
			s["ipxe"].files = map[string]string{"usr/lib/ipxe/undionly.kpxe": "-> other", "usr/lib/ipxe/other": "-> undionly.kpxe"}
		}, want: "no package given holds /usr/lib/ipxe/undionly.kpxe"},
		{name: "a path that leads outside", change: func(_ *testing.T, s map[string]*pack) { s["ipxe"].files["usr/lib/../../../../tmp/owned"] = "x" }, want: "leads outside"},
		{name: "a package cut short", spoil: func(t *testing.T, debs string) { cutHalf(t, filepath.Join(debs, kernelName+"_6.99.1-1_amd64.deb")) }, want: kernelName + "_6.99.1-1_amd64.deb"},
		{name: "a package of one byte", spoil: func(t *testing.T, debs string) {
			if err := os.WriteFile(filepath.Join(debs, "libc6_2.36_amd64.deb"), []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, want: "libc6_2.36_amd64.deb"},
		{name: "an agent that is too large for stage 1", agent: string(noise), want: "at most 6000000 are allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			before := mustBuild(t, dir, good, agentFile(t, ""))
			set := packs()
			if c.change != nil {
				c.change(t, set)
			}
			debs := debFolder(t, set)
			if c.spoil != nil {
				c.spoil(t, debs)
			}
			_, err := build(t, dir, debs, agentFile(t, c.agent))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("Build = %v; want an error that says %q", err, c.want)
			}
			now, err := firmware.Open(dir)
			if err != nil || now.Dir() != before.Dir() || len(now.Verify()) > 0 {
				t.Errorf("after the failure the folder serves %v, %v; want what it served before", now, err)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "tmp-*")); err != nil || len(left) > 0 {
				t.Errorf("the failure left %v, %v", left, err)
			}
		})
	}
}

func cutHalf(t *testing.T, file string) {
	t.Helper()
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, st.Size()/2); err != nil {
		t.Fatal(err)
	}
}

func TestAnAgentThatNeedsLibrariesIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ingot-agent")
	if err := os.WriteFile(file, []byte(elfFile(nil, []string{"libc.so.6"}, "/lib64/ld-linux-x86-64.so.2")), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := build(t, t.TempDir(), debFolder(t, packs()), file); err == nil || !strings.Contains(err.Error(), "is not static: it needs libc.so.6") {
		t.Errorf("Build = %v; want a refusal that names the library", err)
	}
	if _, err := build(t, t.TempDir(), debFolder(t, packs()), file+"-absent"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Build without an agent = %v", err)
	}
}

func TestTheNewestOfSeveralVersionsIsTaken(t *testing.T) {
	set := packs()
	debs := debFolder(t, set)
	for _, v := range []string{"1.51+deb12u1", "1.9"} { // 1.51 is newer than 1.9
		writeDeb(t, debs, &pack{"shim-signed", v, "amd64", map[string]string{"usr/lib/shim/shimx64.efi.signed": "shim " + v}})
	}
	b := mustBuild(t, t.TempDir(), debs, agentFile(t, ""))
	if e := b.Record().Files[0]; e.Name != firmware.Shim || e.Source.Version != "1.51+deb12u1" {
		t.Errorf("the shim is of %+v; want 1.51+deb12u1", e.Source)
	}
}

func TestTheBundleBeforeIsKept(t *testing.T) {
	dir, debs := t.TempDir(), debFolder(t, packs())
	leftover := filepath.Join(dir, "tmp-killed")
	if err := os.MkdirAll(filepath.Join(leftover, "root"), 0o755); err != nil {
		t.Fatal(err)
	}
	var built []string
	for _, agent := range []string{"1", "2", "3", "3"} {
		built = append(built, mustBuild(t, dir, debs, agentFile(t, agent)).Dir())
	}
	for i, want := range []bool{false, true, true, true} {
		if _, err := os.Stat(built[i]); (err == nil) != want {
			t.Errorf("bundle %d is there: %v; want %v", i+1, err == nil, want)
		}
	}
	if built[2] != built[3] {
		t.Error("an equal build has another name")
	}
	flip(t, filepath.Join(built[3], firmware.Shim), 1)
	if b := mustBuild(t, dir, debs, agentFile(t, "3")); b.Dir() != built[3] || len(b.Verify()) > 0 {
		t.Errorf("building again does not mend the damaged bundle: %s, %v", b.Dir(), b.Verify())
	}
	if _, err := os.Stat(leftover); !errors.Is(err, os.ErrNotExist) {
		t.Error("what a killed build left is still there")
	}
}

func TestASecondBuildAtOnceIsRefused(t *testing.T) {
	dir := t.TempDir()
	debs := debFolder(t, packs())
	lock := exec.Command("flock", "-n", filepath.Join(dir, "lock"), "cat")
	in, err := lock.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := lock.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Start(); err != nil {
		t.Skipf("SKIPPED: flock cannot be run: %v", err)
	}
	defer lock.Wait()
	defer in.Close()
	if _, err := in.Write([]byte("held")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 4)); err != nil { // the echo says that the lock is held
		t.Fatal(err)
	}
	if _, err := build(t, dir, debs, agentFile(t, "")); err == nil || !strings.Contains(err.Error(), "another build is running") {
		t.Errorf("Build = %v; want a refusal", err)
	}
}

// FuzzModule holds that no module file crashes the reader.
func FuzzModule(f *testing.F) {
	f.Add("a.ko", []byte(fakeModule("a", "depends=b,c-d", "alias=pci:*")))
	f.Add("a.ko.zst", []byte("\x28\xb5\x2f\xfd"))
	f.Add("a.ko.xz", []byte("\xfd7zXZ\x00"))
	f.Fuzz(func(t *testing.T, file string, raw []byte) {
		name, depends, aliases, err := firmware.ParseModuleInfo(file, raw)
		if err != nil {
			return
		}
		for _, s := range append(aliases, append(depends, name)...) {
			if strings.ContainsAny(s, " \n\x00") {
				t.Fatalf("%q would break a line of the lists", s)
			}
		}
	})
}

func TestACancelledBuildLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := firmware.Build(ctx, firmware.Options{Dir: dir, Debs: debFolder(t, packs()), Agent: agentFile(t, "")}); !errors.Is(err, context.Canceled) {
		t.Errorf("Build = %v; want context.Canceled", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*-*")); err != nil || len(left) > 0 {
		t.Errorf("the cancelled build left %v, %v", left, err)
	}
}
