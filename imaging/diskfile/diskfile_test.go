package diskfile_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ingot/imaging/diskfile"
)

const mib = 1 << 20

// sample is a disk of 20 MiB and 3 sectors with data of several kinds between holes.
func sample(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sample.raw")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rnd := rand.New(rand.NewSource(1))
	noise := make([]byte, 700_000)
	rnd.Read(noise)
	for at, b := range map[int64][]byte{0: noise[:5000], 3 * mib: bytes.Repeat([]byte("text "), 100_000), 9*mib + 512: noise, 20*mib + 1024: noise[:512]} {
		if _, err := f.WriteAt(b, at); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func qemuImg(t testing.TB, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("qemu-img"); err != nil {
		t.Skip("qemu-img is missing: install Debian's package qemu-utils")
	}
	if out, err := exec.Command("qemu-img", args...).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img %v: %v\n%s", args, err, out)
	}
}

// convert makes a qcow2 of a raw file with the given options.
func convert(t testing.TB, raw, opts string, extra ...string) string {
	t.Helper()
	return convertTo(t, raw, "qcow2", opts, extra...)
}

// convertTo makes a file of another format of a raw file.
func convertTo(t testing.TB, raw, format, opts string, extra ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "disk."+format)
	args := append([]string{"convert", "-f", "raw", "-O", format, "-o", opts}, extra...)
	qemuImg(t, append(args, raw, out)...)
	return out
}

func open(t testing.TB, path string) *diskfile.File {
	t.Helper()
	f, err := diskfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// readByRuns reads only what NextData names, as capture does; the rest stays zero.
func readByRuns(t *testing.T, f *diskfile.File) (disk []byte, stored int64) {
	t.Helper()
	disk = make([]byte, f.Size())
	for off := int64(0); off < f.Size(); {
		start, end, err := f.NextData(off)
		if err != nil {
			t.Fatal(err)
		}
		if start < off || end < start || (start == end && start != f.Size()) {
			t.Fatalf("NextData(%d) = %d, %d", off, start, end)
		}
		if start < end {
			if _, err := f.ReadAt(disk[start:end], start); err != nil {
				t.Fatal(err)
			}
		}
		stored += end - start
		off = end
	}
	return disk, stored
}

func TestEveryKindOfFileGivesTheSameDisk(t *testing.T) {
	raw := sample(t)
	want, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	snapshot := convert(t, raw, "compat=1.1")
	qemuImg(t, "snapshot", "-c", "before", snapshot)
	for name, path := range map[string]string{
		"raw":                                raw,
		"qcow2 version 2":                    convert(t, raw, "compat=0.10"),
		"qcow2 version 3":                    convert(t, raw, "compat=1.1"),
		"qcow2 with zlib":                    convert(t, raw, "compat=1.1", "-c"),
		"qcow2 version 2 with zlib":          convert(t, raw, "compat=0.10", "-c"),
		"qcow2 with zstd":                    convert(t, raw, "compat=1.1,compression_type=zstd", "-c"),
		"qcow2 with clusters of 512 bytes":   convert(t, raw, "compat=1.1,cluster_size=512"),
		"qcow2 with clusters of 2 MiB":       convert(t, raw, "compat=1.1,cluster_size=2M", "-c"),
		"qcow2 with small zlib clusters":     convert(t, raw, "compat=1.1,cluster_size=4k", "-c"),
		"qcow2 with all tables written":      convert(t, raw, "compat=1.1,preallocation=metadata"),
		"qcow2 with zeros written out":       convert(t, raw, "compat=1.1", "-S", "0"),
		"qcow2 with a snapshot of the state": snapshot,
		"VHDX":                               convertTo(t, raw, "vhdx", "subformat=dynamic"),
		"VHDX with blocks of 2 MiB":          convertTo(t, raw, "vhdx", "subformat=dynamic,block_size=2M"),
		"VHDX of fixed size":                 convertTo(t, raw, "vhdx", "subformat=fixed"),
		"VHDX with absent blocks":            convertTo(t, raw, "vhdx", "subformat=fixed,block_size=1M,block_state_zero=off"),
		"VMDK":                               convertTo(t, raw, "vmdk", "subformat=monolithicSparse"),
		"VMDK with zeroed grains":            convertTo(t, raw, "vmdk", "subformat=monolithicSparse,zeroed_grain=on"),
		"VMDK of streams":                    convertTo(t, raw, "vmdk", "subformat=streamOptimized"),
		"VMDK of streams with a footer":      asVMware(t, convertTo(t, raw, "vmdk", "subformat=streamOptimized")),
		"VMDK with its content beside it":    convertTo(t, raw, "vmdk", "subformat=monolithicFlat"),
		"VMDK as ESXi has it":                asESXi(t, convertTo(t, raw, "vmdk", "subformat=monolithicFlat")),
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t, path)
			if f.Size() != int64(len(want)) || f.SectorSize() != 512 {
				t.Fatalf("Size %d, SectorSize %d; want %d, 512", f.Size(), f.SectorSize(), len(want))
			}
			got := make([]byte, f.Size())
			for off := 0; off < len(got); off += 70_001 {
				end := min(off+70_001, len(got))
				if _, err := f.ReadAt(got[off:end], int64(off)); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got, want) {
				t.Error("ReadAt gives another disk")
			}
			if got, _ := readByRuns(t, f); !bytes.Equal(got, want) {
				t.Error("the runs of NextData give another disk")
			}
			if n, err := f.ReadAt(make([]byte, 100), f.Size()-10); n != 10 || err != io.EOF {
				t.Errorf("ReadAt over the end = %d, %v; want 10, EOF", n, err)
			}
			if err := f.Unchanged(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestZeroedClustersAreNotStored(t *testing.T) {
	path := convert(t, sample(t), "compat=1.1")
	if _, err := exec.LookPath("qemu-io"); err != nil {
		t.Skip("qemu-io is missing: install Debian's package qemu-utils")
	}
	if out, err := exec.Command("qemu-io", "-c", "write -z 9M 1M", path).CombinedOutput(); err != nil {
		t.Fatalf("qemu-io: %v\n%s", err, out)
	}
	disk, stored := readByRuns(t, open(t, path))
	if !bytes.Equal(disk[9*mib:10*mib], make([]byte, mib)) {
		t.Error("the zeroed MiB is not zero")
	}
	if stored > 2*mib {
		t.Errorf("%d bytes are stored; want less than 2 MiB", stored)
	}
}

// asESXi says of a flat VMDK what ESXi says.
func asESXi(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(bytes.Replace(b, []byte("monolithicFlat"), []byte("vmfs"), 1), []byte(" FLAT "), []byte(" VMFS "), 1)
	b = bytes.Replace(b, []byte("vmdk\" 0\n"), []byte("vmdk\"\n"), 1)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnEmptyQuarterTerabyteIsOneStep(t *testing.T) {
	qcow := filepath.Join(t.TempDir(), "empty.qcow2")
	qemuImg(t, "create", "-q", "-f", "qcow2", qcow, "250G")
	raw := filepath.Join(t.TempDir(), "empty.raw")
	if err := errors.Join(os.WriteFile(raw, nil, 0o600), os.Truncate(raw, 250<<30)); err != nil {
		t.Fatal(err)
	}
	vhdx, vmdk := filepath.Join(t.TempDir(), "empty.vhdx"), filepath.Join(t.TempDir(), "empty.vmdk")
	qemuImg(t, "create", "-q", "-f", "vhdx", vhdx, "250G")
	qemuImg(t, "create", "-q", "-f", "vmdk", vmdk, "250G")
	for _, path := range []string{qcow, raw, vhdx, vmdk} {
		f := open(t, path)
		if start, end, err := f.NextData(0); start != 250<<30 || end != 250<<30 || err != nil {
			t.Errorf("NextData(0) = %d, %d, %v; want the end", start, end, err)
		}
	}
}

func TestSectorSizeComesFromTheGPT(t *testing.T) {
	path := filepath.Join(t.TempDir(), "4k.raw")
	disk := make([]byte, mib)
	copy(disk[4096:], "EFI PART")
	if err := os.WriteFile(path, disk, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := open(t, path).SectorSize(); got != 4096 {
		t.Errorf("SectorSize() = %d; want 4096", got)
	}
}

func TestAFileWrittenMeanwhileIsNoticed(t *testing.T) {
	path := sample(t)
	f := open(t, path)
	if err := os.Truncate(path, 30*mib); err != nil {
		t.Fatal(err)
	}
	var r *diskfile.Refusal
	if err := f.Unchanged(); !errors.As(err, &r) {
		t.Errorf("Unchanged() = %v; want a Refusal", err)
	}
}

func TestAFileThatAVirtualMachineUsesIsRefused(t *testing.T) {
	path := convert(t, sample(t), "compat=1.1")
	if _, err := exec.LookPath("qemu-io"); err != nil {
		t.Skip("qemu-io is missing: install Debian's package qemu-utils")
	}
	cmd := exec.Command("qemu-io", path) // holds the file open as a machine does, until its input ends
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(stdin, "write 0 512\n")
	if _, err := stdout.Read(make([]byte, 1)); err != nil { // it speaks, so the file is open
		t.Fatal(err)
	}
	f, err := diskfile.Open(path)
	if r := (*diskfile.Refusal)(nil); !errors.As(err, &r) || !strings.Contains(r.Why, "virtual machine") {
		t.Errorf("Open = %v, %v; want a Refusal", f, err)
	}
	stdin.Close()
	if _, err := io.Copy(io.Discard, stdout); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

// patch changes bytes of a copy of a file.
func patch(t testing.TB, path string, at int64, b []byte) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[at:], b)
	out := filepath.Join(t.TempDir(), "patched")
	if err := os.WriteFile(out, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
func u64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func TestWhatCannotBeReadForCertainIsRefusedInWords(t *testing.T) {
	raw := sample(t)
	plain := convert(t, raw, "compat=1.1")
	make_ := func(args ...string) string {
		out := filepath.Join(t.TempDir(), "out")
		qemuImg(t, append(append([]string{"create", "-q"}, args...), out, "10M")...)
		return out
	}
	text := func(s string) string {
		p := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(p, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	backed := filepath.Join(t.TempDir(), "backed.qcow2")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", backed)
	external := filepath.Join(t.TempDir(), "external.qcow2")
	qemuImg(t, "create", "-q", "-f", "qcow2", "-o", "data_file="+filepath.Join(t.TempDir(), "data"), external, "10M")
	cases := map[string]struct{ path, want string }{
		"a backing file":              {backed, "backing file"},
		"encryption":                  {patch(t, plain, 32, u32(2)), "encrypted"},
		"an external data file":       {external, "second file"},
		"extended L2 entries":         {make_("-f", "qcow2", "-o", "extended_l2=on"), "extended L2"},
		"a dirty file":                {patch(t, plain, 72, u64(1)), "not closed cleanly"},
		"a corrupt file":              {patch(t, plain, 72, u64(2)), "corrupt"},
		"an unknown feature":          {patch(t, plain, 72, u64(1<<40)), "unknown features"},
		"an unknown version":          {patch(t, plain, 4, u32(4)), "version 4"},
		"an unknown compression":      {patch(t, patch(t, plain, 72, u64(8)), 104, []byte{9}), "compression type"},
		"clusters beyond measure":     {patch(t, plain, 20, u32(60)), "damaged"},
		"a disk of no size":           {patch(t, plain, 24, u64(0)), "damaged"},
		"a disk beyond its L1 table":  {patch(t, plain, 24, u64(1<<50)), "damaged"},
		"an L1 table behind the end":  {patch(t, plain, 40, u64(1<<40)), "cut off"},
		"an L1 table of odd place":    {patch(t, plain, 40, u64(12345)), "cut off"},
		"a VDI":                       {make_("-f", "vdi"), "VDI"},
		"a VHD":                       {make_("-f", "vpc"), "VHD"},
		"a gzip file":                 {text("\x1f\x8b" + strings.Repeat("x", 1022)), "gzip"},
		"a raw file of half a sector": {text(strings.Repeat("x", 1000)), "cut off"},
		"an empty file":               {text(""), "0 bytes"},
		"a folder":                    {t.TempDir(), "folder"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f, err := diskfile.Open(c.path)
			var r *diskfile.Refusal
			if !errors.As(err, &r) || !strings.Contains(r.Why, c.want) {
				t.Errorf("Open = %v, %v; want a Refusal with %q", f, err, c.want)
			}
		})
	}
}

func TestATruncatedQcow2IsAnErrorWhereItIsRead(t *testing.T) {
	for _, opts := range [][]string{{"compat=1.1"}, {"compat=1.1", "-c"}} {
		path := convert(t, sample(t), opts[0], opts[1:]...)
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, fi.Size()*2/3); err != nil {
			t.Fatal(err)
		}
		f, err := diskfile.Open(path)
		if err == nil {
			defer f.Close()
			err = readAll(f)
		}
		if err == nil {
			t.Errorf("a truncated file (%v) reads to its end", opts)
		}
	}
}

func readAll(f *diskfile.File) error {
	for off := int64(0); off < f.Size(); {
		start, end, err := f.NextData(off)
		if err != nil {
			return err
		}
		buf := make([]byte, min(end-start, 1<<20))
		for at := start; at < end; at += int64(len(buf)) {
			if _, err := f.ReadAt(buf[:min(int64(len(buf)), end-at)], at); err != nil {
				return err
			}
		}
		off = end
	}
	return nil
}

// FuzzQcow2 edits real files: eight bytes are a place and a value.
func FuzzQcow2(f *testing.F) {
	dir := f.TempDir()
	small := filepath.Join(dir, "small.raw")
	if err := os.WriteFile(small, bytes.Repeat([]byte("abc\n"), 3000)[:9216], 0o600); err != nil {
		f.Fatal(err)
	}
	var bases [][]byte
	for i, args := range [][]string{{"-o", "compat=1.1,cluster_size=512"}, {"-c", "-o", "compat=0.10,cluster_size=1k"}, {"-c", "-o", "compression_type=zstd,cluster_size=4k"}} {
		out := filepath.Join(dir, "x.qcow2")
		qemuImg(f, append(append([]string{"convert", "-f", "raw", "-O", "qcow2"}, args...), small, out)...)
		b, err := os.ReadFile(out)
		if err != nil {
			f.Fatal(err)
		}
		bases = append(bases, b)
		f.Add(byte(i), []byte("\x00\x00\x00\x18\x00\x00\x00\x01"))
	}
	f.Fuzz(func(t *testing.T, which byte, edits []byte) {
		b := bytes.Clone(bases[int(which)%len(bases)])
		for ; len(edits) >= 8; edits = edits[8:] {
			if at := int(binary.BigEndian.Uint32(edits)) % len(b); at+4 <= len(b) {
				copy(b[at:], edits[4:8])
			}
		}
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		walkFile(t, path)
	})
}

// walkFile reads what a file stores, to some depth, and fails when its runs misbehave.
func walkFile(t *testing.T, path string) {
	d, err := diskfile.Open(path)
	if err != nil {
		return
	}
	defer d.Close()
	for steps, off := 0, int64(0); off < d.Size() && steps < 100; steps++ {
		start, end, err := d.NextData(off)
		if err != nil {
			return
		}
		if start < off || end > d.Size() || (start == end && start != d.Size()) {
			t.Fatalf("NextData(%d) = %d, %d on a disk of %d", off, start, end, d.Size())
		}
		_, _ = d.ReadAt(make([]byte, min(end-start, 8192)), start)
		off = end
	}
}

// TestWhatIsNoFileIsRefusedAtOnce: a pipe would hold the import until somebody writes into it.
func TestWhatIsNoFileIsRefusedAtOnce(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, "/dev/zero", "/dev/null", t.TempDir()} {
		ended := make(chan error, 1)
		go func() { _, err := diskfile.Open(path); ended <- err }()
		select {
		case err := <-ended:
			var r *diskfile.Refusal
			if !errors.As(err, &r) || !strings.Contains(r.Why, "neither a file nor a drive") && !strings.Contains(r.Why, "folder") {
				t.Errorf("Open(%s) = %v; want a refusal in words", path, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("Open(%s) is still waiting", path)
		}
	}
}
