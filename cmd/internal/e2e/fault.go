package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"

	"ingot/cmd/internal/lab"
	"ingot/store"
)

const mib = 1 << 20

// Disks of cases whose system never starts: small, so that such a case takes little time.
const (
	smallImage = 512 * mib
	smallDrive = 768 * mib
)

// workOrNot is the first thing that a laptop is told after its Hello, when it does not wait.
var workOrNot = regexp.MustCompile(`ingot: (job \S+|nothing to do[^\n]*|failed E[^\n]*)\n`)

// smallBench starts a daemon, imports a small disk with megabytes of files as image "small", and prepares a
// BIOS laptop whose drive is larger than it.
func smallBench(ctx context.Context, e *Env, megabytes int) (*running, error) {
	return smallBenchWith(ctx, e, megabytes, fullDHCP)
}

// smallBenchWith does so with flags of the daemon.
func smallBenchWith(ctx context.Context, e *Env, megabytes int, flags []string) (*running, error) {
	d, err := e.StartDaemon(ctx, flags...)
	if err != nil {
		return nil, err
	}
	if err := d.Do(ctx, cmd("bench open 8h")); err != nil {
		return nil, err
	}
	file := filepath.Join(e.Dir, "small.raw")
	if err := makeDisk(ctx, file, smallImage, megabytes, 1); err != nil {
		return nil, err
	}
	var got []store.Version
	if err := d.Read(ctx, &got, "image", "import", file, "--image", "small", "--label", "1", "--note", "made by the lab", "--release"); err != nil {
		return nil, err
	}
	if len(got) != 1 {
		return nil, fmt.Errorf("the import named %d versions; want 1", len(got))
	}
	e.Say("version %s: %d data bytes in %d extents", got[0].Ref(), got[0].DataBytes, got[0].DataExtents)
	l := Laptop(7, lab.BIOS, lab.NVMe)
	l.Drives[0].Size, l.Drives[0].Cache = smallDrive, "none"
	return &running{d: d, version: got[0], laptop: l}, nil
}

// meet starts the laptop and adopts it by its code.
func (x *running) meet(ctx context.Context, e *Env) (err error) {
	if x.run, err = e.PowerOn(ctx, x.laptop); err != nil {
		return err
	}
	code, err := waitHello(ctx, e, x.run)
	if err != nil {
		return err
	}
	_, err = x.d.CLI(ctx, "device", "adopt", code)
	return err
}

// orderSmall orders the small image for the laptop.
func (x *running) orderSmall(ctx context.Context, e *Env) (err error) {
	if x.id, err = x.d.deploy(ctx, order{x.laptop, "small", faultName}, "--no-personalise"); err == nil {
		e.Say("job %s", x.id)
	}
	return err
}

// meetAndOrder does both: the job runs when it returns.
func (x *running) meetAndOrder(ctx context.Context, e *Env) error {
	if err := x.meet(ctx, e); err != nil {
		return err
	}
	return x.orderSmall(ctx, e)
}

// sameLaptopWith is the same laptop, as far as serial, UUID and card tell, with another drive in it.
func (x *running) sameLaptopWith(d *lab.Drive) *lab.Laptop {
	l := Laptop(7, x.laptop.Firmware, lab.NVMe)
	l.Name, l.Drives = fmt.Sprintf("swapped-%s-%d", d.Serial, d.Size/mib), []*lab.Drive{d}
	return l
}

// makeDisk makes a GPT disk with one ext4 partition full of files that no compression makes smaller. Equal
// seeds make equal files.
func makeDisk(ctx context.Context, path string, size int64, megabytes int, seed byte) error {
	tree, err := os.MkdirTemp(filepath.Dir(path), "tree-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tree)
	noise := rand.NewChaCha8([32]byte{seed})
	buf := make([]byte, mib)
	for i := range megabytes {
		noise.Read(buf) // never fails
		if err := os.WriteFile(filepath.Join(tree, fmt.Sprintf("file%d", i)), buf, 0o644); err != nil {
			return err
		}
	}
	if err := emptyFile(path, size); err != nil {
		return err
	}
	last := size/512 - 2048 - 1
	for _, argv := range [][]string{
		{"sgdisk", "-n", fmt.Sprintf("1:2048:%d", last), "-t", "1:8300", path},
		{"mkfs.ext4", "-q", "-F", "-b", "4096", "-E", fmt.Sprintf("offset=%d", mib), "-d", tree, path, fmt.Sprint((last - 2047) / 8)},
	} {
		if _, err := lab.Command(ctx, argv...); err != nil {
			return err
		}
	}
	return nil
}

func emptyFile(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// used is a drive that holds somebody's data, and what it held.
type used struct {
	path string
	sum  [sha256.Size]byte
}

// fitUsed fits a laptop whose first drive holds a partitioned disk with files already.
func fitUsed(ctx context.Context, e *Env, l *lab.Laptop) (used, error) {
	if err := e.Bench.Fit(ctx, l); err != nil {
		return used{}, err
	}
	d := l.Drives[0]
	if err := makeDisk(ctx, d.Path(), d.Size, 24, 2); err != nil {
		return used{}, err
	}
	sum, err := sumFile(d.Path())
	return used{d.Path(), sum}, err
}

// unchanged holds that the drive is bit-equal to what it was.
func (u used) unchanged() error {
	sum, err := sumFile(u.path)
	if err != nil {
		return err
	}
	return that(sum == u.sum, "the drive %s was changed", u.path)
}

func sumFile(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// nothingStarts holds all of "does not boot": nothing at the drive's ends, and neither a BIOS nor a UEFI
// firmware finds a bootable device. The laptop is off, and stays without network from here on.
func nothingStarts(ctx context.Context, e *Env, l *lab.Laptop) error {
	if err := doesNotBoot(l.Drives[0].Path()); err != nil {
		return err
	}
	l.Offline, l.Drives[0].Source, l.Drives[0].WriteLimit = true, "", 0
	for _, fw := range []lab.Firmware{lab.BIOS, lab.UEFI} {
		l.Firmware = fw
		r, err := e.PowerOn(ctx, l)
		if err != nil {
			return err
		}
		if err := findsNoDevice(ctx, e, r, fw); err != nil {
			return err
		}
		if err := r.Kill(); err != nil {
			return err
		}
		e.Say("%s firmware finds no bootable device", fw)
	}
	return nil
}

// findsNoDevice waits for the firmware's own words: a UEFI's on the serial line, or the prompt of the shell that
// OVMF has built in as its last resort; a BIOS's on the screen.
func findsNoDevice(ctx context.Context, e *Env, r *lab.Run, fw lab.Firmware) error {
	if fw.IsUEFI() {
		m, err := r.Console.WaitAfter(ctx, 0, regexp.MustCompile(`no bootable option or device was found|Shell> |(Linux version|GRUB|login:)`))
		if err != nil {
			return err
		}
		return that(m[1] == "", "the firmware started something: %q", m[0])
	}
	file := filepath.Join(e.Dir, "screen.text")
	for {
		if _, err := r.Monitor(fmt.Sprintf("pmemsave 0xb8000 4000 %q", file)); err != nil {
			return err
		}
		cells, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var text bytes.Buffer
		for i := 0; i < len(cells); i += 2 { // character, colour
			text.WriteByte(cells[i])
		}
		if bytes.Contains(text.Bytes(), []byte("No bootable device")) {
			return nil
		}
		if err := pause(ctx, "the BIOS to find no bootable device"); err != nil {
			return err
		}
	}
}
