package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ingot/imaging/job"
	"ingot/imaging/wipe/cert"
	"ingot/store"
)

// DestroyDrive records the end of a drive that was not wiped: its serial was scanned, two people stand for it.
func (s *Service) DestroyDrive(ctx context.Context, operator string, in store.Destruction) (store.EvidenceView, error) {
	if s.cfg.Certs == nil {
		return store.EvidenceView{}, job.Faultf(job.CodeDaemon, "This server has no key for certificates.")
	}
	if err := checkWords(&in.Method, &in.Why, &in.Place, &in.By, &in.Witness, &in.Reference, &in.PhotoSHA256, &in.Model, &in.Drive); err != nil {
		return store.EvidenceView{}, err
	}
	id, err := s.once(ctx, operator, "destroyed", in, func(tx *store.Tx) (string, error) {
		d, err := tx.FindDevice(in.Device)
		if err == nil {
			err = fresh(ctx, tx, d)
		}
		if err != nil {
			return "", err
		}
		return s.destroyDrive(tx, operator, d, in)
	})
	if err != nil {
		return store.EvidenceView{}, err
	}
	return s.Certificate(ctx, id)
}

func (s *Service) destroyDrive(tx *store.Tx, operator string, d store.Device, in store.Destruction) (string, error) {
	if err := destroyable(tx, d, in); err != nil {
		return "", err
	}
	rec, err := driveInHand(tx, d, in)
	if err != nil {
		return "", err
	}
	frame, err := s.frame(tx, d)
	if err != nil {
		return "", err
	}
	if in.Time.IsZero() {
		in.Time = tx.Now()
	}
	drive := cert.Drive{Model: rec.Model, Serial: cmp.Or(rec.Serial, in.Drive), WWN: rec.WWN, Transport: rec.Transport, SizeBytes: rec.SizeBytes}
	record, file, err := s.cfg.Certs.Destroy(frame, drive, cert.Destroyed{Method: in.Method, Why: in.Why, Place: in.Place, Time: in.Time,
		Reference: in.Reference, PhotoSHA256: strings.ToLower(in.PhotoSHA256), People: []cert.Person{
			{Name: in.By, Role: cert.RoleDid, Time: in.Time.UTC()}, {Name: in.Witness, Role: cert.RoleWitnessed, Time: in.Time.UTC()},
			{Name: operator, Role: cert.RoleRecorded, Time: tx.Now()}}})
	if err != nil {
		return "", err
	}
	if err := s.file(tx, operator, d, rec, record, file); err != nil {
		return "", err
	}
	if !in.Dispose {
		return record.ID, nil
	}
	if d, err = tx.Device(d.ID); err != nil {
		return "", err
	}
	return record.ID, clearDevice(tx, operator, d, store.Disposed, "")
}

// destroyable refuses a device that is no settled record, and a drive on which a job works.
func destroyable(tx *store.Tx, d store.Device, in store.Destruction) error {
	switch {
	case d.State == store.New:
		return job.Faultf(job.CodeState, "%s was not adopted yet.", d.Label())
	case d.State == store.Quarantined:
		return job.Faultf(job.CodeQuarantined, "%s", d.Conflict)
	case !strings.EqualFold(strings.TrimSpace(in.Confirm), strings.TrimSpace(in.Drive)) || in.Drive == "":
		return job.Faultf(job.CodeWrongSerial, "%.40q was typed for drive %.40q.", in.Confirm, in.Drive)
	}
	if j, busy, err := tx.ActiveJob(d.ID); err != nil || busy {
		return errors.Join(err, takenBy(tx, d, j))
	}
	return nil
}

// driveInHand finds the drive that a person has in the hand. One that no laptop ever told of becomes known by its label.
func driveInHand(tx *store.Tx, d store.Device, in store.Destruction) (store.Drive, error) {
	mine, err := tx.DrivesOf(d.ID)
	if err != nil {
		return store.Drive{}, err
	}
	fits := func(r store.Drive) bool {
		named := strings.EqualFold(r.Serial, in.Drive) || r.Serial == "" && strings.EqualFold(r.Model, in.Drive)
		return named && (in.Model == "" || strings.EqualFold(r.Model, in.Model))
	}
	mine = slices.DeleteFunc(mine, func(r store.Drive) bool { return r.Device != d.ID || r.Destroyed || !fits(r) })
	switch {
	case len(mine) == 1:
		return mine[0], nil
	case len(mine) > 1:
		return store.Drive{}, job.Faultf(job.CodeDestruction, "%d drives of %s tell %q: name the model too.", len(mine), d.Label(), in.Drive)
	}
	elsewhere, err := tx.DrivesBySerial(in.Drive)
	if err != nil {
		return store.Drive{}, err
	}
	for _, r := range elsewhere {
		switch {
		case !fits(r):
		case r.Destroyed:
			return r, job.Faultf(job.CodeState, "Drive %s is recorded as destroyed already.", r.Serial)
		default:
			return r, job.Faultf(job.CodeDestruction, "Drive %s was last seen in %s.", r.Serial, r.Homes[len(r.Homes)-1].Label)
		}
	}
	return tx.FoundDrive(store.Drive{Key: store.DriveKey(in.Drive, in.Model), Serial: in.Drive, Model: in.Model}, d)
}

// Certificates lists the records, newest first: of one device or drive, or all.
func (s *Service) Certificates(_ context.Context, ref string) (out []store.EvidenceView, err error) {
	err = s.db.View(func(tx *store.Tx) error {
		all, err := tx.AllEvidence(true)
		if err != nil {
			return err
		}
		device := ""
		if ref != "" {
			d, err := tx.FindDevice(ref)
			if err == nil {
				device = d.ID
			} else if job.FaultOf(err).Code != job.CodeNotFound {
				return err
			}
		}
		for _, e := range all {
			if ref != "" && e.Device != device && !strings.EqualFold(ref, driveSerial(e)) {
				continue
			}
			v, err := evidenceView(tx, e)
			if err != nil {
				return err
			}
			out = append(out, v)
		}
		slices.Reverse(out)
		if ref != "" && device == "" && len(out) == 0 {
			return job.Faultf(job.CodeNotFound, "No device and no drive on record is called %.60q.", ref)
		}
		return nil
	})
	return out, err
}

// driveSerial is the serial in the key of a record's drive.
func driveSerial(e store.Evidence) string { s, _, _ := strings.Cut(e.Drive, "\x00"); return s }

// Certificate gives one record with its signed bytes.
func (s *Service) Certificate(_ context.Context, ref string) (v store.EvidenceView, err error) {
	err = s.db.View(func(tx *store.Tx) error {
		e, err := tx.Evidence(ref)
		if err == nil {
			v, err = evidenceView(tx, e)
		}
		return err
	})
	return v, err
}

func evidenceView(tx *store.Tx, e store.Evidence) (store.EvidenceView, error) {
	v := store.EvidenceView{Evidence: e}
	d, err := tx.Drive(e.Drive)
	if err != nil {
		return v, err
	}
	if d.Device != e.Device && len(d.Homes) > 0 {
		v.Where = d.Homes[len(d.Homes)-1].Label
	}
	return v, nil
}

// CertificateKey is the public key of this server's certificates, in hex.
func (s *Service) CertificateKey() string {
	if s.cfg.Certs == nil {
		return ""
	}
	return fmt.Sprintf("%x", []byte(s.cfg.Certs.Public()))
}

// CheckCertificates walks the whole chain of records, and holds the lists and each drive that was closed against it.
func (s *Service) CheckCertificates(context.Context) (c cert.Chain, err error) {
	if s.cfg.Certs == nil {
		return c, nil
	}
	walk := cert.Walk{Key: s.cfg.Certs.Public()}
	err = s.db.View(func(tx *store.Tx) error {
		all, err := tx.AllEvidence(false)
		for _, e := range all {
			r, err := walk.Next(e.Signed)
			if err != nil {
				break // told in the chain
			}
			if why := otherThanSigned(e, r); why != "" {
				walk.Deny(why)
				break
			}
		}
		if err != nil {
			return err
		}
		return closings(tx, &walk, all)
	})
	return walk.Chain(), err
}

// closings looks for the record of each closed drive: the newest of a chain may be cut off without a trace in it.
func closings(tx *store.Tx, walk *cert.Walk, all []store.Evidence) error {
	of := make(map[uint64]string, len(all))
	for _, e := range all {
		of[e.Number] = e.Drive
	}
	drives, err := tx.Drives()
	for _, d := range drives {
		if key, ok := of[d.Closed]; d.Closed != 0 && (!ok || key != d.Key) {
			walk.Miss(d.Closed, d.Word())
		}
	}
	return err
}

// DrivesOf lists the drives that are, or were, in a device, with all that is on record about each.
func (s *Service) DrivesOf(_ context.Context, ref string) (out []store.DriveView, err error) {
	err = s.db.View(func(tx *store.Tx) error {
		d, err := tx.FindDevice(ref)
		if err != nil {
			return err
		}
		all, err := tx.DrivesOf(d.ID)
		if err != nil {
			return err
		}
		present := store.InternalDrives(d)
		for _, r := range all {
			v := store.DriveView{Drive: r, Here: r.Device == d.ID, Present: slices.ContainsFunc(present, func(p store.Present) bool { return p.Key == r.Key })}
			if v.Records, err = tx.EvidenceOf(r.Key); err != nil {
				return err
			}
			for i := range v.Records {
				v.Records[i].Signed = nil
			}
			out = append(out, v)
		}
		return nil
	})
	return out, err
}
