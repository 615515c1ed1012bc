package disk

import (
	"bytes"
	"fmt"

	"ingot/imaging"
	"ingot/imaging/job"
)

// Invalidate makes the disk one that no firmware starts: the first MiB and the last one, where a second GPT
// ends, read as zeros when it returns. It asks the drive once more who it is right before this first write.
func (d *Disk) Invalidate() error {
	if err := d.Recheck(); err != nil {
		return err
	}
	n := min(maxHead, d.Size())
	for _, off := range []uint64{0, d.Size() - n} {
		if err := d.Zero(off, n); err != nil {
			return err
		}
	}
	if err := d.Flush(); err != nil {
		return err
	}
	for _, off := range []uint64{0, d.Size() - n} {
		if err := d.expect(AlignedBuffer(int(n)), off, job.CodeReadBack); err != nil {
			return err
		}
	}
	return nil
}

// Commit makes the disk bootable, in an order in which it boots only when all of it stands: second GPT, the
// head without the table, then MBR and first GPT; a flush behind each. Everything is then read again from the
// drive. The zero BackupGPT digest stands for a disk without GPT. BootEntry is the caller's to fill in.
func (d *Disk) Commit(p *Plan) (job.CommitProof, error) {
	steps := []struct {
		what string
		off  uint64
		b    []byte
	}{
		{"second partition table", p.BackupOffset, p.Backup},
		{"head", p.first, p.Head[p.first:]},
		{"first partition table", 0, p.Head[:p.first]},
	}
	for _, s := range steps {
		if len(s.b) == 0 {
			continue
		}
		if _, err := d.WriteAt(s.b, int64(s.off)); err != nil {
			return job.CommitProof{}, fmt.Errorf("commit %s: %w", s.what, err)
		}
		if err := d.Flush(); err != nil {
			return job.CommitProof{}, fmt.Errorf("commit %s: %w", s.what, err)
		}
	}
	for _, s := range steps {
		if err := d.expect(s.b, s.off, job.CodeCommit); err != nil {
			return job.CommitProof{}, err
		}
	}
	proof := job.CommitProof{Head: imaging.Sum(p.Head)}
	if len(p.Backup) > 0 {
		proof.BackupGPT = imaging.Sum(p.Backup)
	}
	return proof, nil
}

// expect reads as many bytes as want has and compares; a difference is a fault with the first offset.
func (d *Disk) expect(want []byte, off uint64, code job.Code) error {
	if len(want) == 0 {
		return nil
	}
	got := AlignedBuffer(len(want))
	if _, err := d.ReadAt(got, int64(off)); err != nil {
		return err
	}
	if bytes.Equal(got, want) {
		return nil
	}
	i := 0
	for got[i] == want[i] {
		i++
	}
	return job.Faultf(code, "At byte %d of %s (serial %s).", off+uint64(i), d.drive.Path, d.drive.Serial)
}
