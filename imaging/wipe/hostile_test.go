package wipe_test

import (
	"testing"

	"ingot/imaging/passthru"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/wipetest"
)

// talker answers every command with the same bytes: a drive is a stranger, too.
type talker struct {
	*wipetest.Base
	data   []byte
	status passthru.Status
}

func (t talker) NVMe(c passthru.NVMe) (passthru.NVMeReply, error) {
	copy(c.Data, t.data)
	return passthru.NVMeReply{Status: t.status}, nil
}

func (t talker) SCSI(c passthru.SCSI) (passthru.SCSIReply, error) {
	copy(c.Data, t.data)
	return passthru.SCSIReply{Status: 2, Driver: 8, Sense: t.data[:min(len(t.data), 64)]}, nil
}

func (t talker) MMC(c passthru.MMC) (passthru.MMCReply, error) {
	copy(c.Data, t.data)
	return passthru.MMCReply{Response: 0x900}, nil
}

// FuzzDrive: whatever a drive answers, it is not proven wiped by it, and nothing of it breaks the agent or steers a
// screen.
func FuzzDrive(f *testing.F) {
	d := wipetest.NewATA(wipetest.NewMedium(wipetest.Block*64, true, 1), 1)
	id := make([]byte, 512)
	if _, err := d.SCSI(passthru.Taskfile{Command: 0xec, Move: passthru.FromDrive, Data: id}.SCSI()); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{0x72, 1, 0, 0x1d, 0, 0, 0, 14, 9, 12, 1, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x50}, uint8(1), uint16(0))
	f.Add(id, uint8(1), uint16(0))
	f.Add([]byte("\x00\x00\x01\x01\x04\x00\x00\x00serial and more of it, and a model of some length here"), uint8(0), uint16(0))
	f.Fuzz(func(t *testing.T, data []byte, kind uint8, status uint16) {
		b := wipetest.NewPlain(wipetest.NewMedium(wipetest.Block*64, true, 1), []string{"nvme", "sata", "mmc", "ufs"}[kind%4], "")
		p := talker{b, data, passthru.Status(status)}
		if a, err := wipe.Probe(p); err == nil {
			b.Told.Serial = a.Drive.Serial // the kernel asked it, too
		}
		w := newWorld(t, p, b.Clock, b.Expect(), 1)
		w.order.PSID = goodPSID
		r := w.wipe()
		if r.Outcome == wipe.Done && b.Readable() > 0 {
			t.Errorf("done by %s, and %d blocks can be read", r.Technique, b.Readable())
		}
		for _, s := range []string{r.Fact, r.Drive.Model, r.Drive.Serial, r.Drive.Firmware} {
			for i := range len(s) {
				if s[i] < ' ' || s[i] > '~' {
					t.Errorf("%q holds what steers a screen", s)
				}
			}
		}
	})
}
