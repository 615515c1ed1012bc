package wipetest

import (
	"encoding/binary"
)

func (d *ATA) sanitize(t taskfile) regs {
	switch {
	case d.Sanitizes&0x1000 == 0:
		return aborted(0)
	case t.feature == 0:
		if d.SanFailed {
			return aborted(1)
		}
		progress := uint64(0xffff)
		if d.running && d.Takes > 0 {
			progress = uint64(min(0xffff, d.Clock.Now().Sub(d.started)*0x10000/d.Takes))
			if d.Stalls {
				progress = min(progress, 0x7000)
			}
		}
		return regs{status: 0x50, count: bit(15, d.SanSucceeded) | bit(14, d.running) | bit(13, d.SanFrozen), lba: progress}
	case d.SanFrozen:
		return aborted(3)
	case d.Locked, d.running:
		return aborted(0)
	}
	for feature, want := range map[uint16]struct {
		bit uint16
		key uint64
	}{0x11: {1 << 13, 0x43727970}, 0x12: {1 << 15, 0x426b4572}, 0x14: {1 << 14, 0x4f57 << 32}} {
		if t.feature == feature && d.Sanitizes&want.bit != 0 && t.lba == want.key {
			return d.start()
		}
	}
	return aborted(2)
}

func (d *ATA) start() regs {
	d.count++
	d.started, d.ends = d.Clock.Now(), d.Clock.Now().Add(d.Takes)
	if d.Ignores {
		return good
	}
	d.running, d.SanSucceeded, d.SanFailed = true, false, false
	return good
}

func (d *ATA) tick() {
	if !d.running || d.Stalls || d.Clock.Now().Before(d.ends) {
		return
	}
	d.running = false
	if d.Fails || d.FailsOnce && d.count == 1 {
		d.SanFailed = true
		return
	}
	d.SanSucceeded = true
	d.Erase(d.Leaves, d.Keeps)
}

func (d *ATA) native() uint64 {
	if d.Native != 0 {
		return d.Native
	}
	return d.shown()
}

// area is HPA, DCO and their newer form.
func (d *ATA) area(t taskfile) regs {
	was := d.nativeOK
	d.nativeOK = false
	switch {
	case d.NoNative:
		return aborted(0)
	case t.cmd == 0x27 && d.HPA, t.cmd == 0x78 && d.AMAC && t.feature == 0:
		d.nativeOK = true
		return regs{status: 0x50, lba: d.native() - 1}
	case t.cmd == 0xb1 && d.DCO && t.feature == 0xc2 && !d.NoOverlay:
		clear(t.data)
		binary.LittleEndian.PutUint64(t.data[6:], max(d.native(), d.Deep)-1)
		t.data[510] = 0xa5
		var sum byte
		for _, v := range t.data[:511] {
			sum += v
		}
		t.data[511] = -sum
		return good
	case d.NoUnhide:
		return aborted(0)
	case t.cmd == 0x37 && d.HPA && was && t.count&1 != 0, t.cmd == 0x78 && d.AMAC && t.feature == 1:
		d.size = (t.lba + 1) * 512
		return good
	case t.cmd == 0xb1 && d.DCO && t.feature == 0xc0 && !d.NoRestore && (d.Deep == 0 || d.size == d.Native*512): // not under an HPA
		d.Native = max(d.native(), d.Deep)
		d.size = d.Native * 512
		return good
	}
	return aborted(0)
}

// Rescan shows the kernel the size that the drive has now.
func (d *ATA) Rescan() error {
	d.Told.SizeBytes = d.size
	return nil
}

func (d *ATA) security(t taskfile) regs {
	was := d.prepared
	d.prepared = false
	if !d.Supported || d.Frozen || d.Expired {
		return aborted(0)
	}
	pw := ""
	if len(t.data) == 512 {
		pw = string(t.data[2:34])
	}
	switch t.cmd {
	case 0xf1:
		if d.Locked {
			return aborted(0)
		}
		d.Enabled, d.Password = true, pw
		d.Passwords++
		return good
	case 0xf3:
		d.prepared = true
		return good
	case 0xf2:
		if !d.Locked || pw != d.Password {
			return aborted(0)
		}
		d.Locked = false
		return good
	case 0xf6:
		if d.Locked || !d.Enabled || pw != d.Password {
			return aborted(0)
		}
		d.Enabled, d.Password = false, ""
		return good
	}
	return d.eraseUnit(t, was, pw)
}

func (d *ATA) eraseUnit(t taskfile, prepared bool, pw string) regs {
	if !prepared || !d.Enabled || pw != d.Password || t.data[0]&2 != 0 && !d.Enhanced {
		return aborted(0)
	}
	d.Clock.Sleep(d.Takes)
	if d.EraseFails {
		d.eraseFrom(0, len(d.blocks)/2, Zeros)
		return regs{status: 0x51, err: 4}
	}
	if !d.ErasesNone {
		d.Erase(d.Leaves, d.Keeps)
	}
	if !d.KeepsLock {
		d.Enabled, d.Locked, d.Password = false, false, ""
	}
	return good
}
