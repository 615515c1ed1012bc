package golden

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"ingot/cmd/internal/lab"
)

// The identities of the file systems are fixed: the boot loaders' little configuration files name them.
const (
	rootUUID = "6b1d0c1e-52d1-4c07-9d0a-1b0c5a7e0001"
	espUUID  = "1A60-0001"
	swapUUID = "6b1d0c1e-52d1-4c07-9d0a-1b0c5a7e0002"
)

// The layout, in bytes.
const (
	mib      = 1 << 20
	sector   = 512
	biosAt   = 1 * mib
	biosSize = 1 * mib
	espAt    = biosAt + biosSize
	espSize  = 64 * mib
	rootAt   = espAt + espSize
	diskSize = 2048 * mib
	swapSize = 128 * mib
	tailSize = 1 * mib // the backup GPT and its alignment
)

func treeDir(dir string) string { return filepath.Join(dir, "tree") }
func bootDir(dir string) string { return filepath.Join(dir, "boot") }

func swapUUIDOf(f Flavour) string {
	if f == Swap {
		return swapUUID
	}
	return ""
}

func layOut(ctx context.Context, f Flavour, dir, disk string) error {
	rootEnd := int64(diskSize - tailSize)
	if f == Swap {
		rootEnd -= swapSize
	}
	for _, step := range []func() error{
		func() error { return partition(ctx, f, disk, rootEnd) },
		func() error { return fillESP(ctx, dir, disk) },
		func() error { return fillRoot(ctx, dir, disk, rootEnd) },
		func() error { return fillSwap(ctx, f, dir, disk, rootEnd) },
		func() error { return installBIOS(ctx, dir, disk) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func partition(ctx context.Context, f Flavour, disk string, rootEnd int64) error {
	if err := os.WriteFile(disk, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(disk, diskSize); err != nil {
		return err
	}
	span := func(n int, from, to int64) string { return fmt.Sprintf("--new=%d:%d:%d", n, from/sector, to/sector-1) }
	args := []string{"sgdisk", "-a", "1",
		span(1, biosAt, espAt), "-t", "1:ef02", "-c", "1:BIOS boot",
		span(2, espAt, rootAt), "-t", "2:ef00", "-c", "2:EFI system",
		span(3, rootAt, rootEnd), "-t", "3:8304", "-c", "3:root"}
	if f == Swap {
		args = append(args, span(4, rootEnd, rootEnd+swapSize), "-t", "4:8200", "-c", "4:swap")
	}
	_, err := lab.Command(ctx, append(args, disk)...)
	return err
}

// fillESP puts Debian's signed loaders where Debian puts them, and again at the fallback path that firmware
// without boot entries looks for. GRUB reads /EFI/debian/grub.cfg whichever copy was started.
func fillESP(ctx context.Context, dir, disk string) error {
	cfg := filepath.Join(dir, "esp.cfg")
	text := "search.fs_uuid " + rootUUID + " root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n"
	if err := os.WriteFile(cfg, []byte(text), 0o644); err != nil {
		return err
	}
	esp := filepath.Join(dir, "esp.fat")
	if err := os.WriteFile(esp, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(esp, espSize); err != nil {
		return err
	}
	shim := filepath.Join(bootDir(dir), "usr/lib/shim/shimx64.efi.signed")
	grub := filepath.Join(bootDir(dir), "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed")
	for _, argv := range [][]string{
		{"mkfs.vfat", "-F", "32", "-n", "ESP", "-i", "1A600001", esp},
		{"mmd", "-i", esp, "::/EFI", "::/EFI/BOOT", "::/EFI/debian"},
		{"mcopy", "-i", esp, shim, "::/EFI/BOOT/BOOTX64.EFI"},
		{"mcopy", "-i", esp, grub, "::/EFI/BOOT/grubx64.efi"},
		{"mcopy", "-i", esp, shim, "::/EFI/debian/shimx64.efi"},
		{"mcopy", "-i", esp, grub, "::/EFI/debian/grubx64.efi"},
		{"mcopy", "-i", esp, cfg, "::/EFI/debian/grub.cfg"},
	} {
		if _, err := lab.Command(ctx, argv...); err != nil {
			return err
		}
	}
	return copySparse(esp, disk, espAt)
}

func fillRoot(ctx context.Context, dir, disk string, rootEnd int64) error {
	root := filepath.Join(dir, "root.ext4")
	// Features that GRUB 2.06 cannot read are left out; the rest are Debian's defaults.
	if _, err := lab.Command(ctx, "mkfs.ext4", "-q", "-F", "-b", "4096", "-L", "root", "-U", rootUUID, "-O", "^orphan_file,^metadata_csum_seed",
		"-d", treeDir(dir), root, strconv.FormatInt((rootEnd-rootAt)/4096, 10)); err != nil {
		return err
	}
	return copySparse(root, disk, rootAt)
}

func fillSwap(ctx context.Context, f Flavour, dir, disk string, at int64) error {
	if f != Swap {
		return nil
	}
	swap := filepath.Join(dir, "swap")
	if err := os.WriteFile(swap, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(swap, swapSize); err != nil {
		return err
	}
	if _, err := lab.Command(ctx, "mkswap", "-U", swapUUID, "-L", "swap", swap); err != nil {
		return err
	}
	return copySparse(swap, disk, at)
}

// installBIOS does what grub-install does on a GPT disk, without a block device: the core image goes into the
// BIOS boot partition, its address into the boot sector (offset 0x5c, 8 bytes) and the address of its second
// sector into the block list at the end of its first (offset 0x1f4).
func installBIOS(ctx context.Context, dir, disk string) error {
	lib := filepath.Join(bootDir(dir), "usr/lib/grub/i386-pc")
	early := filepath.Join(dir, "early.cfg")
	text := "search.fs_uuid " + rootUUID + " root\nset prefix=($root)/boot/grub\n"
	if err := os.WriteFile(early, []byte(text), 0o644); err != nil {
		return err
	}
	corePath := filepath.Join(dir, "core.img")
	if _, err := lab.Command(ctx, "grub-mkimage", "-O", "i386-pc", "-d", lib, "-o", corePath, "-c", early, "-p", "/boot/grub",
		"biosdisk", "part_gpt", "ext2", "search", "search_fs_uuid", "search_label", "normal", "configfile", "linux", "test", "echo"); err != nil {
		return err
	}
	core, err := os.ReadFile(corePath)
	if err != nil {
		return err
	}
	boot, err := os.ReadFile(filepath.Join(lib, "boot.img"))
	if err != nil {
		return err
	}
	if len(core) <= sector || len(core) > biosSize || len(boot) != sector {
		return errors.New("GRUB's images have an unexpected size")
	}
	const coreLBA = biosAt / sector
	binary.LittleEndian.PutUint64(boot[0x5c:], coreLBA)
	copy(boot[0x66:], []byte{0x90, 0x90}) // believe a BIOS that passes a strange drive number, as grub-install does
	binary.LittleEndian.PutUint64(core[0x1f4:], coreLBA+1)
	if err := writeSparse(disk, biosAt, core); err != nil {
		return err
	}
	return writeSparse(disk, 0, boot[:440]) // the partition table behind it stays
}

// copySparse copies a file into an existing one at an offset.
func copySparse(from, disk string, at int64) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(disk, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	buf := make([]byte, mib)
	for {
		n, err := io.ReadFull(in, buf)
		if werr := writeBlocks(out, at, buf[:n]); werr != nil {
			return werr
		}
		at += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return out.Close()
		}
		if err != nil {
			return err
		}
	}
}

// writeSparse writes data at an offset of an existing file.
func writeSparse(disk string, at int64, data []byte) error {
	f, err := os.OpenFile(disk, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := writeBlocks(f, at, data); err != nil {
		return err
	}
	return f.Close()
}

// writeBlocks writes data and leaves zero blocks as holes.
func writeBlocks(f *os.File, at int64, data []byte) error {
	const block = 4096
	for off := 0; off < len(data); off += block {
		part := data[off:min(off+block, len(data))]
		if allZero(part) {
			continue
		}
		if _, err := f.WriteAt(part, at+int64(off)); err != nil {
			return err
		}
	}
	return nil
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
