package agent

import (
	"bytes"
	"context"
	"fmt"

	"ingot/imaging"
	"ingot/imaging/disk"
	"ingot/imaging/job"
)

// renaming is the rename, in order. Up to verified nothing is written, not even by mounting: the drive's own bytes are
// read. A rename that was cut off begins at the beginning, like a deploy; the name is the last thing but one that is
// written, so the laptop starts under the old name or the new one meanwhile.
var renaming = []phase{
	{job.Claimed, (*deployment).recognise},
	{job.Verified, (*deployment).rename},
	{job.Personalised, (*deployment).handBack},
	{job.Committed, (*deployment).bootEntry},
}

// recognise proves that the drive holds the system that Ingot put there.
func (d *deployment) recognise(ctx context.Context) error {
	if err := d.claim(ctx); err != nil {
		return err
	}
	if err := disk.Recognise(d.drive, d.plan, d.job.RootPart, *d.job.Known); err != nil {
		return err
	}
	return d.readHead(&d.first)
}

// readHead reads what lies before the first partition, as it is on the drive now.
func (d *deployment) readHead(into *[]byte) error {
	b := disk.AlignedBuffer(len(d.plan.Head))
	_, err := d.drive.ReadAt(b, 0)
	*into = b
	return err
}

// rename writes the name. Mounting alone may write: from here on the drive is touched.
func (d *deployment) rename(ctx context.Context) error {
	if err := d.fresh(); err != nil {
		return err
	}
	if err := d.drive.Recheck(); err != nil {
		return err
	}
	parts, err := d.drive.AddParts(d.plan.Parts)
	if err != nil {
		return fmt.Errorf("show the partitions to the kernel: %w: %w", err, job.Faultf(job.CodeDriveBusy, "Its partitions could not be opened."))
	}
	d.written = Written{Drive: d.drive.Drive(), Parts: parts, Root: d.job.RootPart, Table: d.plan.Table, Firmware: d.agent.me.bios, Name: d.job.DeviceName}
	if err := d.agent.Firmware.Check(ctx, d.written, d.first); err != nil {
		return err
	}
	personal, err := d.agent.Daemon.Personal(ctx, d.job.ID)
	if err != nil {
		return err
	}
	if personal.DeviceName != d.job.DeviceName {
		return job.Faultf(job.CodePersonalise, "The order says %s, the server says %s.", d.job.DeviceName, personal.DeviceName)
	}
	d.touched = true
	proof, err := d.agent.Personaliser.Rename(ctx, d.written, personal, d.job.Known.Name)
	if err != nil {
		return err
	}
	d.proof.Personalised = &proof
	return nil
}

// handBack takes the drive back from the kernel's hands and proves that its tables are what they were.
func (d *deployment) handBack(context.Context) error {
	if err := d.drive.DropParts(d.written.Parts); err != nil {
		return err
	}
	var now []byte
	if err := d.readHead(&now); err != nil {
		return err
	}
	if !bytes.Equal(now, d.first) {
		return job.Faultf(job.CodeCommit, "The blocks before the first partition changed while the name was written.")
	}
	d.proof.Commit = &job.CommitProof{Head: imaging.Sum(now)}
	return nil
}
