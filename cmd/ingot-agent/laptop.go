package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"ingot/cmd/ingot-agent/internal/cpio"
	"ingot/cmd/ingot-agent/internal/kmod"
	"ingot/cmd/ingot-agent/internal/link"
	"ingot/firmware/efivar"
	"ingot/firmware/smbios"
	"ingot/imaging/disk"
	"ingot/imaging/job"
	"ingot/imaging/job/client"
)

// maxStage2 bounds what is fetched, in bytes: it lies in memory before and after it is unpacked.
const maxStage2 = 256 << 20

// How long drives may take to show: a hard disk spins up, a controller scans. Nothing new for quiet ends the wait.
const (
	driveQuiet = 1500 * time.Millisecond
	driveLimit = 20 * time.Second
)

// laptop is agent.Machine on real hardware.
type laptop struct {
	daemon  *client.Client
	whole   bool // a stick's start system: stage 2 is in it
	loader  *kmod.Loader
	net     *link.Manager
	entries *bootEntries
	say     func(string)
	log     zerolog.Logger

	mu       sync.Mutex
	warnings []string // each once, in the order in which they came
}

func (l *laptop) warn(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if text != "" && !slices.Contains(l.warnings, text) && len(l.warnings) < 32 {
		l.warnings = append(l.warnings, text)
		l.log.Warn().Msg(text)
	}
}

// Prepare implements agent.Machine.
func (l *laptop) Prepare(ctx context.Context, info job.BootInfo) error {
	if err := setClock(info.Now); err != nil {
		l.log.Warn().Err(err).Msg("the clock was not set")
	}
	if !l.whole {
		if err := l.stage2(ctx, info.Stage2); err != nil {
			return err
		}
	}
	if err := l.loader.Refresh(); err != nil {
		return fmt.Errorf("%w: %w", job.Faultf(job.CodeStage2, "It holds no list of modules."), err)
	}
	l.coldplug()
	l.waitDrives(ctx)
	if _, err := os.Stat("/sys/firmware/efi"); err == nil {
		err := mountOne(mount{"efivarfs", efivar.Dir, "efivarfs", ""})
		if err != nil {
			l.warn("The firmware's variables cannot be read.")
			l.log.Error().Err(err).Msg("efivarfs is not mounted")
		}
	}
	l.entries.remember(l.log)
	return nil
}

// setClock sets the kernel's clock to the daemon's. A daemon whose clock is nonsense is not followed.
func setClock(now time.Time) error {
	if now.Year() < 2024 || now.Year() > 2120 {
		return fmt.Errorf("the daemon's clock says %s", now.Format(time.RFC3339))
	}
	tv := unix.NsecToTimeval(now.UnixNano())
	if err := unix.Settimeofday(&tv); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	return nil
}

// stage2 fetches the archive whole, which checks its digest, and unpacks it over the root.
func (l *laptop) stage2(ctx context.Context, f job.File) error {
	if f.Size > maxStage2 {
		return job.Faultf(job.CodeStage2, "The server says that it has %d bytes.", f.Size)
	}
	tmp, err := l.fetch(ctx, f)
	if err != nil {
		return err
	}
	defer tmp.Close()
	root, err := os.OpenRoot("/")
	if err != nil {
		return fmt.Errorf("open the root folder: %w", err)
	}
	defer root.Close()
	z, err := zstd.NewReader(tmp, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return fmt.Errorf("%w: unpack stage 2: %w", job.Faultf(job.CodeStage2, "It cannot be unpacked."), err)
	}
	defer z.Close()
	n, err := cpio.Unpack(z, root)
	if err != nil {
		return fmt.Errorf("%w: unpack stage 2: %w", job.Faultf(job.CodeStage2, "It cannot be unpacked."), err)
	}
	l.say(fmt.Sprintf("stage 2 unpacked, %d files, %d bytes", n, f.Size))
	return nil
}

// fetch repeats until the daemon has given the whole archive or has refused. The file has no name any more.
func (l *laptop) fetch(ctx context.Context, f job.File) (*os.File, error) {
	tmp, err := os.CreateTemp("/run", "stage2-*")
	if err != nil {
		return nil, fmt.Errorf("make room for stage 2: %w", err)
	}
	if err := os.Remove(tmp.Name()); err != nil {
		return nil, errors.Join(err, tmp.Close())
	}
	for try := 1; ; try++ {
		_, err := tmp.Seek(0, io.SeekStart)
		err = errors.Join(err, tmp.Truncate(0))
		if err == nil {
			err = l.daemon.Stage2(ctx, f, tmp)
		}
		if err == nil {
			_, err = tmp.Seek(0, io.SeekStart)
		}
		if err == nil {
			return tmp, nil
		}
		again := job.FaultOf(err).Code == job.CodeUnreachable || job.FaultOf(err).Code == job.CodeStage2 && try < 3
		if !again || !wait(ctx, 2*time.Second) {
			return nil, errors.Join(err, tmp.Close())
		}
		l.log.Info().Err(err).Int("try", try).Msg("stage 2 did not arrive; asking again")
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// coldplug loads what the hardware that is there asks for.
func (l *laptop) coldplug() {
	for _, w := range l.loader.Coldplug("/sys") {
		l.warn("A driver did not load: " + w + ".")
	}
}

// waitDrives waits until drives have shown and no more appear. A laptop without any waits to the limit.
func (l *laptop) waitDrives(ctx context.Context) {
	start, last, before := time.Now(), time.Now(), ""
	for wait(ctx, 100*time.Millisecond) {
		var now strings.Builder
		drives, err := disk.List("/sys")
		if err == nil {
			for _, d := range drives {
				fmt.Fprintln(&now, d.Path, d.SizeBytes)
			}
		}
		if now.String() != before {
			before, last = now.String(), time.Now()
		}
		quiet := time.Since(last) > driveQuiet
		if quiet && before != "" || time.Since(start) > driveLimit {
			return
		}
	}
}

// Describe implements agent.Machine.
func (l *laptop) Describe(context.Context) (job.Hello, error) {
	h := job.Hello{Build: version, Firmware: "bios", Links: l.net.Links(), MemoryBytes: memory()}
	info, err := smbios.Read(smbios.Dir)
	if err != nil {
		l.warn("This laptop tells nothing about itself (SMBIOS).")
		l.log.Warn().Err(err).Msg("SMBIOS was not read")
	} else {
		h.Facts = facts(info)
	}
	if _, err := os.Stat("/sys/firmware/efi"); err == nil {
		h.Firmware = "uefi"
		h.SecureBoot = l.secureBoot()
	}
	h.Warnings = append(h.Warnings, l.net.Warnings()...)
	l.mu.Lock()
	defer l.mu.Unlock()
	h.Warnings = append(h.Warnings, l.warnings...)
	return h, nil
}

func facts(i *smbios.Info) job.Facts {
	f := job.Facts{Manufacturer: i.System.Manufacturer, Model: i.System.Product, ModelVersion: i.System.Version, Serial: i.System.Serial, SKU: i.System.SKU,
		BoardSerial: i.Board.Serial, ChassisSerial: i.Chassis.Serial, AssetTag: i.Chassis.AssetTag}
	f.UUID = i.System.UUID.String()
	return f
}

func (l *laptop) secureBoot() bool {
	v, err := efivar.Open(efivar.Dir)
	if err != nil {
		l.warn("The firmware's variables cannot be read.")
		return false
	}
	s, err := v.SecureBoot()
	if err != nil {
		l.warn("The firmware does not tell whether Secure Boot is on.")
		return false
	}
	l.say("secure boot " + string(s))
	return s == efivar.On
}

// memory is what the kernel manages, in bytes; 0 when it does not tell.
func memory() uint64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if w := strings.Fields(sc.Text()); len(w) >= 2 && w[0] == "MemTotal:" {
			n, err := strconv.ParseUint(w[1], 10, 53)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}

// Unplugged implements agent.Machine.
func (l *laptop) Unplugged() bool { return l.net.Unplugged() }
