package disk_test

import (
	"testing"

	"ingot/imaging"
	"ingot/imaging/disk"
	"ingot/imaging/job"
)

// forgetful is a drive that gives back, for a discarded sector, what lay there before the run: the standards
// leave that to the drive.
type forgetful struct {
	medium
	old []byte
}

func (f forgetful) Discard(off, n uint64) error {
	_, err := f.medium.WriteAt(f.old[off:off+n], int64(off))
	return err
}

// TestADiscardDoesNotBringAnOldTableBack deploys an image whose end is free, as a GPT's second copy leaves it, onto
// a drive of the same size that holds an old second GPT there.
func TestADiscardDoesNotBringAnOldTableBack(t *testing.T) {
	kinds := make([]imaging.Kind, 122) // the last one is of 64 KiB, worth a command
	old := make([]string, len(kinds))
	for i := range kinds {
		kinds[i], old[i] = imaging.Data, "junk"
		if i >= 60 {
			kinds[i] = imaging.Free
		}
	}
	im, before := mixture(t, kinds, old)
	copy(before[len(before)-512:], "EFI PART")
	path := fileDrive(t, int64(len(before)), before)
	f := forgetful{medium{open(t, path)}, before}
	d := disk.New(job.Drive{Path: path, Serial: "FORGETS", SizeBytes: uint64(len(before)), SectorSize: 512}, f, true)
	src := &source{im: im}
	head, _, err := disk.FetchHead(t.Context(), src, im.manifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Invalidate(); err != nil {
		t.Fatal(err)
	}
	if _, err := (disk.Restore{Disk: d, Source: src, Manifest: im.manifest, Head: head}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	doesNotBoot(t, path)
}
