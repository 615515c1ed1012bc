package agent_test

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/passthru"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/wipetest"
	"ingot/store"
)

// offBehind is an ATA drive whose laptop loses power right behind a SANITIZE, or before the first read behind a flush.
type offBehind struct {
	*wipetest.ATA
	sanitize   bool // else the flush
	gone, free chan struct{}
	off, armed atomic.Bool
}

func (o *offBehind) cut() {
	if !o.off.Swap(true) {
		close(o.gone)
		<-o.free
	}
}

func (o *offBehind) SCSI(c passthru.SCSI) (passthru.SCSIReply, error) {
	if o.off.Load() {
		return passthru.SCSIReply{}, errOff
	}
	r, err := o.ATA.SCSI(c)
	if o.sanitize && c.CDB[14] == 0xb4 && c.CDB[4] != 0 {
		o.cut()
	}
	return r, err
}

func (o *offBehind) Flush() error {
	o.armed.Store(!o.sanitize)
	return o.ATA.Flush()
}

func (o *offBehind) ReadAt(b []byte, off int64) (int, error) {
	if o.armed.Load() {
		o.cut()
	}
	if o.off.Load() {
		return 0, errOff
	}
	return o.ATA.ReadAt(b, off)
}

// TestANewOrderWipesAnewWhatAnEarlierOneBegan: weeks may lie between the two. Of a drive that ended its sanitize by itself
// nobody knows what was written since, and what an overwrite proves, it proves for the policy of its own order.
func TestANewOrderWipesAnewWhatAnEarlierOneBegan(t *testing.T) {
	ssd := wipetest.NewATA(wipetest.NewMedium(4*mib, true, 9), 1)
	ssd.Told.Serial, ssd.Told.Path, ssd.Takes = "S4AGAIN001", "/dev/sda", 2*time.Second
	for name, drive := range map[string]*wipetest.ATA{"a sanitize, and the drive was used since": ssd, "an overwrite, under another policy": platter("WD-AGAIN001")} {
		t.Run(name, func(t *testing.T) {
			cut := &offBehind{ATA: drive, sanitize: drive == ssd, gone: make(chan struct{}), free: make(chan struct{})}
			b, l, bay := wipeWorld(t, store.WipeOrder{}, cut)
			cut.Clock = l.wipeClock.(*wipetest.Clock)
			ctx, cancel := context.WithCancel(context.Background())
			wait := l.boot(ctx)
			<-cut.gone
			cancel()
			close(cut.free)
			_ = wait() // of a start that was cut off
			b.ahead.Add(int64(2 * time.Hour))
			cut.Clock.Sleep(2 * time.Hour)
			must(t, b.service.Sweep())
			files := bytes.Repeat([]byte("a file of whoever used it since.."), 4096)[:4096]
			if drive == ssd {
				_, err := drive.WriteAt(files, 40960)
				must(t, err)
			}
			bay.ports[0] = drive
			p, err := b.service.WipePolicy(context.Background())
			must(t, err)
			p.Policy.Name = "the next one"
			if drive != ssd {
				_, err = b.service.SetWipePolicy(context.Background(), "boss", p.Policy)
				must(t, err)
			}
			_, err = b.service.OpenBench(context.Background(), "anna", store.Bench{OpenUntil: b.now().Add(time.Hour)})
			must(t, err)
			_, err = b.service.Wipe(context.Background(), "anna", store.Technician, store.WipeOrder{Device: "SALES-01", Confirm: l.facts.Serial})
			must(t, err)
			ctx, cancel = context.WithCancel(context.Background())
			defer cancel()
			v := l.ends(ctx, cancel, l.boot(ctx))
			got := make([]byte, 4096)
			_, err = drive.ReadAt(got, 40960)
			must(t, err)
			if bytes.Equal(got, files) {
				t.Errorf("%d certificates, and what was written since is there", len(b.records(t)))
			}
			if b.device().State != store.Ready || len(b.records(t)) != 1 {
				t.Errorf("screen %+v, device %s, %d certificates", v, b.device().State, len(b.records(t)))
			}
			jobs, err := b.service.Jobs(context.Background(), true)
			must(t, err)
			for _, j := range jobs {
				t.Logf("job %s: %v", j.State, j.Fault)
			}
		})
	}
}

var _ wipe.Port = (*offBehind)(nil)

// TestADriveThatShowsItselfLateIsNotForgotten: a hard disk that spins up slowly is in no Hello, so the server knows nothing of
// it, and would call the laptop clean when the others are.
func TestADriveThatShowsItselfLateIsNotForgotten(t *testing.T) {
	hdd, late := platter("WD-ONE00001"), platter("WD-LATE0001")
	b, l, bay := wipeWorld(t, store.WipeOrder{}, hdd)
	stick := job.Drive{Path: "/dev/sdz", Serial: "STICK1", Model: "Stick", Transport: "usb", Removable: true, SizeBytes: 1 << 30, SectorSize: 512}
	l.listed = append(l.listed, stick)
	bay.swap = func(job.Target) error { // the order is here already
		if len(l.listed) == 2 {
			bay.ports = append(bay.ports, late)
			l.listed = append(bay.drives(), stick)
		}
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	v := l.ends(ctx, cancel, l.boot(ctx))
	if v.Fault != job.CodeHidesDrives || hdd.Readable() != 4*mib/4096 || b.device().State != store.Returned || len(b.records(t)) != 0 {
		t.Errorf("screen %+v, %d blocks left, device %s, %d certificates", v, hdd.Readable(), b.device().State, len(b.records(t)))
	}
}
