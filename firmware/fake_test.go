package firmware_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"ingot/firmware"
)

// fakeKernel is the version of the kernel that the tests make.
const fakeKernel = "6.99.0-1-amd64"

// pack is a package to be: its files by path, links as "-> target".
type pack struct {
	name, version, arch string
	files               map[string]string
}

// elfFile makes a small ELF file of the amd64 kind with the sections that the builder reads.
func elfFile(modinfo []string, needed []string, loader string) string {
	type section struct {
		name      string
		kind      elf.SectionType
		link      uint32
		data      []byte
		entrySize uint64
	}
	var names, dyn bytes.Buffer
	names.WriteByte(0)
	for _, n := range needed {
		binary.Write(&dyn, binary.LittleEndian, [2]uint64{uint64(elf.DT_NEEDED), uint64(names.Len())})
		names.WriteString(n + "\x00")
	}
	binary.Write(&dyn, binary.LittleEndian, [2]uint64{})
	sections := []section{
		{"", elf.SHT_NULL, 0, nil, 0},
		{".modinfo", elf.SHT_PROGBITS, 0, []byte(strings.Join(modinfo, "\x00") + "\x00"), 0},
		{".interp", elf.SHT_PROGBITS, 0, []byte(loader + "\x00"), 0},
		{".dynstr", elf.SHT_STRTAB, 0, names.Bytes(), 0},
	}
	if needed != nil {
		sections = append(sections, section{".dynamic", elf.SHT_DYNAMIC, 3, dyn.Bytes(), 16})
	}
	var strtab bytes.Buffer
	var at []uint32
	for _, s := range append(sections, section{name: ".shstrtab"}) {
		at = append(at, uint32(strtab.Len()))
		strtab.WriteString(s.name + "\x00")
	}
	sections = append(sections, section{".shstrtab", elf.SHT_STRTAB, 0, strtab.Bytes(), 0})

	const headerSize, progSize = 64, 56
	progs := 0
	if loader != "" {
		progs = 1
	}
	body := bytes.NewBuffer(make([]byte, headerSize+progs*progSize))
	var table []elf.Section64
	for i, s := range sections {
		table = append(table, elf.Section64{Name: at[i], Type: uint32(s.kind), Off: uint64(body.Len()), Size: uint64(len(s.data)), Link: s.link, Addralign: 1, Entsize: s.entrySize})
		body.Write(s.data)
	}
	h := elf.Header64{Type: uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: headerSize, Shoff: uint64(body.Len()), Ehsize: headerSize,
		Phentsize: progSize, Phnum: uint16(progs), Shentsize: 64, Shnum: uint16(len(sections)), Shstrndx: uint16(len(sections) - 1)}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	binary.Write(body, binary.LittleEndian, table)
	var head bytes.Buffer
	binary.Write(&head, binary.LittleEndian, h)
	if progs > 0 {
		binary.Write(&head, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_INTERP), Off: table[2].Off, Filesz: table[2].Size, Memsz: table[2].Size})
	}
	copy(body.Bytes(), head.Bytes())
	return body.String()
}

// fakeModule makes a module's file; its name is part of the bytes, so that no two are equal.
func fakeModule(name string, info ...string) string {
	return elfFile(append([]string{"name=" + name, "vermagic=" + fakeKernel}, info...), nil, "")
}

func modulePath(name string) string {
	return "lib/modules/" + fakeKernel + "/kernel/drivers/" + name + ".ko"
}

// packs makes a set of packages from which a bundle can be built.
func packs() map[string]*pack {
	kernel := map[string]string{
		"boot/vmlinuz-" + fakeKernel:                     "the kernel",
		"boot/config-" + fakeKernel:                      "not wanted",
		"lib/modules/" + fakeKernel + "/modules.builtin": "kernel/net/packet/af_packet.ko\nkernel/drivers/virtio/virtio_pci.ko\n",
		modulePath("never_wanted"):                       fakeModule("never_wanted"),
		modulePath("mii"):                                fakeModule("mii"),
		modulePath("libphy"):                             fakeModule("libphy"),
		modulePath("crc32c-generic"):                     fakeModule("crc32c_generic", "alias=crc32c", "alias=crypto-crc32c"),
		modulePath("crc32c-intel"):                       fakeModule("crc32c_intel", "alias=crc32c"),
	}
	for _, n := range slices.Concat(firmware.Stage1Modules, firmware.Stage2Modules) {
		if !strings.HasPrefix(n, "?") && n != "virtio_pci" { // one of the wanted is built in
			kernel[modulePath(n)] = fakeModule(n)
		}
	}
	kernel[modulePath("r8169")] = fakeModule("r8169", "depends=libphy,mii", "softdep=pre: realtek", "alias=pci:v000010ECd00008168*", "firmware=rtl_nic/a.fw", "firmware=rtl_nic/b.fw", "firmware=../../etc/shadow")
	kernel[modulePath("realtek")] = fakeModule("realtek", "depends=libphy")
	kernel[modulePath("ext4")] = fakeModule("ext4", "softdep=pre: crc32c", "alias=fs-ext4")
	ld := "/lib64/ld-linux-x86-64.so.2"
	list := []*pack{
		{"linux-image-" + fakeKernel, "6.99.1-1", "amd64", kernel},
		{"shim-signed", "1.51", "amd64", map[string]string{"usr/lib/shim/shimx64.efi.signed": "the shim"}},
		{"grub-efi-amd64-signed", "2.06", "amd64", map[string]string{
			"usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed": "the netboot grub",
			"usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed":    "the disk grub"}},
		{"ipxe", "1.0", "all", map[string]string{"usr/lib/ipxe/undionly.kpxe": "iPXE"}},
		{"ntfs-3g", "2022", "amd64", map[string]string{"bin/ntfs-3g": elfFile(nil, []string{"libntfs-3g.so.89", "libc.so.6"}, ld)}},
		{"libntfs-3g89", "2022", "amd64", map[string]string{
			"usr/lib/x86_64-linux-gnu/libntfs-3g.so.89":     "-> libntfs-3g.so.89.0.0",
			"usr/lib/x86_64-linux-gnu/libntfs-3g.so.89.0.0": elfFile(nil, []string{"libc.so.6"}, "")}},
		{"libc6", "2.36", "amd64", map[string]string{
			"lib/x86_64-linux-gnu/libc.so.6":            elfFile(nil, []string{"ld-linux-x86-64.so.2"}, ""),
			"lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": elfFile(nil, nil, ""),
			"lib64/ld-linux-x86-64.so.2":                "-> /lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"}},
		{"firmware-realtek", "2023", "all", map[string]string{"usr/lib/firmware/rtl_nic/a.fw": "blob a"}},
		{"unrelated", "1", "amd64", map[string]string{"usr/bin/unrelated": "x"}},
	}
	all := map[string]*pack{}
	for _, p := range list {
		all[p.name] = p
	}
	return all
}

// writeDeb makes a .deb file: an ar archive of a version, the control tar and the contents' tar.
func writeDeb(t *testing.T, dir string, p *pack) string {
	t.Helper()
	var data bytes.Buffer
	tw := tar.NewWriter(&data)
	for _, name := range slices.Sorted(maps.Keys(p.files)) {
		h := &tar.Header{Name: "./" + name, Mode: 0o644, Size: int64(len(p.files[name])), Typeflag: tar.TypeReg}
		body := p.files[name]
		if target, ok := strings.CutPrefix(body, "-> "); ok {
			h.Typeflag, h.Linkname, h.Size, body = tar.TypeSymlink, target, 0, ""
		}
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	var control, zipped bytes.Buffer
	tw = tar.NewWriter(&control)
	text := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Nobody <nobody@example.org>\nDescription: made by a test\n", p.name, p.version, p.arch)
	if err := tw.WriteHeader(&tar.Header{Name: "./control", Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := tw.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	zw := gzip.NewWriter(&zipped)
	if _, err := zw.Write(data.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	out := bytes.NewBufferString("!<arch>\n")
	for _, m := range []struct {
		name string
		data []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar", control.Bytes()}, {"data.tar.gz", zipped.Bytes()}} {
		fmt.Fprintf(out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.name, 0, 0, 0, "100644", len(m.data))
		out.Write(m.data)
		if len(m.data)%2 == 1 {
			out.WriteByte('\n')
		}
	}
	file := filepath.Join(dir, p.name+"_"+p.version+"_"+p.arch+".deb")
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// debFolder writes a set of packages into a new folder.
func debFolder(t *testing.T, set map[string]*pack) string {
	t.Helper()
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("SKIPPED: dpkg-deb is not installed, packages cannot be read")
	}
	dir := t.TempDir()
	for _, p := range set {
		writeDeb(t, dir, p)
	}
	return dir
}

// agentFile writes a static program of the given padding.
func agentFile(t *testing.T, padding string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ingot-agent")
	if err := os.WriteFile(file, []byte(elfFile(nil, nil, "")+padding), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func build(t *testing.T, dir, debs, agent string) (*firmware.Bundle, error) {
	t.Helper()
	return firmware.Build(t.Context(), firmware.Options{Dir: dir, Debs: debs, Agent: agent})
}

func mustBuild(t *testing.T, dir, debs, agent string) *firmware.Bundle {
	t.Helper()
	b, err := build(t, dir, debs, agent)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func xzBytes(t *testing.T, s string) string {
	t.Helper()
	var out bytes.Buffer
	w, err := xz.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func zstdBytes(t *testing.T, s string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

// cpioFiles unpacks an archive of the bundle: the regular files by path.
func cpioFiles(t *testing.T, b *firmware.Bundle, name string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(b.Dir(), name))
	if err != nil {
		t.Fatal(err)
	}
	r, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if raw, err = r.DecodeAll(raw, nil); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for len(raw) > 110 && string(raw[:6]) == "070701" {
		field := func(i int) (v int) {
			if _, err := fmt.Sscanf(string(raw[6+8*i:14+8*i]), "%08X", &v); err != nil {
				t.Fatal(err)
			}
			return v
		}
		mode, size, nameLen := field(1), field(6), field(11)
		name := string(raw[110 : 110+nameLen-1])
		if name == "TRAILER!!!" {
			return files
		}
		if mtime := field(5); mtime != 0 {
			t.Errorf("%s is dated %d", name, mtime)
		}
		raw = raw[(110+nameLen+3)/4*4:]
		if mode&0o170000 == 0o100000 {
			files[name] = string(raw[:size])
		}
		raw = raw[(size+3)/4*4:]
	}
	t.Fatalf("%s has no trailer", name)
	return nil
}
