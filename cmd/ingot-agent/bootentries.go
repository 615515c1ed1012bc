package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rs/zerolog"

	"ingot/firmware/efivar"
	"ingot/imaging/agent"
	"ingot/imaging/disk"
	"ingot/imaging/gpt"
	"ingot/imaging/job"
)

const (
	espType    = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" // EFI system partition (UEFI 2.10, table 5.7)
	entryLabel = "Ingot"                                // before the laptop's name
	fallback   = "EFI/BOOT/BOOTX64.EFI"                 // what firmware starts without an entry (UEFI 2.10, 3.5.1.1)
	vendorShim = "shimx64.efi"
)

// bootEntries is agent.Firmware: what starts the written disk.
type bootEntries struct {
	log zerolog.Logger

	mu     sync.Mutex
	former map[string][]efivar.GUID // by drive: the partitions that its table held before it was written
	own    []string                 // the drives that stay in the laptop: not the stick that started it
	loader string                   // found by Check, on the EFI partition
}

// remember reads every drive's partition table before anything is written.
func (b *bootEntries) remember(log zerolog.Logger) {
	drives, err := disk.List("/sys")
	if err != nil {
		log.Warn().Err(err).Msg("the drives' tables were not read")
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.former, b.own = map[string][]efivar.GUID{}, nil
	for _, d := range drives {
		b.former[d.Path] = partitionsOf(d)
	}
	b.own = staying(drives)
}

// staying lists the drives that nobody carries away.
func staying(drives []job.Drive) (out []string) {
	for _, d := range drives {
		if !d.Removable {
			out = append(out, d.Path)
		}
	}
	return out
}

// partitionsOf lists the unique GUIDs of a drive's GPT; a drive without one has none.
func partitionsOf(d job.Drive) []efivar.GUID {
	f, err := os.Open(d.Path)
	if err != nil {
		return nil
	}
	defer f.Close()
	t, err := gpt.ReadTable(f, int64(d.SizeBytes), d.SectorSize)
	if err != nil {
		return nil
	}
	var out []efivar.GUID
	for _, e := range t.Entries {
		if e.Used() {
			if g, err := efivar.ParseGUID(e.Unique.String()); err == nil {
				out = append(out, g)
			}
		}
	}
	return out
}

// Check implements agent.Firmware.
func (b *bootEntries) Check(_ context.Context, w agent.Written, head []byte) error {
	esp, hasESP := findESP(w)
	if w.Firmware != "uefi" {
		return checkBIOS(head, hasESP)
	}
	if !hasESP {
		return job.Faultf(job.CodeFirmwareMode, "The laptop starts by UEFI and the image has no EFI partition.")
	}
	m, err := mountPart(esp, "vfat", true)
	if err != nil {
		return fmt.Errorf("%w: %w", job.Faultf(job.CodeNoBootPath, "The EFI partition cannot be read."), err)
	}
	loader, err := chooseLoader(m.root)
	if err = errors.Join(err, m.close()); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loader = loader
	b.log.Info().Str("loader", loader).Msg("the disk has a boot loader")
	return nil
}

// checkBIOS wants boot code before the first partition entry and the signature that a BIOS looks for.
func checkBIOS(head []byte, hasESP bool) error {
	if len(head) < 512 || head[510] != 0x55 || head[511] != 0xaa || bytes.Count(head[:440], []byte{0}) == 440 {
		if hasESP {
			return job.Faultf(job.CodeFirmwareMode, "The laptop starts by legacy BIOS and the image starts by UEFI only.")
		}
		return job.Faultf(job.CodeNoBootPath, "There is no boot code in its first block.")
	}
	return nil
}

func findESP(w agent.Written) (disk.Part, bool) {
	for _, p := range w.Parts {
		if strings.EqualFold(p.TypeGUID, espType) {
			return p, true
		}
	}
	return disk.Part{}, false
}

// chooseLoader wants the fallback loader to be there, and prefers the distribution's own shim where exactly one
// is: the fallback's shim would make one more entry at each start that finds none (fbx64.efi).
func chooseLoader(esp *os.Root) (string, error) {
	if err := checkPE(esp, fallback); err != nil {
		return "", fmt.Errorf("%w: %w", job.Faultf(job.CodeNoBootPath, "\\EFI\\BOOT\\BOOTX64.EFI is missing."), err)
	}
	dir, err := esp.Open("EFI")
	if err != nil {
		return "", fmt.Errorf("%w: %w", job.Faultf(job.CodeNoBootPath, ""), err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(256)
	if err != nil {
		return "", fmt.Errorf("%w: %w", job.Faultf(job.CodeNoBootPath, ""), err)
	}
	var own []string
	for _, n := range names {
		if p := path.Join("EFI", n, vendorShim); !strings.EqualFold(n, "BOOT") && checkPE(esp, p) == nil {
			own = append(own, p)
		}
	}
	if len(own) == 1 {
		return own[0], nil
	}
	return fallback, nil
}

// checkPE looks at a program's first two bytes.
func checkPE(root *os.Root, name string) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [2]byte
	if _, err := f.Read(b[:]); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if string(b[:]) != "MZ" {
		return fmt.Errorf("%s is no EFI program", name)
	}
	return nil
}

// Install implements agent.Firmware.
func (b *bootEntries) Install(_ context.Context, w agent.Written) (string, error) {
	if w.Firmware != "uefi" {
		return "", nil
	}
	wish, err := b.wish(w)
	if err != nil {
		return "", fmt.Errorf("%w: %w", job.Faultf(job.CodeBootEntry, ""), err)
	}
	name, err := install(wish)
	if err != nil {
		return "", fmt.Errorf("%w: %w", job.Faultf(job.CodeBootEntry, ""), err)
	}
	b.log.Info().Str("entry", name).Str("loader", wish.Loader).Msg("the boot entry is set")
	return name, nil
}

func install(wish efivar.Wish) (string, error) {
	v, err := efivar.Open(efivar.Dir)
	if err != nil {
		return "", err
	}
	state, err := v.Boot()
	if err != nil {
		return "", err
	}
	plan, err := efivar.PlanBoot(state, wish)
	if err != nil {
		return "", err
	}
	return efivar.BootName(plan.Entry), v.Apply(plan)
}

// wish names the entry that the written drive should have.
func (b *bootEntries) wish(w agent.Written) (efivar.Wish, error) {
	esp, ok := findESP(w)
	if !ok {
		return efivar.Wish{}, errors.New("the disk has no EFI partition")
	}
	id, err := efivar.ParseGUID(esp.UniqueGUID)
	if err != nil {
		return efivar.Wish{}, err
	}
	sector := uint64(w.Drive.SectorSize)
	if sector == 0 {
		return efivar.Wish{}, errors.New("the drive tells no sector size")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	wish := efivar.Wish{Label: strings.TrimSpace(entryLabel + " " + w.Name), Ours: entryLabel, Loader: `\` + strings.ReplaceAll(b.loader, "/", `\`),
		ESP: efivar.Partition{Number: uint32(esp.Number), Start: esp.Offset / sector, Size: esp.Size / sector, GUID: id}}
	if b.loader == "" {
		wish.Loader = `\` + strings.ReplaceAll(fallback, "/", `\`)
	}
	for drive, parts := range b.former {
		if drive == w.Drive.Path {
			wish.Former = parts
		} else {
			wish.Others = append(wish.Others, parts...)
		}
	}
	return wish, nil
}

// Local implements agent.Firmware: the first entry in the order that leads to a partition of one of the laptop's
// own drives is started next.
func (b *bootEntries) Local(context.Context) error {
	if _, err := os.Stat(filepath.Dir(efivar.Dir)); err != nil {
		return nil // a legacy BIOS goes on with its own order
	}
	v, err := efivar.Open(efivar.Dir)
	if err != nil {
		return err
	}
	state, err := v.Boot()
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	n, ok := ownEntry(state, b.former, b.own)
	if !ok {
		return errors.New("the firmware has no entry for a drive of this laptop")
	}
	return v.SetBootNext(n)
}

// ownEntry decides which entry starts one of the laptop's own drives, whose partitions are parts.
func ownEntry(s efivar.BootState, parts map[string][]efivar.GUID, drives []string) (uint16, bool) {
	own := map[efivar.GUID]bool{}
	for _, d := range drives {
		for _, g := range parts[d] {
			own[g] = true
		}
	}
	for _, n := range s.Order {
		o, ok := s.Entries[n]
		if !ok || o.Attributes&efivar.Active == 0 || o.Network() {
			continue
		}
		if p, ok := o.Path.Partition(); ok && own[p.GUID] {
			return n, true
		}
	}
	return 0, false
}
