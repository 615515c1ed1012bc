package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"ingot/firmware"
	"ingot/imaging/job"
	"ingot/store"
)

// TestOnlyAFreeStickIsWritten goes through what a careless hand may name.
func TestOnlyAFreeStickIsWritten(t *testing.T) {
	stick := job.Drive{Path: "/dev/sdb", Serial: "4C530001", Model: "Ultra", Transport: "usb", SizeBytes: 8 << 30, SectorSize: 512, Removable: true}
	if err := mayBecomeStick("/dev/sdb", stick, "", 100<<20); err != nil {
		t.Fatalf("a stick is refused: %v", err)
	}
	for name, c := range map[string]struct {
		change  func(*job.Drive)
		mounted string
		want    string
	}{
		"a built-in drive":     {func(d *job.Drive) { d.Removable = false }, "", "built in"},
		"a mounted stick":      {func(*job.Drive) {}, "/media/data", "mounted at /media/data"},
		"a stick with no name": {func(d *job.Drive) { d.Serial = "" }, "", "no serial"},
		"a locked card":        {func(d *job.Drive) { d.ReadOnly = true }, "", "write-protected"},
		"another sector size":  {func(d *job.Drive) { d.SectorSize = 4096 }, "", "4096"},
		"a small stick":        {func(d *job.Drive) { d.SizeBytes = 64 << 20 }, "", "are needed"},
		"a partition":          {func(d *job.Drive) { d.SectorSize = 0 }, "", "whole drive"},
	} {
		d := stick
		c.change(&d)
		err := mayBecomeStick("/dev/sdb", d, c.mounted, 100<<20)
		if f := job.FaultOf(err); err == nil || f.Code != job.CodeStickTarget || !strings.Contains(f.Fact, c.want) {
			t.Errorf("%s: %v; want %s with %q", name, err, job.CodeStickTarget, c.want)
		}
	}
}

// portOf is a sysfs in which a block device is a stick, and a list of mounts.
func portOf(t *testing.T, dev string, attrs map[string]string) stickPort {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(dev, &st); err != nil {
		t.Fatal(err)
	}
	number := fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	p := stickPort{t.TempDir(), filepath.Join(t.TempDir(), "mountinfo")}
	dir := filepath.Join(p.sys, "devices/usb1/1-1/block/sdz")
	all := map[string]string{"queue/logical_block_size": "512", "device/serial": "4C530001", "removable": "1", "dev": number}
	for k, v := range attrs {
		all[k] = v
	}
	for k, v := range all {
		file := filepath.Join(dir, k)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(v+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range []string{"dev/block/" + number, "block/sdz"} {
		at := filepath.Join(p.sys, link)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(dir, at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(p.mounts, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// loop makes a real block device over a file.
func loop(t *testing.T, bytes int64) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("block devices want root: run this package's tests as root, too")
	}
	img := filepath.Join(t.TempDir(), "loop.img")
	if err := errors.Join(os.WriteFile(img, nil, 0o600), os.Truncate(img, bytes)); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "-f", "--show", img).Output()
	if err != nil {
		t.Skipf("no loop device can be had here: %v", err)
	}
	dev := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if err := exec.Command("losetup", "-d", dev).Run(); err != nil {
			t.Errorf("losetup -d %s: %v", dev, err)
		}
	})
	return dev
}

// TestAStickIsTakenAloneAndAsItWasSeen uses a real block device: what is mounted, held by another, or swapped between
// the question and the first write is not written.
func TestAStickIsTakenAloneAndAsItWasSeen(t *testing.T) {
	const bytes = 64 << 20
	dev := loop(t, bytes)
	p := portOf(t, dev, map[string]string{"size": fmt.Sprint(bytes / 512)})
	d, err := p.look(dev, bytes)
	if err != nil || d.Serial != "4C530001" {
		t.Fatalf("look = %+v, %v", d, err)
	}
	if _, err := p.look(dev, bytes+1); job.FaultOf(err).Code != job.CodeStickTarget {
		t.Errorf("a stick that is too small: %v", err)
	}
	var st unix.Stat_t
	if err := unix.Stat(dev, &st); err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf("36 35 %d:%d / /mnt/x rw - ext4 %s rw\n", unix.Major(st.Rdev), unix.Minor(st.Rdev), dev)
	if err := os.WriteFile(p.mounts, []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.look(dev, bytes); job.FaultOf(err).Code != job.CodeStickTarget || !strings.Contains(err.Error(), "/mnt/x") {
		t.Errorf("a mounted stick: %v", err)
	}
	held, err := os.OpenFile(dev, os.O_RDWR|os.O_EXCL, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.open(dev, d); job.FaultOf(err).Code != job.CodeStickTarget || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a stick that another program holds: %v", err)
	}
	held.Close()
	other := d
	other.Serial = "SWAPPED"
	if _, err := p.open(dev, other); job.FaultOf(err).Code != job.CodeStickTarget {
		t.Errorf("a stick that was swapped: %v", err)
	}
	f, err := p.open(dev, d)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := []byte(strings.Repeat("stick", 1000))
	got := make([]byte, len(want))
	_, err1 := f.WriteAt(want, 4096)
	err = errors.Join(err1, f.Sync(), f.Forget())
	if _, err2 := f.ReadAt(got, 4096); errors.Join(err, err2) != nil || f.size != bytes || string(got) != string(want) {
		t.Errorf("%d bytes: %v, %v", f.size, err, err2)
	}
}

// TestADeviceIsWrittenOnlyByItsSerial gives each consent that is none, then the right one, to a real block device.
func TestADeviceIsWrittenOnlyByItsSerial(t *testing.T) {
	const room = 64 << 20
	dev := loop(t, room)
	p := portOf(t, dev, map[string]string{"size": fmt.Sprint(room / 512)})
	boot := t.TempDir()
	name := keepBundle(t, boot, "6.1.0-1-amd64", "drivers")
	b, err := firmware.OpenNamed(boot, name)
	if err != nil {
		t.Fatal(err)
	}
	stick, err := b.Stick("boot")
	if err != nil {
		t.Fatal(err)
	}
	written := func() bool {
		t.Helper()
		f, err := os.Open(dev)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		head := make([]byte, 4096)
		if _, err := f.ReadAt(head, 0); err != nil {
			t.Fatal(err)
		}
		return !bytes.Equal(head, make([]byte, 4096))
	}
	for _, c := range []struct {
		name  string
		agree consent
		want  job.Code // "" means that it is written
	}{
		{"nobody there to ask", consent{}, job.CodeUnconfirmed},
		{"yes without a serial", consent{yes: true}, job.CodeUnconfirmed},
		{"the serial without yes", consent{serial: "4C530001"}, job.CodeUnconfirmed},
		{"another stick's serial", consent{yes: true, serial: "4C530002"}, job.CodeStickTarget},
		{"yes and the serial", consent{yes: true, serial: "4c530001"}, ""},
	} {
		a := &app{ctx: t.Context(), out: io.Discard, err: io.Discard}
		made := stickMade{Target: dev}
		err := a.stickOnDevice(t.Context(), p, stick, &made, c.agree)
		if c.want == "" && err != nil || c.want != "" && job.FaultOf(err).Code != c.want || written() != (c.want == "") {
			t.Errorf("%s: %v, written: %v; want %q", c.name, err, written(), c.want)
		}
	}
}

// TestAStickThatLiesIsSaidSo puts what a medium may do into words.
func TestAStickThatLiesIsSaidSo(t *testing.T) {
	for name, err := range map[string]error{"other data": fmt.Errorf("at 5: %w", firmware.ErrReadBack), "no data": errors.New("EIO"), "stopped": context.Canceled} {
		f := job.FaultOf(stickWords("/dev/sdz", err))
		if f.Code != job.CodeStickData || !strings.Contains(f.Fact, "/dev/sdz") || strings.Contains(f.Fact, "EIO") {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// TestStickTargetsAreRefusedInWords holds what the command says where no stick comes of it.
func TestStickTargetsAreRefusedInWords(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	tell := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"--data", data, "firmware", "usb"}, args...), nil, &out, &errs)
		return code, errs.String()
	}
	for _, c := range []struct {
		name, args, want string
		code             int
	}{
		{"no target", "", "give it as: ingot firmware usb FILE", 2},
		{"no address", "x.img", "--url https://ADDRESS:8443", 2},
		{"a host name", "x.img --url https://ingot.example", "needs an IPv4 address", 2},
		{"a path in the address", "x.img --url https://10.0.0.1/x", "is not https://ADDRESS", 2},
		{"plain HTTP", "x.img --url http://10.0.0.1", "is not https://ADDRESS", 2},
		{"port 0", "x.img --url https://10.0.0.1:0", "needs an IPv4 address", 2},
		{"a device that is not there", "/dev/ingot-no-such-stick --url https://10.0.0.1", "There is no /dev/ingot-no-such-stick", 1},
		{"no daemon yet", "x.img --url https://10.0.0.1", "start the daemon once", 1},
	} {
		code, said := tell(strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(said, c.want) {
			t.Errorf("%s: exit code %d, %q; want %d and %q", c.name, code, said, c.code, c.want)
		}
	}
	if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
		t.Error("a refused command made the data folder, and with it another key than the daemon's")
	}
}

// TestTheDaemonRemovesBundlesThatNothingUses: the one in use goes when its job has ended.
func TestTheDaemonRemovesBundlesThatNothingUses(t *testing.T) {
	b := &bundle{dir: t.TempDir()}
	const current, used, unused = "bundle-00000000000000aa", "bundle-00000000000000bb", "bundle-00000000000000cc"
	for _, name := range []string{current, used, unused} {
		if err := os.Mkdir(filepath.Join(b.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(current, filepath.Join(b.dir, "current")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "lock"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tidyUntil := func(uses []store.BundleUse, want ...string) {
		t.Helper()
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		asked := 0
		err := b.tidy(time.Millisecond, func(context.Context) ([]store.BundleUse, error) {
			if asked++; asked == 3 {
				stop()
			}
			return uses, nil
		}, zerolog.Nop())(ctx)
		left, globErr := filepath.Glob(filepath.Join(b.dir, "bundle-*"))
		for i := range left {
			left[i] = filepath.Base(left[i])
		}
		if err != nil || globErr != nil || !slices.Equal(left, want) {
			t.Errorf("left are %v, %v; want %v", left, err, want)
		}
	}
	tidyUntil([]store.BundleUse{{Bundle: used, Jobs: []job.ID{"j"}}}, current, used)
	tidyUntil(nil, current)
}

// TestAStickThatFailsIsSaidInWords: one that gave back other data, one that took none, and a stop in the middle.
func TestAStickThatFailsIsSaidInWords(t *testing.T) {
	for _, cause := range []error{firmware.ErrReadBack, errors.New("it was pulled out"), context.Canceled} {
		err := stickWords("/dev/sdx", fmt.Errorf("write stick: %w", cause))
		if f := job.FaultOf(err); f.Code != job.CodeStickData || !strings.Contains(f.Fact, "/dev/sdx") || strings.Contains(words(err), cause.Error()) {
			t.Errorf("%v: %v; want %s without the raw text", cause, f, job.CodeStickData)
		}
	}
	if err := stickWords("/dev/sdx", nil); err != nil {
		t.Error(err)
	}
}
