package diskfile_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ingot/imaging/diskfile"
)

// TestRandomDisksInEveryFormat takes sparse disks of any shape through qemu-img and back through this package.
func TestRandomDisksInEveryFormat(t *testing.T) {
	for seed := range int64(5) {
		rnd := rand.New(rand.NewSource(seed))
		want := make([]byte, 512*(1+rnd.Intn(12*mib/512)))
		for range rnd.Intn(12) {
			at := rnd.Intn(len(want))
			n := min(len(want)-at, 1+rnd.Intn(1<<rnd.Intn(21)))
			if rnd.Intn(3) == 0 {
				copy(want[at:at+n], bytes.Repeat([]byte{byte(rnd.Int())}, n))
			} else {
				rnd.Read(want[at : at+n])
			}
		}
		raw := filepath.Join(t.TempDir(), "random.raw")
		if err := os.WriteFile(raw, want, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{
			"vhdx subformat=dynamic", "vhdx subformat=dynamic,block_size=1M", "vhdx subformat=fixed", "vmdk subformat=monolithicSparse",
			"vmdk subformat=streamOptimized", "vmdk subformat=monolithicFlat", "qcow2 cluster_size=4k",
		} {
			format, opts, _ := strings.Cut(kind, " ")
			f := open(t, convertTo(t, raw, format, opts))
			if f.Size() != int64(len(want)) {
				t.Errorf("seed %d, %s: Size %d; want %d", seed, kind, f.Size(), len(want))
				continue
			}
			if got, _ := readByRuns(t, f); !bytes.Equal(got, want) {
				t.Errorf("seed %d, %s: the disk differs", seed, kind)
			}
			for range 20 {
				at := rnd.Intn(len(want))
				got := make([]byte, min(len(want)-at, 1+rnd.Intn(200_000)))
				if _, err := f.ReadAt(got, int64(at)); err != nil || !bytes.Equal(got, want[at:at+len(got)]) {
					t.Errorf("seed %d, %s: %d bytes at %d differ (%v)", seed, kind, len(got), at, err)
				}
			}
		}
	}
}

// The places of a VHDX as qemu-img makes it.
const (
	header1, header2   = 64 << 10, 128 << 10
	regions1, regions2 = 192 << 10, 256 << 10
)

// seal makes the checksums of a VHDX right.
func seal(b []byte) {
	for at, size := range map[int]int{header1: 4096, header2: 4096, regions1: 65536, regions2: 65536} {
		clear(b[at+4 : at+8])
		binary.LittleEndian.PutUint32(b[at+4:], crc32.Checksum(b[at:at+size], crc32.MakeTable(crc32.Castagnoli)))
	}
}

// regionAt finds a region of a VHDX by the first byte of its identifier.
func regionAt(b []byte, first byte) int {
	for e := b[regions1+16:]; ; e = e[32:] {
		if e[0] == first {
			return int(binary.LittleEndian.Uint64(e[16:]))
		}
	}
}

// item finds a value of a VHDX's metadata by the first byte of its identifier.
func item(b []byte, first byte) int {
	at := regionAt(b, 0x06)
	for e := b[at+32:]; ; e = e[32:] {
		if e[0] == first {
			return at + int(binary.LittleEndian.Uint32(e[16:]))
		}
	}
}

const (
	batRegion                         = 0x66
	itemParameters, itemSize, itemSec = 0x37, 0x24, 0x1D
)

// edited changes a copy of a file.
func edited(t testing.TB, path string, fn func(b []byte) []byte) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "edited")
	if err := os.WriteFile(out, fn(b), 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

// asVMware moves the place of the directory of a stream into a footer, as VMware writes it.
func asVMware(t testing.TB, path string) string {
	t.Helper()
	out := edited(t, path, func(b []byte) []byte {
		foot := bytes.Clone(b[:512])
		binary.LittleEndian.PutUint64(b[56:], 1<<64-1)
		marker := make([]byte, 512)
		marker[0], marker[12] = 1, 3
		return append(append(append(b, marker...), foot...), make([]byte, 512)...)
	})
	raw := filepath.Join(t.TempDir(), "back.raw")
	qemuImg(t, "convert", "-f", "vmdk", "-O", "raw", out, raw) // it is a VMDK for others, too
	return out
}

// refused opens and reads a file that must be refused in words on the way.
func refused(t *testing.T, path, want string) {
	t.Helper()
	f, err := diskfile.Open(path)
	if err == nil {
		defer f.Close()
		err = readAll(f)
	}
	var r *diskfile.Refusal
	if !errors.As(err, &r) || !strings.Contains(r.Why, want) {
		t.Errorf("Open and read = %v; want a Refusal with %q", err, want)
	}
}

func TestAVHDXThatCannotBeReadForCertainIsRefusedInWords(t *testing.T) {
	whole := convertTo(t, sample(t), "vhdx", "subformat=dynamic,block_size=1M")
	le := binary.LittleEndian
	for name, c := range map[string]struct {
		edit func(b []byte)
		want string
	}{
		"a log to be replayed": {func(b []byte) { b[header1+50], b[header2+50] = 1, 1 }, "not closed cleanly"},
		"an unknown version":   {func(b []byte) { b[header1+66], b[header2+66] = 2, 2 }, "version 2"},
		"a differencing disk":  {func(b []byte) { b[item(b, itemParameters)+4] |= 2 }, "differencing"},
		"blocks of 3 MiB":      {func(b []byte) { le.PutUint32(b[item(b, itemParameters):], 3<<20) }, "damaged: blocks"},
		"blocks beyond measure": {func(b []byte) { le.PutUint32(b[item(b, itemParameters):], 1<<31) },
			"damaged: blocks"},
		"no disk at all":           {func(b []byte) { clear(b[item(b, itemSize):][:8]) }, "a disk of 0 bytes"},
		"a disk beyond measure":    {func(b []byte) { b[item(b, itemSize)+6] = 1 }, "damaged: a disk"},
		"a disk beyond its table":  {func(b []byte) { b[item(b, itemSize)+5] = 1 }, "for 1048597 blocks"},
		"sectors of 520 bytes":     {func(b []byte) { le.PutUint32(b[item(b, itemSec):], 520) }, "sectors of 520"},
		"no table of regions":      {func(b []byte) { b[regions1], b[regions2] = 'x', 'x' }, "regions is not whole"},
		"a region behind the end":  {func(b []byte) { b[regions1+16+16+6] = 1 }, "passes its end"},
		"a region that is unknown": {func(b []byte) { b[regions1+16] ^= 1; b[regions1+16+28] = 1 }, "unknown kind"},
		"too many regions":         {func(b []byte) { le.PutUint32(b[regions1+8:], 5000) }, "regions is not whole"},
		"no metadata":              {func(b []byte) { b[regionAt(b, 0x06)] = 'x' }, "metadata are not there"},
		"metadata of an unknown kind": {func(b []byte) { b[regionAt(b, 0x06)+32+1] ^= 1 },
			"metadata of an unknown kind"},
		"a block in another file":  {func(b []byte) { b[regionAt(b, batRegion)] |= 7 }, "another file"},
		"a block of unknown state": {func(b []byte) { b[regionAt(b, batRegion)] = b[regionAt(b, batRegion)]&^7 | 5 }, "the state 5"},
		"a block behind the end":   {func(b []byte) { b[regionAt(b, batRegion)+5] = 1 }, "cut off: the block"},
		"a block in the header":    {func(b []byte) { le.PutUint64(b[regionAt(b, batRegion):], 6) }, "cut off: the block"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, edited(t, whole, func(b []byte) []byte {
				c.edit(b)
				seal(b)
				return b
			}), c.want)
		})
	}
	t.Run("headers that are not whole", func(t *testing.T) {
		refused(t, edited(t, whole, func(b []byte) []byte { b[header1+9] ^= 1; b[header2+9] ^= 1; return b }), "neither of its headers")
	})
	t.Run("one header that is not whole", func(t *testing.T) {
		open(t, edited(t, whole, func(b []byte) []byte { b[header2+9] ^= 1; return b }))
	})
	t.Run("sectors of 4096", func(t *testing.T) {
		f := open(t, edited(t, whole, func(b []byte) []byte {
			le.PutUint32(b[item(b, itemSec):], 4096)
			le.PutUint64(b[item(b, itemSize):], 20<<20)
			return b
		}))
		if f.SectorSize() != 4096 || f.Format() != "VHDX" {
			t.Errorf("SectorSize() = %d, Format() = %s", f.SectorSize(), f.Format())
		}
	})
}

func TestAVMDKThatCannotBeReadForCertainIsRefusedInWords(t *testing.T) {
	sparse := convertTo(t, sample(t), "vmdk", "subformat=monolithicSparse,zeroed_grain=on")
	stream := asVMware(t, convertTo(t, sample(t), "vmdk", "subformat=streamOptimized"))
	le := binary.LittleEndian
	word := func(old, new string) func(b []byte) []byte {
		return func(b []byte) []byte {
			if !bytes.Contains(b, []byte(old)) {
				t.Fatalf("there is no %q", old)
			}
			return bytes.Replace(b, []byte(old), []byte(new+strings.Repeat(" ", max(0, len(old)-len(new)))), 1)
		}
	}
	put := func(at int, v ...byte) func(b []byte) []byte {
		return func(b []byte) []byte { copy(b[at:], v); return b }
	}
	directory := func(b []byte) int { return int(le.Uint64(b[56:])) * 512 }
	firstTable := func(b []byte) int { return int(le.Uint32(b[directory(b):])) * 512 }
	firstGrain := func(b []byte) int { // of a stream
		foot := b[len(b)-1024:]
		return int(le.Uint32(b[int(le.Uint32(b[int(le.Uint64(foot[56:]))*512:]))*512:])) * 512
	}
	for name, c := range map[string]struct {
		whole string
		edit  func(b []byte) []byte
		want  string
	}{
		"an unknown version":               {sparse, put(4, 9), "version 9"},
		"unknown features":                 {sparse, put(10, 0x80), "unknown features"},
		"a file that is in use":            {sparse, put(72, 1), "not closed cleanly"},
		"a transfer as text":               {sparse, put(75, '\n', '\n'), "transfer as text"},
		"an unknown compression":           {sparse, put(77, 7), "compression type (7)"},
		"no disk":                          {sparse, put(12, 0, 0, 0, 0, 0, 0, 0, 0), "a disk of 0"},
		"a disk beyond measure":            {sparse, put(19, 0x7F), "damaged: a disk"},
		"grains of 3 sectors":              {sparse, put(20, 3), "grains of 3"},
		"grains beyond measure":            {sparse, put(20, 0, 0, 1), "damaged: grains"},
		"tables of no entries":             {sparse, put(44, 0, 0, 0, 0), "tables of 0"},
		"tables beyond measure":            {sparse, put(47, 1), "damaged: grain tables"},
		"a directory behind the end":       {sparse, put(60, 1), "cut off: its directory"},
		"a descriptor behind the end":      {sparse, put(32, 1), "a descriptor of"},
		"a descriptor beyond measure":      {sparse, put(38, 1), "a descriptor of"},
		"no descriptor":                    {sparse, put(28, 0), "one of several parts"},
		"a snapshot":                       {sparse, word("parentCID=ffffffff", "parentCID=12345678"), "snapshot"},
		"encryption":                       {sparse, word("ddb.adapterType = ", "encryption.keySafe="), "encrypted"},
		"another kind":                     {sparse, word(`"monolithicSparse"`, `"custom"`), `kind "custom"`},
		"a second part":                    {sparse, word("# The Disk Data Base", "RW 1 SPARSE \"b.vmdk\""), "2 parts"},
		"a line that says nothing":         {sparse, word("RW ", "RW x"), "cannot be read"},
		"a table behind the end":           {sparse, func(b []byte) []byte { b[directory(b)+3] = 0x7F; return b }, "cut off: a table"},
		"a grain behind the end":           {sparse, func(b []byte) []byte { b[firstTable(b)+3] = 0x7F; return b }, "cut off: the grain"},
		"a stream without a footer":        {stream, func(b []byte) []byte { return b[:len(b)-512] }, "footer"},
		"a stream whose footer differs":    {stream, func(b []byte) []byte { b[len(b)-1024+12]++; return b }, "differ"},
		"a grain of another place":         {stream, func(b []byte) []byte { b[firstGrain(b)]++; return b }, "calls itself"},
		"a grain beyond measure":           {stream, func(b []byte) []byte { b[firstGrain(b)+11] = 0x7F; return b }, "a grain of"},
		"a file of an old ESX":             {sparse, word("KDMV", "COWD"), "old ESX"},
		"a zero grain without the feature": {sparse, func(b []byte) []byte { b[8] &^= 4; copy(b[firstTable(b):], "\x01\x00\x00\x7f"); return b }, "cut off"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, edited(t, c.whole, c.edit), c.want) })
	}
	t.Run("a grain that is damaged", func(t *testing.T) {
		for _, at := range []int{12, 30, 40} {
			refused(t, edited(t, stream, func(b []byte) []byte { b[firstGrain(b)+at] ^= 1; return b }), "cannot be decompressed")
		}
	})
	for _, kind := range []string{"twoGbMaxExtentSparse", "twoGbMaxExtentFlat"} {
		t.Run(kind, func(t *testing.T) {
			out := convertTo(t, sample(t), "vmdk", "subformat="+kind)
			refused(t, out, "qemu-img convert")
			if part := strings.TrimSuffix(out, ".vmdk") + "-s001.vmdk"; kind == "twoGbMaxExtentSparse" {
				refused(t, part, "one of several parts")
			}
		})
	}
}

// TestAFlatVMDKStaysInItsFolder follows the name in the descriptor nowhere else.
func TestAFlatVMDKStaysInItsFolder(t *testing.T) {
	whole := convertTo(t, sample(t), "vmdk", "subformat=monolithicFlat")
	dir, content := filepath.Dir(whole), "disk-flat.vmdk"
	secret := filepath.Join(t.TempDir(), "secret")
	size := int64(20*mib + 3*512)
	if err := errors.Join(os.WriteFile(secret, make([]byte, size), 0o600), os.Symlink(secret, filepath.Join(dir, "out")), os.Mkdir(filepath.Join(dir, "folder"), 0o700),
		os.Symlink(content, filepath.Join(dir, "in")), syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600), os.WriteFile(filepath.Join(dir, "short"), make([]byte, size-512), 0o600)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	row := fmt.Sprintf("RW %d FLAT %q 0", size/512, content)
	if !bytes.Contains(text, []byte(row)) {
		t.Fatalf("no %q in\n%s", row, text)
	}
	for name, c := range map[string]struct{ row, want string }{
		"a path that leads out":      {fmt.Sprintf("RW 40963 FLAT %q 0", secret), "same folder"},
		"a way up":                   {`RW 40963 FLAT "../secret" 0`, "same folder"},
		"the folder itself":          {`RW 40963 FLAT ".." 0`, "same folder"},
		"a path of Windows":          {`RW 40963 FLAT "C:\disk-flat.vmdk" 0`, "same folder"},
		"a link that leads out":      {`RW 40963 FLAT "out" 0`, "cannot be opened"},
		"a folder":                   {`RW 40963 FLAT "folder" 0`, "not a file"},
		"a pipe that nobody writes":  {`RW 40963 FLAT "pipe" 0`, "not a file"},
		"a file that is not there":   {`RW 40963 FLAT "gone" 0`, "missing"},
		"a file that is cut off":     {`RW 40963 FLAT "short" 0`, "cut off"},
		"an offset behind its end":   {`RW 40963 FLAT "disk-flat.vmdk" 9999999999999`, "damaged"},
		"an offset too many":         {`RW 40963 FLAT "disk-flat.vmdk" 1`, "cut off"},
		"no access":                  {`NOACCESS 40963 FLAT "disk-flat.vmdk" 0`, "NOACCESS"},
		"sectors beyond measure":     {`RW 9999999999999 FLAT "disk-flat.vmdk" 0`, "damaged"},
		"an extent of another kind":  {`RW 40963 ZERO`, "(ZERO) are not read"},
		"a disk of several parts":    {row + "\n" + row, "2 parts"},
		"no part at all":             {"", "0 parts"},
		"a link inside the folder":   {`RW 40963 FLAT "in" 0`, ""},
		"a disk from an offset on":   {`RW 40962 FLAT "disk-flat.vmdk" 1`, ""},
		"a part of the content only": {`RW 100 FLAT "disk-flat.vmdk" 0`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".vmdk")
			if err := os.WriteFile(path, bytes.Replace(text, []byte(row), []byte(c.row), 1), 0o600); err != nil {
				t.Fatal(err)
			}
			if c.want != "" {
				refused(t, path, c.want)
				return
			}
			if err := readAll(open(t, path)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("content that is written meanwhile", func(t *testing.T) {
		f := open(t, whole)
		if err := os.Truncate(filepath.Join(dir, content), 30*mib); err != nil {
			t.Fatal(err)
		}
		var r *diskfile.Refusal
		if err := f.Unchanged(); !errors.As(err, &r) {
			t.Errorf("Unchanged() = %v; want a Refusal", err)
		}
	})
}

// TestATruncatedVirtualDiskIsAnErrorInWords unless nothing of the disk was in what is gone.
func TestATruncatedVirtualDiskIsAnErrorInWords(t *testing.T) {
	raw := sample(t)
	want, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	cut := 0
	for _, kind := range []string{"vhdx subformat=dynamic", "vhdx subformat=fixed", "vmdk subformat=monolithicSparse", "vmdk subformat=streamOptimized"} {
		format, opts, _ := strings.Cut(kind, " ")
		whole := convertTo(t, raw, format, opts)
		for _, part := range []int{1, 7, 20, 50, 66, 90} {
			t.Run(fmt.Sprintf("%s, %d percent", kind, part), func(t *testing.T) {
				path := edited(t, whole, func(b []byte) []byte { return b[:len(b)*part/100] })
				if f, err := diskfile.Open(path); err == nil && readAll(f) == nil {
					if got, _ := readByRuns(t, f); !bytes.Equal(got, want) {
						t.Error("a truncated file gives another disk")
					}
					f.Close()
					return
				}
				cut++
				refused(t, path, "")
			})
		}
	}
	if cut < 20 {
		t.Errorf("only %d of 24 truncated files were refused", cut)
	}
}

// fuzzed runs edits over a file: eight bytes are a place and a value. Places lie in the areas, which are where
// the file's tables are.
func fuzzed(t *testing.T, path string, whole []byte, areas [][2]int, edits []byte, seal func([]byte)) {
	b := bytes.Clone(whole)
	for ; len(edits) >= 8; edits = edits[8:] {
		p := binary.LittleEndian.Uint32(edits)
		a := areas[int(p>>24)%len(areas)]
		if at := a[0] + int(p&0xFFFFFF)%a[1]; at+4 <= len(b) {
			copy(b[at:], edits[4:8])
		}
	}
	if seal != nil {
		seal(b)
	}
	writeChanges(t, path, b)
	f, err := diskfile.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	buf := make([]byte, 4096)
	for off, n := int64(0), 0; off < f.Size() && n < 300; n++ {
		start, end, err := f.NextData(off)
		if err != nil {
			return
		}
		if start < off || end < start || (start == end && start != f.Size()) {
			t.Fatalf("NextData(%d) = %d, %d of %d", off, start, end, f.Size())
		}
		if start < end {
			_, _ = f.ReadAt(buf, start)
		}
		off = end
	}
}

// writeChanges makes a file what b is, writing only the pages that differ.
func writeChanges(t *testing.T, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(len(b))); err != nil {
		t.Fatal(err)
	}
	page := make([]byte, 64<<10)
	for at := 0; at < len(b); at += len(page) {
		want := b[at:min(at+len(page), len(b))]
		if n, _ := f.ReadAt(page, int64(at)); bytes.Equal(page[:n], want) {
			continue
		}
		if _, err := f.WriteAt(want, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzVHDX(f *testing.F) {
	small := filepath.Join(f.TempDir(), "small.raw")
	if err := os.WriteFile(small, bytes.Repeat([]byte("abc\n"), 3000)[:9216], 0o600); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(convertTo(f, small, "vhdx", "subformat=dynamic,block_size=1M"))
	if err != nil {
		f.Fatal(err)
	}
	whole = whole[:min(len(whole), regionAt(whole, batRegion)+2*mib)]
	areas := [][2]int{{header1, 80}, {header2, 80}, {regions1, 100}, {regionAt(whole, 0x06), 256}, {item(whole, itemParameters), 64}, {regionAt(whole, batRegion), 64}}
	path := filepath.Join(f.TempDir(), "fuzzed")
	f.Add([]byte("\x08\x00\x00\x04\x00\x00\x00\x40"))
	f.Fuzz(func(t *testing.T, edits []byte) { fuzzed(t, path, whole, areas, edits, seal) })
}

func FuzzVMDK(f *testing.F) {
	small := filepath.Join(f.TempDir(), "small.raw")
	if err := os.WriteFile(small, bytes.Repeat([]byte("abc\n"), 3000)[:9216], 0o600); err != nil {
		f.Fatal(err)
	}
	var bases [][]byte
	for i, kind := range []string{"monolithicSparse", "streamOptimized", "monolithicFlat"} {
		b, err := os.ReadFile(convertTo(f, small, "vmdk", "subformat="+kind))
		if err != nil {
			f.Fatal(err)
		}
		bases = append(bases, b)
		f.Add(byte(i), []byte("\x14\x00\x00\x00\x08\x00\x00\x00"))
	}
	path := filepath.Join(f.TempDir(), "fuzzed")
	f.Fuzz(func(t *testing.T, which byte, edits []byte) {
		b := bases[int(which)%len(bases)]
		areas := [][2]int{{0, min(len(b), 80)}, {0, len(b)}, {max(0, len(b)-1024), min(len(b), 80)}, {min(512, len(b)/2), min(len(b)/2, 400)}}
		fuzzed(t, path, b, areas, edits, nil)
	})
}

// Whoever may open a small text file must not make the daemon read what that file names.
func TestAFileThatIsHandedOverOpensNoOther(t *testing.T) {
	path := convertTo(t, sample(t), "vmdk", "subformat=monolithicFlat")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = diskfile.From(f, path)
	var r *diskfile.Refusal
	if !errors.As(err, &r) || !strings.Contains(r.Why, "second file") {
		t.Errorf("From = %v; want a refusal", err)
	}
}
