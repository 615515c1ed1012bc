package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/imaging/wipe/cert"
	"ingot/imaging/wipe/explain"
	"ingot/store"
)

// letLoose notes when the laptop was let loose on each drive of a wipe.
func letLoose(tx *store.Tx, j *store.Job, d *store.Device) error {
	w := *j.Wipe
	w.Drives = append([]store.WipeDrive(nil), w.Drives...)
	for i := range w.Drives {
		if w.Drives[i].Since.IsZero() {
			w.Drives[i].Since = tx.Now()
		}
	}
	j.Wipe = &w
	if d.State == store.Wiping {
		return nil
	}
	if err := d.Become(store.Wiping, tx.Now()); err != nil {
		return err
	}
	return tx.PutDevice(*d)
}

// mayWipe gives the job of a key that is bound to a wipe which has begun, and its drive.
func (s *Service) mayWipe(tx *store.Tx, key job.KeyID, id job.ID, drive int) (store.Job, *store.WipeDrive, error) {
	j, err := s.bound(tx, key, id)
	if err != nil {
		return j, nil, err
	}
	switch {
	case j.Kind != job.Wipe || j.Wipe == nil || s.cfg.Certs == nil:
		return j, nil, job.Faultf(job.CodeJobKind, "Job %s is no wipe.", id)
	case j.State != job.WipeBegun:
		return j, nil, job.Faultf(job.CodeState, "Job %s is %s.", id, j.State)
	case drive < 0 || drive >= len(j.Wipe.Drives):
		return j, nil, job.Faultf(job.CodeBadRequest, "Job %s has no drive %d.", id, drive)
	}
	w := *j.Wipe
	w.Drives = append([]store.WipeDrive(nil), w.Drives...)
	j.Wipe = &w
	return j, &w.Drives[drive], nil
}

// KeepJournal keeps what must be known of a drive before it is begun. From here on the drive may have been erased.
func (s *Service) KeepJournal(_ context.Context, key job.KeyID, id job.ID, in job.DriveJournal) (job.Ack, error) {
	n := len(in.Journal) + len(in.Password)
	if n == 0 || n > job.MaxJournal || len(in.Journal) > 0 && !json.Valid(in.Journal) || len(in.Password) > 0 && !json.Valid(in.Password) {
		return job.Ack{}, job.Faultf(job.CodeBadRequest, "A journal has up to %d bytes of JSON.", job.MaxJournal)
	}
	err := s.update(func(tx *store.Tx) error {
		j, d, err := s.mayWipe(tx, key, id, in.Drive)
		switch {
		case err != nil:
			return err
		case len(in.Journal) > 0 && bytes.Equal(d.Journal, in.Journal) && d.End == store.DriveBegun:
			return nil
		case j.Wipe.Settling:
			return job.Faultf(job.CodeUnsettled, "Job %s was interrupted: nothing new is begun without a new order.", id)
		case d.End != store.DriveWaits && d.End != store.DriveBegun:
			return job.Faultf(job.CodeState, "Drive %s is %s.", d.Target.Serial, d.End)
		}
		if len(in.Password) > 0 {
			d.Password = in.Password
		}
		if j.Contact = tx.Now(); len(in.Journal) == 0 {
			return tx.PutJob(j)
		}
		d.Journal, d.Begun, d.End = in.Journal, tx.Now(), store.DriveBegun
		return hear(tx, j, d, "wipe begun", fmt.Sprintf("Drive %s, job %s.", d.Target.Serial, j.ID))
	})
	return job.Ack{}, err
}

// Journal gives back what an earlier start kept of a drive.
func (s *Service) Journal(_ context.Context, key job.KeyID, id job.ID, drive int) (out job.DriveJournal, err error) {
	err = s.db.View(func(tx *store.Tx) error {
		_, d, err := s.mayWipe(tx, key, id, drive)
		if err != nil {
			return err
		}
		if len(d.Journal) == 0 {
			return job.Faultf(job.CodeNotFound, "Nothing was kept of drive %s.", d.Target.Serial)
		}
		out = job.DriveJournal{Drive: drive, Journal: d.Journal, Password: d.Password}
		return nil
	})
	return out, err
}

// Wiped takes how one drive's wipe ended. When it is proven, its Certificate is made and stored in the same transaction,
// and only then does anybody read that the drive is done.
func (s *Service) Wiped(_ context.Context, key job.KeyID, id job.ID, in job.DriveReport) (ack job.DriveAck, err error) {
	report, readErr := cert.ReadReport(in.Report)
	err = s.update(func(tx *store.Tx) error {
		j, d, err := s.mayWipe(tx, key, id, in.Drive)
		if err != nil {
			return err
		}
		if d.End == store.DriveClosed { // the answer got lost
			ack.Certificate = d.Certificate
			return nil
		}
		var fault *job.Fault
		switch {
		case readErr != nil:
			fault = job.FaultOf(readErr)
		case report.Outcome == wipe.Done:
			fault, err = s.certify(tx, &j, d, report)
		default:
			fault = explain.Fault(report)
		}
		if err != nil {
			return err
		}
		ack.Certificate, ack.Fault = d.Certificate, fault
		if fault != nil {
			end := driveEnd(report, *d)
			if end == d.End && d.Fault != nil && *d.Fault == *fault {
				return nil // the answer got lost
			}
			d.End, d.Fault = end, fault
		}
		d.Ended, j.Contact = tx.Now(), tx.Now()
		text := fmt.Sprintf("Drive %s: %s.", d.Target.Serial, d.End)
		if fault != nil {
			text += " " + fault.Error()
		}
		return hear(tx, j, d, "wipe", text)
	})
	if err != nil {
		return job.DriveAck{}, err
	}
	return ack, nil
}

// maxHeard is how many words of an agent about one drive of a job go into the audit trail, which is never cut. What the
// newest of them says is in the job anyway, and a record has its own event.
const maxHeard = 20

// hear writes a job with what its agent told of one of its drives.
func hear(tx *store.Tx, j store.Job, d *store.WipeDrive, act, text string) error {
	d.Heard++
	err := tx.PutJob(j)
	switch {
	case d.Heard > maxHeard:
		return err
	case d.Heard == maxHeard:
		text += " What the laptop says of it from here on is in the job only."
	}
	return errors.Join(err, tx.Audit("agent", act, j.Device, text))
}

// driveEnd is how a drive stands that got no Certificate. One that was begun is never "not started", whatever an agent says:
// its refusal counts only where no journal was kept.
func driveEnd(r wipe.Report, d store.WipeDrive) store.DriveEnd {
	switch {
	case r.Outcome == wipe.Failed:
		return store.DriveFailed
	case r.Outcome == wipe.Refused && len(d.Journal) == 0:
		return store.DriveRefused
	case r.Outcome == wipe.Refused:
		return store.DriveFailed
	}
	return store.DriveUnsettled
}

// certify makes the Certificate of one drive, or says why there is none. Whether there may be one, the Signer decides.
func (s *Service) certify(tx *store.Tx, j *store.Job, d *store.WipeDrive, report wipe.Report) (*job.Fault, error) {
	if d.Since.IsZero() || d.Begun.IsZero() || d.End != store.DriveBegun && !(report.Settled && len(d.Journal) > 0) {
		return job.Faultf(job.CodeNoCertificate, "Nothing was kept of drive %s before it was wiped.", d.Target.Serial), nil
	}
	device, err := tx.Device(j.Device)
	if err != nil {
		return nil, err
	}
	rec, err := tx.Drive(d.Key)
	if err != nil {
		return nil, err
	}
	if rec.Device != device.ID {
		return job.Faultf(job.CodeNoCertificate, "Drive %s was seen in another device meanwhile.", d.Target.Serial), nil
	}
	frame, err := s.frame(tx, device)
	if f := (*job.Fault)(nil); errors.As(err, &f) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	reporter, err := s.reporter(tx, *j, *d)
	if err != nil {
		return nil, err
	}
	signed, file, err := s.cfg.Certs.Certify(frame, reporter, report)
	if err != nil {
		return job.FaultOf(err), nil
	}
	if err := s.file(tx, j.Operator, device, rec, signed, file); err != nil {
		return nil, err
	}
	d.End, d.Certificate, d.Fault = store.DriveClosed, signed.ID, nil
	d.Journal, d.Password = nil, nil
	return nil, nil
}

// reporter is what the server knows of a wipe besides the Report.
func (s *Service) reporter(tx *store.Tx, j store.Job, d store.WipeDrive) (cert.Wiped, error) {
	a, err := tx.Agent(j.AgentKey)
	if err != nil {
		return cert.Wiped{}, err
	}
	w := cert.Wiped{
		Target: d.Target, Policy: j.Wipe.Policy, Means: means(*j.Wipe, d), Begun: d.Since, Now: tx.Now(), Job: string(j.ID),
		People: []cert.Person{{Name: j.Operator, Role: cert.RoleOrdered, Time: j.Created.UTC()}}, Place: j.Wipe.Order.Place, Tool: s.cfg.Tool,
		AgentBuild: a.Hello.Build, AgentKey: string(j.AgentKey), BootChain: bootChain(a), SecureBoot: a.Hello.SecureBoot, BootBundle: j.Bundle,
	}
	if j.Wipe.Second != "" {
		w.People = append(w.People, cert.Person{Name: j.Wipe.Second, Role: cert.RoleAgreed, Time: j.Wipe.SecondTime.UTC()})
	}
	return w, nil
}

// bootChain says over what a laptop came to its agent.
func bootChain(a store.Agent) string {
	switch {
	case a.Hello.Firmware == "bios":
		return "BIOS, network loader and kernel, unsigned"
	case a.Hello.SecureBoot:
		return "UEFI with Secure Boot, signed shim, GRUB and kernel"
	}
	return "UEFI without Secure Boot"
}

// frame is what goes around the next record.
func (s *Service) frame(tx *store.Tx, d store.Device) (cert.Frame, error) {
	number, hash, err := tx.EvidenceHead()
	if err == nil && number > 0 {
		err = s.sameKey(tx, number)
	}
	if err != nil {
		return cert.Frame{}, err
	}
	f := cert.Frame{Number: number + 1, Previous: hash, Issued: tx.Now(), Organisation: s.cfg.Organisation, Device: cert.Device{
		ID: d.ID, Name: d.Name, Manufacturer: d.Manufacturer, Model: d.Model, Serial: d.Serial, UUID: d.UUID, Asset: d.Asset}}
	if d.Returned != nil {
		f.Device.Source = d.Returned.From
	}
	head, ok, err := tx.AuditHead()
	if ok {
		f.AuditNumber, f.AuditHead = head.Number, head.Hash.String()
	}
	return f, err
}

// sameKey refuses to go on with a chain of records under another key than that of the record before: it would hold under
// neither. So a lost key is told before anything is wiped.
func (s *Service) sameKey(tx *store.Tx, number uint64) error {
	e, err := tx.EvidenceAt(number)
	if err != nil {
		return err
	}
	if _, err := cert.Verify(e.Signed, s.cfg.Certs.Public()); err != nil {
		return job.Faultf(job.CodeTampered, "Record %s, the newest, was not signed by this server's key of certificates, or was changed: put wipe-certificates.key of a backup back, and restart.", e.ID)
	}
	return nil
}

// file stores a signed record and closes its drive with it. A system that was on the drive is there no more.
func (s *Service) file(tx *store.Tx, operator string, d store.Device, rec store.Drive, r cert.Record, signed []byte) error {
	e := listed(r, signed)
	e.Label, e.Drive, e.DriveWord, e.Operator = d.Label(), rec.Key, rec.Word(), operator
	if err := tx.PutEvidence(e); err != nil {
		return err
	}
	return forgetSystem(tx, d.ID, rec.Key)
}

// forgetSystem takes the Deployment from a device whose drive is wiped or gone: it holds nothing now.
func forgetSystem(tx *store.Tx, device, drive string) error {
	d, err := tx.Device(device)
	if err != nil || d.Deployment == "" {
		return err
	}
	dep, err := tx.Deployment(d.Deployment)
	if err != nil {
		return err
	}
	if store.DriveKey(dep.Target.Serial, dep.Target.Model) != drive {
		return nil
	}
	d.Deployment = ""
	return errors.Join(tx.DropNext(&d), tx.PutDevice(d))
}
