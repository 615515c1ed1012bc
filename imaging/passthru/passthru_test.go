package passthru_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ingot/imaging/passthru"
)

func TestAnATACommandIsWrappedByteForByte(t *testing.T) {
	sector := make([]byte, 512)
	for name, c := range map[string]struct {
		t    passthru.Taskfile
		want [16]byte
	}{
		"IDENTIFY DEVICE": {passthru.Taskfile{Command: 0xec, Count: 1, Move: passthru.FromDrive, Data: sector},
			[16]byte{0x85, 0x08, 0x0e, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xec, 0}},
		"SMART RETURN STATUS": {passthru.Taskfile{Command: 0xb0, Feature: 0xda, LBA: 0xc24f00},
			[16]byte{0x85, 0x06, 0x20, 0, 0xda, 0, 0, 0, 0, 0, 0x4f, 0, 0xc2, 0, 0xb0, 0}},
		"SECURITY ERASE UNIT": {passthru.Taskfile{Command: 0xf4, Device: 0x40, Move: passthru.ToDrive, Data: sector},
			[16]byte{0x85, 0x0a, 0x26, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x40, 0xf4, 0}},
		"OVERWRITE EXT, all of its 48 bits": {passthru.Taskfile{Command: 0xb4, Feature: 0x0014, Count: 0x8001, LBA: 0x4f57a1b2c3d4, Device: 0x40, Wide: true},
			[16]byte{0x85, 0x07, 0x20, 0x00, 0x14, 0x80, 0x01, 0xa1, 0xd4, 0x57, 0xc3, 0x4f, 0xb2, 0x40, 0xb4, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.t.CDB(); got != c.want {
				t.Errorf("CDB = % x\n     want % x", got, c.want)
			}
		})
	}
}

// The sense data of SAT-4, tables 188 and 189.
func TestSenseDataBringsTheRegistersBack(t *testing.T) {
	desc := func(extend byte) []byte {
		return []byte{0x72, 1, 0, 0x1d, 0, 0, 0, 14, 0x09, 0x0c, extend, 0x04, 0xa0, 0x01, 0x31, 0x11, 0x32, 0x12, 0x33, 0x13, 0x40, 0x51}
	}
	for name, c := range map[string]struct {
		sense []byte
		want  passthru.Registers
		ok    bool
	}{
		"48 bits":                  {desc(1), passthru.Registers{Status: 0x51, Error: 4, Count: 0xa001, LBA: 0x333231131211}, true},
		"28 bits":                  {desc(0), passthru.Registers{Status: 0x51, Error: 4, Count: 0x0001, LBA: 0x131211}, true},
		"behind another":           {append([]byte{0x72, 1, 0, 0x1d, 0, 0, 0, 18, 2, 2, 0, 0}, desc(1)[8:]...), passthru.Registers{Status: 0x51, Error: 4, Count: 0xa001, LBA: 0x333231131211}, true},
		"fixed":                    {[]byte{0x70, 0, 1, 4, 0x51, 0xa0, 7, 10, 0, 0x11, 0x12, 0x13, 0, 0x1d, 0, 0, 0, 0}, passthru.Registers{Status: 0x51, Error: 4, Count: 7, LBA: 0x131211}, true},
		"fixed, upper half lost":   {[]byte{0x70, 0, 1, 0, 0x50, 0xa0, 7, 10, 0x40, 0, 0, 0, 0, 0x1d, 0, 0, 0, 0}, passthru.Registers{Status: 0x50, Count: 7, Narrow: true}, true},
		"fixed, of something else": {[]byte{0x70, 0, 5, 0, 0x50, 0, 0, 10, 0, 0, 0x4f, 0xc2, 0x20, 0, 0, 0, 0, 0}, passthru.Registers{}, false},
		"fixed, aborted":           {[]byte{0x70, 0, 0x0b, 4, 0x51, 0xa0, 7, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, passthru.Registers{Status: 0x51, Error: 4, Count: 7, LBA: 1}, true},
		"aborted, of Linux 6.1":    {[]byte{0x70, 0, 0x0b, 0, 0, 0, 0, 10, 4, 0x51, 0xa0, 7, 0, 0, 0, 0, 0x80, 1}, passthru.Registers{Status: 0x51, Error: 4, Count: 7, LBA: 1, Narrow: true}, true},
		"aborted, nothing told":    {[]byte{0x70, 0, 0x0b, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, passthru.Registers{}, false},
		"refused by the adapter":   {[]byte{0x70, 0, 5, 0, 0, 0, 0, 10, 4, 0x51, 0xa0, 7, 0x20, 0, 0, 0, 0, 1}, passthru.Registers{}, false},
		"cut off":                  {desc(1)[:20], passthru.Registers{}, false},
		"too long a descriptor":    {[]byte{0x72, 0, 0, 0, 0, 0, 0, 4, 9, 200, 0, 0}, passthru.Registers{}, false},
		"nothing":                  {nil, passthru.Registers{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := passthru.ParseSense(c.sense); got != c.want || ok != c.ok {
				t.Errorf("ParseSense = %+v, %t; want %+v, %t", got, ok, c.want, c.ok)
			}
		})
	}
	read := passthru.Taskfile{Command: 0xec, Move: passthru.FromDrive}
	if r, err := read.Registers(passthru.SCSIReply{}); err != nil || !r.OK() {
		t.Errorf("a read that ended well: %v, %v", r, err)
	}
	if _, err := (passthru.Taskfile{Command: 0xb4}).Registers(passthru.SCSIReply{}); err == nil {
		t.Error("a command without data ended well, and nobody knows how the drive answered")
	}
	if _, err := read.Registers(passthru.SCSIReply{Host: 3}); err == nil {
		t.Error("a read that never reached the drive ended well")
	}
	if r := (passthru.Registers{Status: 0x51, Error: 4}); r.OK() || !r.Aborted() {
		t.Error("an abort is not seen")
	}
	if r := (passthru.Registers{Status: 0x70}); r.OK() {
		t.Error("a device fault is not seen")
	}
}

func FuzzParseSense(f *testing.F) {
	f.Add([]byte{0x72, 1, 0, 0x1d, 0, 0, 0, 14, 0x09, 0x0c, 1, 0, 0xa0, 1, 0, 0, 0, 0, 0, 0, 0x40, 0x50})
	f.Add([]byte{0x70, 0, 1, 4, 0x51, 0xa0, 7, 10, 0, 0x11, 0x12, 0x13, 0, 0x1d})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := passthru.ParseSense(b); !ok && r != (passthru.Registers{}) {
			t.Errorf("registers without an answer: %+v", r)
		}
	})
}

func TestWhetherACommandReachedTheDriveIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		r  passthru.SCSIReply
		ok bool
	}{
		"good":                  {passthru.SCSIReply{}, true},
		"check condition":       {passthru.SCSIReply{Status: 2, Driver: 8}, true},
		"the host timed out":    {passthru.SCSIReply{Host: 3}, false},
		"the driver gave up":    {passthru.SCSIReply{Driver: 6}, false},
		"busy":                  {passthru.SCSIReply{Status: 8}, false},
		"reservation conflict":  {passthru.SCSIReply{Status: 0x18}, false},
		"sense with suggestion": {passthru.SCSIReply{Status: 2, Driver: 0x18}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.r.Reached(); (err == nil) != c.ok {
				t.Errorf("Reached = %v", err)
			}
		})
	}
	if _, err := (passthru.SCSIReply{}).Registers(); err == nil {
		t.Error("registers were made up from no sense data")
	}
}

func TestAStatusIsReadWithoutItsFlags(t *testing.T) {
	if !passthru.Status(0x401d).Is(passthru.NVMeSanitizeInProgress) || !passthru.Status(0x6001).Is(passthru.NVMeInvalidOpcode) || !passthru.Status(0x4000).OK() {
		t.Error("do-not-retry and more are taken for a part of the status")
	}
	if passthru.Status(0x010a).Is(passthru.Status(0x000a)) {
		t.Error("the type of a status is lost")
	}
	for r, ok := range map[uint32]bool{0x900: true, 0x980: false, 1 << 22: false, 1 << 19: false, 1 << 31: false} {
		if got := (passthru.MMCReply{Response: r}).OK(); got != ok {
			t.Errorf("R1 %#x: OK = %t", r, got)
		}
	}
}

// TestTheKernelUnderstandsTheCalls sends each call to a file that is no drive. What comes back is the kernel's own
// refusal of a call that it knows or does not know there: the numbers and pointers were taken, and no data was invented.
func TestTheKernelUnderstandsTheCalls(t *testing.T) {
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "file"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // a temporary file
	d := passthru.Device{File: f}
	buf := make([]byte, 4096)
	for name, call := range map[string]func() error{
		"NVMe":     func() error { _, err := d.NVMe(passthru.NVMe{Opcode: 6, Data: buf, Timeout: time.Second}); return err },
		"SCSI":     func() error { _, err := d.SCSI(passthru.SCSI{CDB: make([]byte, 16), Data: buf}); return err },
		"MMC":      func() error { _, err := d.MMC(passthru.MMC{Opcode: 8, Data: buf[:512]}); return err },
		"PSID":     func() error { return d.PSIDRevert(strings.Repeat("A", 32)) },
		"discard":  func() error { return d.Discard(0, 4096, false) },
		"secure":   func() error { return d.Discard(0, 4096, true) },
		"geometry": func() error { _, _, err := d.Geometry(); return err },
	} {
		if err := call(); !errors.Is(err, unix.ENOTTY) {
			t.Errorf("%s: %v; want ENOTTY", name, err)
		}
	}
	if !bytes.Equal(buf, make([]byte, 4096)) {
		t.Error("a call that failed changed its buffer")
	}
}

func TestAnAlignedBufferSuitsODirect(t *testing.T) {
	for _, n := range []int{1, 512, 4096, 1 << 20} {
		b := passthru.Aligned(n)
		if len(b) != n || cap(b) != n || uintptr(unsafe.Pointer(&b[0]))%4096 != 0 {
			t.Errorf("Aligned(%d): %d bytes at %p", n, len(b), &b[0])
		}
	}
}
