package lab

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Laptop is the hardware: what is there while the power is off. Fill it in, then Bench.Fit it.
type Laptop struct {
	Name         string // of its folder and log files
	Firmware     Firmware
	MAC          string   // of the first card
	MoreMACs     []string // further cards, without link to the boot order
	Card         string   // QEMU's model; "" means virtio-net-pci, the only one for which OVMF has a driver
	Serial       string
	UUID         string // as people read it; QEMU puts it into SMBIOS and the cards' option 97
	Manufacturer string
	Model        string
	AssetTag     string
	MemoryMB     int    // 0 means 1024
	TPM          bool   // a TPM 2.0 whose state persists
	DiskFirst    bool   // the drive stands before the network in the boot order
	Offline      bool   // no card is fitted
	Segment      string // the switch that its cards are plugged into; "" means the server's, Bridge
	MoreSegment  string // the switch of the further cards; "" means that of the first
	Kernel       string // a program that QEMU starts instead of the firmware's boot entries: a start by hand (BIOS only)
	KernelWords  string // what the program is told
	Drives       []*Drive
	USBCards     []*USBCard // plugged in at power on; further ones may be plugged in later

	bench *Bench
	dir   string
	taps  []string
	runs  int
}

// Fit puts a laptop on the bench: its folder, drives and switch ports.
func (b *Bench) Fit(ctx context.Context, l *Laptop) error {
	l.bench, l.dir = b, filepath.Join(b.Dir, l.Name)
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	for i, d := range l.Drives {
		if err := d.fit(l.dir, i); err != nil {
			return err
		}
	}
	for i := range l.macs() {
		segment := cmp.Or(l.Segment, Bridge)
		if i > 0 {
			segment = cmp.Or(l.MoreSegment, segment)
		}
		tap, err := b.tap(ctx, segment)
		if err != nil {
			return fmt.Errorf("plug %s in: %w", l.Name, err)
		}
		l.taps = append(l.taps, tap)
	}
	return nil
}

func (l *Laptop) macs() []string {
	if l.Offline {
		return nil
	}
	return append([]string{l.MAC}, l.MoreMACs...)
}

// FirmwareVars is the file that holds the firmware's variables; it exists after the first power on.
func (l *Laptop) FirmwareVars() string { return filepath.Join(l.dir, "vars.fd") }

// args is QEMU's command line. The processor is emulated on purpose: see the package comment.
func (l *Laptop) args() ([]string, error) {
	memory := l.MemoryMB
	if memory == 0 {
		memory = 1024
	}
	args := []string{"qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", strconv.Itoa(memory),
		"-name", l.Name, "-display", "none", "-vga", "std", "-nodefaults", "-serial", "stdio",
		"-qmp", "unix:" + l.socket("qmp") + ",server=on,wait=off", "-no-user-config",
		"-device", "qemu-xhci,id=xhci", "-rtc", "base=utc"}
	fw, err := l.Firmware.args(l.dir)
	if err != nil {
		return nil, err
	}
	args = append(args, fw...)
	args = append(args, l.smbios()...)
	args = append(args, l.cards()...)
	for i, d := range l.Drives {
		index := i + 10
		if l.DiskFirst {
			index = i + 1
		}
		drive, err := d.args(i, index)
		if err != nil {
			return nil, err
		}
		args = append(args, drive...)
	}
	for _, c := range l.USBCards {
		args = append(args, c.args()...)
	}
	if l.Kernel != "" {
		args = append(args, "-kernel", l.Kernel, "-append", l.KernelWords)
	}
	if l.TPM {
		args = append(args, "-chardev", "socket,id=tpmc,path="+l.socket("tpm"), "-tpmdev", "emulator,id=tpm0,chardev=tpmc", "-device", "tpm-crb,tpmdev=tpm0")
	}
	return args, nil
}

func (l *Laptop) smbios() []string {
	args := []string{"-smbios", fmt.Sprintf("type=1,manufacturer=%s,product=%s,serial=%s", l.Manufacturer, l.Model, l.Serial),
		"-smbios", fmt.Sprintf("type=3,manufacturer=%s,serial=C-%s,asset=%s", l.Manufacturer, l.Serial, l.AssetTag)}
	if l.UUID != "" {
		args = append(args, "-uuid", l.UUID)
	}
	return args
}

func (l *Laptop) cards() []string {
	model := l.Card
	if model == "" {
		model = "virtio-net-pci"
	}
	if l.Offline {
		return []string{"-nic", "none"}
	}
	var args []string
	for i, mac := range l.macs() {
		rom := l.Firmware.cardROM()
		index := fmt.Sprintf(",bootindex=%d", 5+i)
		if i > 0 {
			rom, index = ",romfile=", ""
		}
		args = append(args, "-netdev", fmt.Sprintf("tap,id=n%d,ifname=%s,script=no,downscript=no", i, l.taps[i]),
			"-device", fmt.Sprintf("%s,id=nic%d,netdev=n%d,mac=%s%s%s", model, i, i, mac, index, rom))
	}
	return args
}

// socket is a path short enough for a UNIX socket.
func (l *Laptop) socket(kind string) string { return filepath.Join(l.dir, kind) }

// Fitted reports whether the laptop stands on a bench.
func (l *Laptop) Fitted() bool { return l.bench != nil }
