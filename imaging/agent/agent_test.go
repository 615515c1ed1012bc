package agent_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ingot/imaging/agent"
	"ingot/imaging/disk"
	"ingot/imaging/job"
	"ingot/store"
)

func TestALaptopGetsItsImageItsNameAndItsRecord(t *testing.T) {
	b := newBench(t, newGolden(t, 16))
	l := b.laptop(20)
	wait := l.boot(t.Context())
	l.order()
	for _, s := range []string{"claimed", "invalidated", "writing", "flushed", "verified", "personalised", "committing", "committed"} {
		l.hears("state " + s)
	}
	l.hears("done")
	if err := wait(); err != nil || l.ended != "reset" {
		t.Fatalf("Run = %v, ended by %q; want a reset", err, l.ended)
	}
	l.holds()
	d := b.device()
	if d.State != store.Deployed || d.Holds == nil {
		t.Fatalf("device %s holds %+v; want deployed", d.State, d.Holds)
	}
	p := d.Holds.Proof
	if p.Content == nil || p.Content.Manifest != b.img.manifest.Digest() || p.Personalised == nil || p.Commit == nil || p.Commit.BootEntry != "Boot0003" {
		t.Errorf("proof %+v", p)
	}
	if len(l.named) != 1 || l.named[0] != "SALES-01" {
		t.Errorf("named %v; want SALES-01 once", l.named)
	}
	if v := l.lastView(); v.Word != "done" || v.Colour != agent.Green || v.Name != "SALES-01" {
		t.Errorf("last view %+v; want a green done with the name", v)
	}
}

// TestAFirmwareThatTakesNoBootEntryIsNoted: the disk is whole without it; the screen says what to choose.
func TestAFirmwareThatTakesNoBootEntryIsNoted(t *testing.T) {
	b := newBench(t, newGolden(t, 8))
	l := b.laptop(8)
	l.entryErr = errors.New("write efivars: input/output error")
	wait := l.boot(t.Context())
	l.order()
	l.hears("done")
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	if v := l.lastView(); v.Word != "done" || v.Fault != job.CodeBootEntry || strings.Contains(v.Sentence+v.Next+strings.Join(v.Lines, ""), "input/output") {
		t.Errorf("last view %+v; want done, with %s in words", v, job.CodeBootEntry)
	}
}

// TestAKilledLaptopGoesOnAndFetchesOnlyWhatIsMissing ends the agent in mid-write and boots it again: no new
// code is asked for, and the rest only is fetched.
func TestAKilledLaptopGoesOnAndFetchesOnlyWhatIsMissing(t *testing.T) {
	b := newBench(t, newGolden(t, 16))
	l := b.laptop(16)
	ctx, kill := context.WithCancel(t.Context())
	var n atomic.Int32
	b.img.hook(func(_ uint64, f []byte) ([]byte, error) {
		if n.Add(1) == 120 {
			kill()
		}
		return f, nil
	})
	wait := l.boot(ctx)
	l.order()
	if err := wait(); !errors.Is(err, context.Canceled) {
		t.Fatalf("Run = %v; want the kill", err)
	}
	held := map[uint64]bool{}
	disk0 := l.bytes()
	for i, e := range b.img.extents {
		held[uint64(i)] = bytes.Equal(disk0[e.Offset:e.End()], b.img.bytes[e.Offset:e.End()])
	}
	b.img.hook(nil)
	b.ahead.Store(int64(5 * time.Minute)) // the old key has been silent for long enough
	wait = l.boot(t.Context())
	l.hears("done")
	must(t, wait())
	l.holds()
	for x := range b.img.sent {
		if held[x] && b.img.extents[x].Offset >= mib {
			t.Errorf("extent %d was on the disk and was fetched again", x)
		}
	}
	if d := b.device(); d.State != store.Deployed {
		t.Errorf("device is %s; want deployed", d.State)
	}
}

// TestALaptopWithAnotherDriveIsToldWhyAndStays kills the agent in mid-write and boots the same laptop with
// another drive: it gets no job, and a person can read why.
func TestALaptopWithAnotherDriveIsToldWhyAndStays(t *testing.T) {
	b := newBench(t, newGolden(t, 8))
	l := b.laptop(8)
	ctx, kill := context.WithCancel(t.Context())
	var n atomic.Int32
	b.img.hook(func(_ uint64, f []byte) ([]byte, error) {
		if n.Add(1) == 60 {
			kill()
		}
		return f, nil
	})
	wait := l.boot(ctx)
	j := l.order()
	if err := wait(); !errors.Is(err, context.Canceled) {
		t.Fatalf("Run = %v; want the kill", err)
	}
	b.ahead.Store(int64(5 * time.Minute)) // the old key has been silent for long enough
	l.drive.Serial = "IMPOSTOR"
	before := l.bytes()
	ctx, off := context.WithCancel(t.Context())
	wait = l.boot(ctx)
	awaitFailure(t, l, job.CodeWrongDrive)
	off()
	if err := wait(); !errors.Is(err, context.Canceled) || l.ended != "" {
		t.Errorf("Run = %v, ended by %q; want it to stay until it is switched off", err, l.ended)
	}
	if got := view(t, b, j.ID); got.State.Final() {
		t.Errorf("the job is %s; want it to wait for its own drive", got.State)
	}
	if !bytes.Equal(l.bytes(), before) {
		t.Error("the disk was changed")
	}
}

func TestTheDaemonRestartsInTheMiddle(t *testing.T) {
	b := newBench(t, newGolden(t, 16))
	l := b.laptop(16)
	reached, resume := make(chan struct{}), make(chan struct{})
	var n atomic.Int32
	b.img.hook(func(_ uint64, f []byte) ([]byte, error) {
		if n.Add(1) == 100 {
			close(reached)
			<-resume
		}
		return f, nil
	})
	wait := l.boot(t.Context())
	l.order()
	<-reached
	b.stop()
	close(resume)
	b.start(nil)
	l.hears("done")
	must(t, wait())
	l.holds()
	if d := b.device(); d.State != store.Deployed {
		t.Errorf("device is %s; want deployed", d.State)
	}
}

// TestACancelBeforeTheFirstWriteLeavesTheDiskBitEqual stops the agent while it fetches the head.
func TestACancelBeforeTheFirstWriteLeavesTheDiskBitEqual(t *testing.T) {
	b := newBench(t, newGolden(t, 8))
	l := b.laptop(8)
	old := bytes.Repeat([]byte("somebody's data "), 8*mib/16)
	must(t, os.WriteFile(l.path, old, 0o600))
	reached, resume := make(chan struct{}), make(chan struct{})
	var n atomic.Int32
	b.img.hook(func(_ uint64, f []byte) ([]byte, error) {
		if n.Add(1) == 3 {
			close(reached)
			<-resume
		}
		return f, nil
	})
	wait := l.boot(t.Context())
	j := l.order()
	<-reached
	_, err := b.service.Cancel(context.Background(), "anna", j.ID)
	must(t, err)
	close(resume)
	l.hears("cancelled, nothing was written")
	must(t, wait())
	if !bytes.Equal(l.bytes(), old) {
		t.Error("the disk was changed")
	}
	if got := view(t, b, j.ID); got.State != job.Cancelled || got.Result == nil || got.Result.DiskTouched {
		t.Errorf("job %s, result %+v; want cancelled and untouched", got.State, got.Result)
	}
}

func TestACancelAfterTheFirstWriteSaysThatTheLaptopIsNotUsable(t *testing.T) {
	b := newBench(t, newGolden(t, 8))
	l := b.laptop(8)
	reached, resume := make(chan struct{}), make(chan struct{})
	var n atomic.Int32
	b.img.hook(func(_ uint64, f []byte) ([]byte, error) {
		if n.Add(1) == 60 {
			close(reached)
			<-resume
		}
		return f, nil
	})
	ctx, off := context.WithCancel(t.Context())
	wait := l.boot(ctx)
	j := l.order()
	<-reached
	_, err := b.service.Cancel(context.Background(), "anna", j.ID)
	must(t, err)
	close(resume)
	awaitFailure(t, l, job.CodeCancelled)
	off()
	if err := wait(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := view(t, b, j.ID); got.State != job.Cancelled || got.Result == nil || !got.Result.DiskTouched {
		t.Errorf("job %s, result %+v; want cancelled and touched", got.State, got.Result)
	}
	doesNotBoot(t, l)
}

func doesNotBoot(t *testing.T, l *laptop) {
	t.Helper()
	if !bytes.Equal(l.bytes()[:mib], make([]byte, mib)) {
		t.Error("the first MiB is not zero")
	}
}

func view(t *testing.T, b *bench, id job.ID) store.JobView {
	t.Helper()
	v, err := b.service.Job(context.Background(), id)
	must(t, err)
	return v
}

// awaitFailure waits until the screen shows the code.
func awaitFailure(t *testing.T, l *laptop, want job.Code) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case <-l.said:
		case <-time.After(10 * time.Millisecond):
		case <-timeout:
			t.Fatalf("the screen shows %+v; want the code %s", l.lastView(), want)
		}
		if v := l.lastView(); v.Fault != "" {
			if v.Fault != want || v.Colour != agent.Red || v.Sentence != want.Words().Sentence {
				t.Fatalf("the screen shows %+v; want the code %s", v, want)
			}
			return
		}
	}
}

// liar acknowledges a write and drops it.
type liar struct {
	*disk.Disk
	at int64
}

func (l liar) WriteAt(p []byte, off int64) (int, error) {
	if off <= l.at && l.at < off+int64(len(p)) {
		return len(p), nil
	}
	return l.Disk.WriteAt(p, off)
}

func TestWhatGoesWrongIsShownAndRecordedAndLeavesNoDeployment(t *testing.T) {
	img := newGolden(t, 8)
	corrupt := func(n uint64, f []byte) ([]byte, error) {
		if n == 100 {
			f = bytes.Clone(f)
			f[len(f)/2] ^= 4
		}
		return f, nil
	}
	cases := map[string]struct {
		prepare func(l *laptop) // before the order
		after   func(l *laptop) // after adopting, before the agent opens the drive
		hook    func(n uint64, f []byte) ([]byte, error)
		want    job.Code
		touched bool
	}{
		"a corrupt chunk":        {hook: corrupt, want: job.CodeChunk, touched: true},
		"a lying disk":           {prepare: lies, want: job.CodeReadBack, touched: true},
		"another drive by now":   {after: func(l *laptop) { l.drive.Serial = "OTHER" }, want: job.CodeWrongDrive},
		"another size by now":    {after: func(l *laptop) { l.drive.SizeBytes -= mib }, want: job.CodeWrongDrive},
		"a removable drive now":  {after: func(l *laptop) { l.drive.Removable = true }, want: job.CodeRemovable},
		"no name can be written": {prepare: func(l *laptop) { l.nameErr = job.Faultf(job.CodePersonalise, "read-only") }, want: job.CodePersonalise, touched: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, img)
			img.hook(c.hook)
			l := b.laptop(8)
			if c.prepare != nil {
				c.prepare(l)
			}
			old := l.bytes()
			ctx, off := context.WithCancel(t.Context())
			wait := l.boot(ctx)
			code := l.hears("hello accepted code ")[len("hello accepted code "):]
			_, err := b.service.Adopt(context.Background(), "anna", store.Adoption{Code: code, Name: "SALES-01"})
			must(t, err)
			if c.after != nil {
				c.after(l)
			}
			j, err := b.service.Deploy(context.Background(), "anna", store.Order{Device: "SALES-01", Image: "sales"})
			must(t, err)
			awaitFailure(t, l, c.want)
			off()
			if err := wait(); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			got := view(t, b, j.ID)
			if got.State != job.Failed || got.Fault == nil || got.Fault.Code != c.want || got.Result == nil || got.Result.DiskTouched != c.touched {
				t.Errorf("job %s, fault %v, result %+v; want failed with %s, touched %v", got.State, got.Fault, got.Result, c.want, c.touched)
			}
			if d := b.device(); d.Holds != nil {
				t.Errorf("there is a deployment %+v", d.Holds)
			}
			if v := l.lastView(); v.QR == "" || v.Next == "" {
				t.Errorf("the screen shows %+v; want a QR code and a next step", v)
			}
			if !c.touched && !bytes.Equal(l.bytes(), old) {
				t.Error("the disk was changed")
			}
			doesNotBoot(t, l)
		})
	}
}

func lies(l *laptop) {
	l.medium = func(d *disk.Disk) *disk.Disk {
		return disk.New(d.Drive(), liar{d, 5 * mib}, true)
	}
}
