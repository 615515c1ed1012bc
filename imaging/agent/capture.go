package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"ingot/imaging"
	"ingot/imaging/capture"
	"ingot/imaging/chunkstore"
	"ingot/imaging/disk"
	"ingot/imaging/job"
)

// capturing is the capture, in order. Nothing is written to any drive of the laptop: the one that is read is opened for
// reading alone. Uploaded is reported from within read, when every chunk has been taken and the manifest is complete.
// A capture that was cut off begins at the beginning: it reads again, and sends what the library lacks.
var capturing = []phase{
	{job.Claimed, (*deployment).inspect},
	{job.Reading, (*deployment).read},
}

// reading is how far a capture is.
type reading struct {
	drive    *disk.Reader
	upload   atomic.Pointer[chunkstore.Upload]
	progress atomic.Pointer[capture.Progress]
	result   *job.Captured
	recorded job.Recorded
}

// inspect opens the one drive that the order names, and refuses what could not become an image before anything is sent.
func (d *deployment) inspect(context.Context) (err error) {
	if d.source.drive, err = d.agent.Drives.OpenReader(d.job.Target); err != nil {
		return err
	}
	r := d.source.drive
	d.looked = true
	d.found = job.Found{Holds: r.Survey(), Health: r.Health(), Power: d.agent.Machine.Power()}
	d.agent.Say(fmt.Sprintf("drive %s health %s, opened for reading only", printable(d.job.Target.Serial), printable(d.found.Health.String())))
	_, _, err = capture.Inspect(r, d.captureOptions())
	return err
}

func (d *deployment) captureOptions() capture.Options {
	return capture.Options{RootPartition: d.job.Capture.RootPart, GrowPartition: d.job.Capture.GrowPart}
}

// read takes the drive into the library.
func (d *deployment) read(ctx context.Context) error {
	if err := d.fresh(); err != nil {
		return err
	}
	d.source.upload.Store(d.agent.Library.NewUpload(ctx, d.job.ID, d.waitsFor))
	list, o := &sentList{ctx: ctx, d: d}, d.captureOptions()
	o.Progress = func(p capture.Progress) {
		d.source.progress.Store(&p)
		if err := list.bounded(); err != nil {
			d.report.cancel(err)
		}
	}
	res, err := capture.Run(ctx, d.source.drive, capture.Sink{Chunks: d.source.upload.Load(), Manifests: list}, o)
	if err != nil {
		return err
	}
	up := d.source.upload.Load()
	d.source.result = &job.Captured{Manifest: res.Manifest, ReadBytes: res.ReadBytes, SentBytes: up.Sent.Load(), HeldBytes: up.Held.Load(),
		Unwritten: d.source.drive.Unchanged() == nil} // asked once more: a part may have been read again
	for _, n := range res.Notes[:min(len(res.Notes), job.MaxCaptureNotes)] {
		d.source.result.Notes = append(d.source.result.Notes, n.Text)
	}
	return nil
}

// waitsFor shows what the upload waits for, and goes back to the state when it goes on.
func (d *deployment) waitsFor(f *job.Fault) {
	if f == nil {
		d.report.ask(nil)
		return
	}
	w := f.Code.Words()
	d.report.ask(&notice{word: job.WordWaiting, sentence: w.Sentence, next: w.Next, fault: f.Code, lines: []string{f.Fact, "It goes on by itself."}})
}

// sentList is the Manifests of a capture: a list in memory, which is sent to the daemon when it is complete.
type sentList struct {
	ctx context.Context
	d   *deployment
	f   *os.File
}

// listShare is how much of the memory the list may take at most: one part in so many.
const listShare = 4

// bounded refuses a list that takes more than its share of the memory. A laptop that does not tell its memory is not
// held to any.
func (l *sentList) bounded() error {
	most := int64(l.d.agent.me.memory / listShare)
	info, err := l.f.Stat()
	if err == nil && most > 0 && info.Size() > most {
		return job.Faultf(job.CodeListTooLong, "%d MB are there for the list.", most/1e6)
	}
	return err
}

// CreateManifest makes a file that lies in memory only: the laptop has no drive of its own to write to.
func (l *sentList) CreateManifest() (*os.File, error) {
	fd, err := unix.MemfdCreate("manifest", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make the list of the drive: %w: %w", job.Faultf(job.CodeListTooLong, ""), err)
	}
	l.f = os.NewFile(uintptr(fd), "manifest")
	return l.f, nil
}

// DropManifest implements capture.Manifests.
func (l *sentList) DropManifest(f *os.File) error { return f.Close() }

// mostRounds bounds how often chunks that got lost on the way are sent again: a daemon that is killed loses those of
// one pack.
const mostRounds = 20

// PutManifest sends the list until the daemon has made a Version of it. What the daemon lacks, because it was killed
// in between, is read and sent once more.
func (l *sentList) PutManifest(f *os.File) (_ imaging.Digest, err error) {
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return imaging.Digest{}, err
	}
	m, err := imaging.OpenManifest(f, info.Size())
	if err != nil {
		return imaging.Digest{}, err
	}
	d := l.d
	if err := errors.Join(l.bounded(), d.source.drive.Unchanged()); err != nil {
		return imaging.Digest{}, err
	}
	if err := d.enter(l.ctx, job.Uploaded); err != nil {
		return imaging.Digest{}, err
	}
	for range mostRounds {
		d.source.recorded, err = d.agent.Library.SendManifest(l.ctx, d.job.ID, f, info.Size(), d.waitsFor)
		switch {
		case err != nil:
			return imaging.Digest{}, err
		case d.source.recorded.Image != nil && d.source.recorded.Image.Manifest == m.Digest():
			return m.Digest(), nil
		case d.source.recorded.Image != nil:
			return imaging.Digest{}, job.Faultf(job.CodeProtocol, "The server recorded another disk.")
		}
		if err := l.sendLacking(m); err != nil {
			return imaging.Digest{}, err
		}
	}
	return imaging.Digest{}, job.Faultf(job.CodeLacking, "Chunks were sent %d times.", mostRounds)
}

// sendLacking goes through the whole list, and reads and sends what the daemon does not hold any more.
func (l *sentList) sendLacking(m *imaging.Manifest) error {
	l.d.agent.Say("the server lacks a part of it, sending that again")
	up := l.d.agent.Library.NewUpload(l.ctx, l.d.job.ID, l.d.waitsFor)
	defer up.Abort()
	batch := make([]imaging.Extent, 0, 1024)
	for e, err := range m.All() {
		if err != nil {
			return err
		}
		if e.Kind == imaging.Data {
			batch = append(batch, e.Extent)
		}
		if len(batch) == cap(batch) || e.N+1 == m.Count() {
			if err := l.sendBatch(up, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	err := up.Commit()
	l.d.source.upload.Load().Sent.Add(up.Sent.Load())
	return err
}

func (l *sentList) sendBatch(up *chunkstore.Upload, batch []imaging.Extent) error {
	if len(batch) == 0 {
		return nil
	}
	list := make([]imaging.Digest, len(batch))
	for i, e := range batch {
		list[i] = e.Digest
	}
	lacks, err := up.Lacking(list)
	if err != nil {
		return err
	}
	buf := make([]byte, imaging.DefaultParams().Max)
	for i, e := range batch {
		if !lacks[i] {
			continue
		}
		plain := buf[:e.Length]
		if _, err := l.d.source.drive.ReadAt(plain, int64(e.Offset)); err != nil {
			return err
		}
		d, err := up.Put(plain)
		if err != nil {
			return err
		}
		if d != e.Digest {
			return job.Faultf(job.CodeSourceChanged, "At byte %d of drive %s.", e.Offset, l.d.job.Target.Serial)
		}
	}
	return nil
}
