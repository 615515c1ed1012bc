package agent_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/agent"
	"ingot/imaging/chunkstore"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/store"
)

// captureBench is a bench with a real library, and a laptop with something on its drive.
func captureBench(t *testing.T, mibs int) (*bench, *laptop, []byte) {
	packs, err := chunkstore.Open(t.TempDir())
	must(t, err)
	t.Cleanup(func() { packs.Close() })
	b := newBenchOver(t, newGolden(t, 1), packs)
	l := b.laptop(mibs)
	data := newGolden(t, mibs).bytes
	must(t, os.WriteFile(l.path, data, 0o600))
	return b, l, data
}

// orderCapture adopts the laptop and orders its drive.
func (l *laptop) orderCapture(change func(*store.Capture)) job.ID {
	l.b.t.Helper()
	l.adopt()
	o := store.Capture{Device: "SALES-01", Image: "ref", Label: "1", Note: "first", After: job.Reset}
	if change != nil {
		change(&o)
	}
	v, err := l.b.service.Capture(context.Background(), "anna", o)
	must(l.b.t, err)
	return v.ID
}

// versions of the image that is captured into.
func (b *bench) versions(image string) (out []store.Version) {
	b.t.Helper()
	must(b.t, b.db.View(func(tx *store.Tx) (err error) { out, err = tx.Versions(image); return err }))
	return out
}

// rebuilt is the disk of a version, chunk by chunk.
func (b *bench) rebuilt(d imaging.Digest) []byte {
	b.t.Helper()
	m, err := b.packs.OpenManifest(d)
	must(b.t, err)
	defer m.Close()
	out := make([]byte, m.Header().DiskSize)
	for e, err := range m.All() {
		must(b.t, err)
		if e.Kind == imaging.Data {
			plain, err := b.packs.ReadChunk(e.Digest)
			must(b.t, err)
			copy(out[e.Offset:], plain)
		}
	}
	return out
}

func TestACaptureBringsTheDriveIntoTheLibrary(t *testing.T) {
	b, l, data := captureBench(t, 24)
	was, err := os.Stat(l.path)
	must(t, err)
	wait := l.boot(t.Context())
	id := l.orderCapture(nil)
	l.hears("captured as ref@1")
	must(t, wait())
	now, err := os.Stat(l.path)
	must(t, err)
	if !bytes.Equal(l.bytes(), data) || !now.ModTime().Equal(was.ModTime()) {
		t.Error("the drive is not what it was")
	}
	all := b.versions("ref")
	if len(all) != 1 || all[0].State != store.Draft || all[0].Note != "first" || all[0].By != "anna" {
		t.Fatalf("the versions are %+v", all)
	}
	if !bytes.Equal(b.rebuilt(all[0].Manifest), data) {
		t.Error("the library holds something else than the drive")
	}
	v := view(t, b, id)
	if v.State != job.Done || v.Image.String() != "ref@1" || v.Result == nil || v.Result.Captured == nil || v.Found == nil {
		t.Fatalf("the job became %+v", v.Job)
	}
	if c := v.Result.Captured; !c.Unwritten || c.ReadBytes != 24*mib || c.SentBytes < 20*mib || v.Result.DiskTouched || v.Result.WrittenBytes != 0 {
		t.Errorf("it tells %+v", c)
	}
	if d := b.device(); d.State != store.Ready || d.Holds != nil {
		t.Errorf("the device is %s and holds %v", d.State, d.Holds)
	}
	if l.ended != "reset" {
		t.Errorf("it ended by %q", l.ended)
	}
	if v := l.lastView(); v.Colour != agent.Green || v.Lines[0] != "ref@1" {
		t.Errorf("the screen shows %+v", v)
	}
	saw := false
	for _, v := range l.views {
		saw = saw || v.Word == "reading" && v.SafeTo == agent.KeepPlugged
	}
	if !saw {
		t.Error("the screen never showed that it reads")
	}
}

// stopping ends a laptop or a daemon when so many streams have been taken.
type stopping struct {
	deploy.Intake
	taken *atomic.Int64
	at    int64
	stop  func()
}

func (s stopping) Take(body io.Reader) error {
	err := s.Intake.Take(body)
	if s.taken.Add(1) == s.at {
		s.stop()
	}
	return err
}

func TestAKilledLaptopGoesOnAndSendsOnlyWhatIsMissing(t *testing.T) {
	b, l, data := captureBench(t, 48)
	ctx, off := context.WithCancel(t.Context())
	var taken atomic.Int64
	b.intake = func(i deploy.Intake) deploy.Intake { return stopping{i, &taken, 8, off} }
	wait := l.boot(ctx)
	id := l.orderCapture(nil)
	wait()
	if s := view(t, b, id).State; s != job.Reading {
		t.Fatalf("the killed capture is %s", s)
	}
	first := taken.Load()
	b.ahead.Add(int64(time.Minute)) // the old key is silent
	wait = l.boot(t.Context())
	for said := ""; said != "captured as ref@1"; {
		select {
		case said = <-l.said:
		case <-time.After(time.Second):
			if strings.HasPrefix(l.lastView().Sentence, "An earlier start") { // a word of it was still on its way
				b.ahead.Add(int64(time.Minute))
			}
		}
	}
	must(t, wait())
	c := view(t, b, id).Result.Captured
	if c.SentBytes > 42*mib-uint64(first-4)*mib || c.HeldBytes < uint64(first-4)*mib {
		t.Errorf("after %d streams of 2 MiB the second start sent %d and found %d bytes held", first, c.SentBytes, c.HeldBytes)
	}
	if !bytes.Equal(b.rebuilt(b.versions("ref")[0].Manifest), data) {
		t.Error("the library holds something else than the drive")
	}
}

// forgetful says of everything, once, that it is held: what a daemon says that is killed right after, with its last
// pack open.
type forgetful struct {
	deploy.Intake
	asked *atomic.Int64
}

func (f forgetful) Want(body []byte) ([]byte, error) {
	if f.asked.Add(1) <= 3 {
		return make([]byte, (len(body)/32+7)/8), nil
	}
	return f.Intake.Want(body)
}

func TestWhatTheDaemonLostIsReadAndSentAgain(t *testing.T) {
	b, l, data := captureBench(t, 16)
	var asked atomic.Int64
	b.intake = func(i deploy.Intake) deploy.Intake { return forgetful{i, &asked} }
	wait := l.boot(t.Context())
	l.orderCapture(nil)
	l.hears("the server lacks a part of it")
	l.hears("captured as ref@1")
	must(t, wait())
	if !bytes.Equal(b.rebuilt(b.versions("ref")[0].Manifest), data) {
		t.Error("the library holds something else than the drive")
	}
}

// sieve takes nothing in and says that it did.
type sieve struct{ deploy.Intake }

func (s sieve) Take(body io.Reader) error { _, err := io.Copy(io.Discard, body); return err }

func TestACaptureThatCannotBecomeAnImageIsRefusedInWords(t *testing.T) {
	for name, c := range map[string]struct {
		before func(l *laptop) // it is ordered
		while  func(l *laptop) // it sends
		want   job.Code
	}{
		"BitLocker": {func(l *laptop) {
			f, err := os.OpenFile(l.path, os.O_RDWR, 0)
			must(l.b.t, err)
			boot := make([]byte, 512)
			copy(boot, "\xeb\x58\x90-FVE-FS-")
			boot[510], boot[511] = 0x55, 0xaa
			_, err = f.WriteAt(boot, 0)
			must(l.b.t, err)
			must(l.b.t, f.Close())
		}, nil, job.CodeEncrypted},
		"somebody writes to it": {nil, func(l *laptop) {
			f, err := os.OpenFile(l.path, os.O_RDWR, 0)
			must(l.b.t, err)
			_, err = f.WriteAt([]byte("x"), 5*mib)
			must(l.b.t, err)
			must(l.b.t, f.Close())
		}, job.CodeSourceChanged},
		"another drive": {func(l *laptop) {
			l.listed = []job.Drive{{Path: l.path, Serial: "NV2", Transport: "nvme", SizeBytes: l.drive.SizeBytes, SectorSize: 512}}
		}, nil, job.CodeWrongDrive},
		"too little memory": {nil, nil, job.CodeListTooLong},
		"a server that loses everything": {func(l *laptop) {
			l.b.intake = func(i deploy.Intake) deploy.Intake { return sieve{i} }
		}, nil, job.CodeLacking},
	} {
		t.Run(name, func(t *testing.T) {
			b, l, _ := captureBench(t, 8)
			if c.while != nil {
				var taken atomic.Int64
				b.intake = func(i deploy.Intake) deploy.Intake {
					return stopping{i, &taken, 1, func() { c.while(l) }}
				}
			}
			ctx, off := context.WithCancel(t.Context())
			defer off()
			listed := l.drive
			if c.want == job.CodeListTooLong {
				l.hello.MemoryBytes = 4096
			}
			wait := l.boot(ctx)
			l.adoptFirst(func() {
				if c.before != nil {
					c.before(l)
				}
			})
			v, err := b.service.Capture(context.Background(), "anna", store.Capture{Device: "SALES-01", Image: "ref", Note: "n", Drive: listed.Serial})
			must(t, err)
			for said := ""; !strings.HasPrefix(said, "failed "); {
				select {
				case said = <-l.said:
				case <-time.After(60 * time.Second):
					t.Fatalf("nothing was refused; the screen shows %+v", l.lastView())
				}
			}
			off()
			wait()
			j := view(t, b, v.ID)
			if j.Fault == nil || j.Fault.Code != c.want || j.State != job.Failed && j.State != job.Indeterminate {
				t.Errorf("the job became %s with %v; want %s", j.State, j.Fault, c.want)
			}
			if n := len(b.versions("ref")); n != 0 {
				t.Errorf("%d versions were made", n)
			}
			if d := b.device(); d.State != store.Ready {
				t.Errorf("the device became %s", d.State)
			}
		})
	}
}

func TestACaptureThatIsCancelledLeavesNothing(t *testing.T) {
	b, l, data := captureBench(t, 24)
	var taken atomic.Int64
	var id job.ID
	ordered := make(chan struct{})
	var slow sync.WaitGroup
	b.intake = func(i deploy.Intake) deploy.Intake {
		return stopping{i, &taken, 2, func() {
			slow.Add(1)
			defer slow.Done()
			<-ordered
			_, err := b.service.Cancel(context.Background(), "anna", id)
			if err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second) // until the laptop has heard
		}}
	}
	wait := l.boot(t.Context())
	id = l.orderCapture(nil)
	close(ordered)
	must(t, wait())
	slow.Wait()
	if s := view(t, b, id).State; s != job.Cancelled {
		t.Errorf("the job became %s", s)
	}
	if !bytes.Equal(l.bytes(), data) || len(b.versions("ref")) != 0 {
		t.Error("the drive changed, or a version was made")
	}
}
