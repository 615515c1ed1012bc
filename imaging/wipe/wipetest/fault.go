package wipetest

import (
	"errors"

	"ingot/imaging/passthru"
	"ingot/imaging/wipe"
)

// Killed is what a Faulty panics with when the agent is to die.
type Killed struct{}

// Fault is what happens at one call.
type Fault int

// The faults.
const (
	NoFault  Fault = iota
	Before         // the call fails and never reaches the drive
	After          // it reaches the drive, and the answer is lost
	Dead           // from this call on nothing reaches the drive
	Kill           // the agent dies before the call
	KillLate       // the agent dies after the drive did it
	Faults
)

// Faulty stands between engine and drive. At is the number of the call, from 1, at which Fault happens.
type Faulty struct {
	wipe.Port
	Fault Fault
	At    int
	calls int
}

var errLost = errors.New("connection timed out")

// call counts, and does do unless the fault says otherwise.
func (f *Faulty) call(do func() error) error {
	f.calls++
	switch {
	case f.Fault == Dead && f.calls >= f.At:
		return errLost
	case f.calls != f.At:
		return do()
	}
	switch f.Fault {
	case Before:
		return errLost
	case After:
		_ = do()
		return errLost
	case Kill:
		panic(Killed{})
	case KillLate:
		_ = do()
		panic(Killed{})
	}
	return do()
}

// Calls tells how many there were.
func (f *Faulty) Calls() int { return f.calls }

// Tap counts a call that is not to the drive, such as to the server.
func (f *Faulty) Tap(do func() error) error { return f.call(do) }

// The rest is Port.

func (f *Faulty) Facts() (out wipe.Facts, err error) {
	err = f.call(func() (e error) { out, e = f.Port.Facts(); return e })
	return out, err
}

func (f *Faulty) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.call(func() (e error) { n, e = f.Port.ReadAt(p, off); return e })
	if err != nil {
		n = 0
	}
	return n, err
}

func (f *Faulty) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.call(func() (e error) { n, e = f.Port.WriteAt(p, off); return e })
	if err != nil {
		n = 0
	}
	return n, err
}

func (f *Faulty) Flush() error { return f.call(f.Port.Flush) }

func (f *Faulty) Discard(off, n uint64, secure bool) error {
	return f.call(func() error { return f.Port.Discard(off, n, secure) })
}

func (f *Faulty) NVMe(c passthru.NVMe) (out passthru.NVMeReply, err error) {
	err = f.call(func() (e error) { out, e = f.Port.NVMe(c); return e })
	return out, err
}

func (f *Faulty) SCSI(c passthru.SCSI) (out passthru.SCSIReply, err error) {
	err = f.call(func() (e error) { out, e = f.Port.SCSI(c); return e })
	return out, err
}

func (f *Faulty) MMC(c passthru.MMC) (out passthru.MMCReply, err error) {
	err = f.call(func() (e error) { out, e = f.Port.MMC(c); return e })
	return out, err
}

func (f *Faulty) PSIDRevert(psid string) error {
	return f.call(func() error { return f.Port.PSIDRevert(psid) })
}

func (f *Faulty) Rescan() error { return f.call(f.Port.Rescan) }

func (f *Faulty) Boot() (out []wipe.Area, err error) {
	err = f.call(func() (e error) { out, e = f.Port.Boot(); return e })
	return out, err
}
