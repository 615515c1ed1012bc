package e2e

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ingot/cmd/internal/lab"
)

// The Windows disk of the lab: GPT, one NTFS.
const (
	windowsSize  = gib
	windowsAt    = mib
	windowsBytes = windowsSize - 2*windowsAt
)

// registry is what the reference machine's hives say, file by file, in the words of Windows' own exports. A key's
// parents stand before it.
var registry = map[string]string{
	"Windows/System32/config/SYSTEM": `
[\Setup]
"SystemSetupInProgress"=dword:00000000
"CmdLine"=""

[\ControlSet001]
[\ControlSet001\Control]
[\ControlSet001\Control\ComputerName]
[\ControlSet001\Control\ComputerName\ComputerName]
"ComputerName"="REF-WIN"
`,
	"Windows/System32/config/SOFTWARE": `
[\Microsoft]
[\Microsoft\Windows NT]
[\Microsoft\Windows NT\CurrentVersion]
"ProductName"="Windows 11 Pro"
"CurrentBuild"="26100"
"UBR"=dword:000010d2
`,
	"Windows/System32/config/SAM":     "\n[\\SAM]\n",
	"Users/Default/NTUSER.DAT":        "\n[\\Software]\n\"x\"=\"y\"\n",
	"Windows/System32/config/DEFAULT": "\n[\\Environment]\n",
}

// seedHive is the smallest hive that there can be: a root key and its security record, after the layout that Windows
// writes (base block, one bin, cells). All else is put in by hivex.
func seedHive() []byte {
	const none, root, security = 0xffffffff, 0x20, 0x78
	b := make([]byte, 8192)
	put := func(at int, values ...uint32) {
		for i, v := range values {
			binary.LittleEndian.PutUint32(b[at+4*i:], v)
		}
	}
	copy(b, "regf")
	put(4, 1, 1)
	put(0x14, 1, 5, 0, 1, root, 0x1000, 1)
	sum := uint32(0)
	for i := 0; i < 508; i += 4 {
		sum ^= binary.LittleEndian.Uint32(b[i:])
	}
	put(508, sum)
	bin := b[0x1000:]
	copy(bin, "hbin")
	put(0x1000+4, 0, 0x1000)
	size := func(cell, n int) { put(0x1000+cell, uint32(n)) }
	size(root, -(security - root))
	key := bin[root+4:]
	copy(key, "nk")
	binary.LittleEndian.PutUint16(key[2:], 0x2c) // a root, with a name of one byte a letter
	at := 0x1000 + root + 4
	put(at+0x10, none)
	put(at+0x1c, none, none, 0, none, security, none)
	binary.LittleEndian.PutUint16(key[0x48:], 4)
	copy(key[0x4c:], "ROOT")
	size(security, -0x30)
	copy(bin[security+4:], "sk")
	put(0x1000+security+8, security, security, 1, 20)
	copy(bin[security+24:], []byte{1, 0, 4, 0x80})
	size(security+0x30, 0x1000-security-0x30)
	return b
}

// makeHive writes a hive with what it says.
func makeHive(ctx context.Context, path, says string) error {
	if err := os.WriteFile(path, seedHive(), 0o644); err != nil {
		return err
	}
	text := path + ".reg"
	says = strings.ReplaceAll(says, "]\n[", "]\n\n[") // hivex wants an empty line before each key
	if err := os.WriteFile(text, []byte("Windows Registry Editor Version 5.00\n"+says), 0o644); err != nil {
		return err
	}
	out, err := lab.Command(ctx, "hivexregedit", "--merge", path, text)
	if err != nil {
		return fmt.Errorf("make hive %s: %w: %s", filepath.Base(path), err, out)
	}
	return os.Remove(text)
}

// windowsTree fills a mounted NTFS as Windows would: hives, programs, many small files, long names, and holes where
// files were deleted.
func windowsTree(ctx context.Context, dir string) error {
	rng := rand.New(rand.NewPCG(11, 7))
	write := func(path string, n int) error {
		b := make([]byte, n)
		for i := range b {
			if b[i] = byte(rng.Uint32()); n > 1<<20 && i%8192 > 4096 {
				b[i] = "MZ program"[i%10]
			}
		}
		path = filepath.Join(dir, path)
		return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o644))
	}
	for path, says := range registry {
		path = filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), makeHive(ctx, path, says)); err != nil {
			return err
		}
	}
	errs := []error{write("Windows/explorer.exe", 5<<20), write("Windows/System32/ntoskrnl.exe", 11<<20), write("Windows/empty.txt", 0)}
	for i := range 600 {
		errs = append(errs, write(fmt.Sprintf("Windows/WinSxS/amd64_größe-%d_%s/file%d.dll", i%40, strings.Repeat("n", i%90), i), rng.IntN(40000)))
		if i%3 == 0 {
			errs = append(errs, write(fmt.Sprintf("Users/gone/tmp%d.bin", i), 200000))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(filepath.Join(dir, "Users/gone")))...)
}

// makeWindowsDisk makes the disk file, and gives what lies in its NTFS.
func makeWindowsDisk(ctx context.Context, e *Env, path string) (tree, error) {
	volume := filepath.Join(e.Dir, "windows.ntfs")
	if err := errors.Join(emptyFile(path, windowsSize), emptyFile(volume, windowsBytes)); err != nil {
		return nil, err
	}
	if _, err := lab.Command(ctx, "mkfs.ntfs", "-q", "-F", "-f", "-L", "Windows", "-p", "2048", volume); err != nil {
		return nil, err
	}
	var was tree
	err := e.mounted(ctx, volume, func(dir string) (err error) {
		if err = windowsTree(ctx, dir); err == nil {
			was, err = treeOf(dir)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, argv := range [][]string{
		{"sgdisk", "-a", "1", fmt.Sprintf("--new=1:%d:%d", windowsAt/512, (windowsAt+windowsBytes)/512-1), "-t", "1:0700", "-c", "1:Basic data partition", path},
		{"dd", "if=" + volume, "of=" + path, "bs=1M", "seek=1", "conv=sparse,notrunc", "status=none"},
	} {
		if out, err := lab.Command(ctx, argv...); err != nil {
			return nil, fmt.Errorf("%w: %s", err, out)
		}
	}
	return was, os.Remove(volume)
}

// ntfsOf cuts the NTFS out of a disk file.
func ntfsOf(ctx context.Context, e *Env, disk string) (string, error) {
	volume := filepath.Join(e.Dir, filepath.Base(disk)+".ntfs")
	_, err := lab.Command(ctx, "dd", "if="+disk, "of="+volume, "bs=1M", "skip=1", fmt.Sprintf("count=%d", windowsBytes/mib), "conv=sparse", "status=none")
	return volume, err
}

// mounted runs fn on the files of an NTFS in a file, by ntfs-3g, and returns when all of it is on the volume.
func (e *Env) mounted(ctx context.Context, volume string, fn func(dir string) error) error {
	dir, err := os.MkdirTemp(e.Dir, "mount-")
	if err != nil {
		return err
	}
	var said strings.Builder
	c := exec.CommandContext(ctx, "ntfs-3g", "-o", "no_detach", volume, dir)
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		return err
	}
	gone := make(chan error, 1)
	go func() { gone <- c.Wait() }()
	for mounted := false; !mounted; {
		select {
		case err := <-gone:
			return fmt.Errorf("ntfs-3g %s: %w: %s", filepath.Base(volume), err, said.String())
		case <-time.After(50 * time.Millisecond):
			var above, here syscall.Stat_t
			if err := errors.Join(syscall.Stat(e.Dir, &above), syscall.Stat(dir, &here)); err != nil {
				return err
			}
			mounted = above.Dev != here.Dev
		}
	}
	err = fn(dir)
	if out, uerr := lab.Command(ctx, "umount", dir); uerr != nil {
		return errors.Join(err, uerr, errors.New(out))
	}
	return errors.Join(err, <-gone)
}
