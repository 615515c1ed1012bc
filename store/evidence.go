package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"ingot/imaging/job"
)

// EvidenceKind tells a Certificate from a Destruction record.
type EvidenceKind string

// A Certificate says that a drive was sanitised; a Destruction record, that it is no more.
const (
	Wiped     EvidenceKind = "wiped"
	Destroyed EvidenceKind = "destroyed"
)

// Evidence is a signed Certificate or Destruction record of one drive. It is never changed or deleted. Signed is the
// record; the rest is read out of it for lists and indexes.
type Evidence struct {
	Number    uint64       `json:"number"` // from 1, without gaps, in one chain with the hash of the one before
	ID        string       `json:"id"`
	Kind      EvidenceKind `json:"kind"`
	Device    string       `json:"device"`
	Label     string       `json:"label"`  // of the device at that time
	Serial    string       `json:"serial"` // of the device
	Drive     string       `json:"drive"`  // key of the Drive
	DriveWord string       `json:"drive_word"`
	Job       job.ID       `json:"job,omitempty"`
	Time      time.Time    `json:"time"`
	Operator  string       `json:"operator"`
	Technique string       `json:"technique"`
	Claim     string       `json:"claim,omitempty"` // Clear or Purge; a destroyed drive has none
	Hash      string       `json:"hash"`            // of Signed, in the next one
	Signed    []byte       `json:"signed"`
}

// EvidenceHead gives the number and hash of the newest Evidence; 0 and "" when there is none.
func (tx *Tx) EvidenceHead() (number uint64, hash string, err error) {
	k, b := tx.bucket(bEvidence).Cursor().Last()
	if k == nil {
		return 0, "", nil
	}
	e, err := decode[Evidence](bEvidence, k, b)
	return e.Number, e.Hash, err
}

// PutEvidence appends what was signed about a drive, and closes the drive with it. A Certificate is only about a drive
// that is told from all others.
func (tx *Tx) PutEvidence(e Evidence) error {
	head, _, err := tx.EvidenceHead()
	if err != nil {
		return err
	}
	rec, err := tx.Drive(e.Drive)
	switch {
	case err != nil:
		return fmt.Errorf("record %s: %w", e.ID, err)
	case e.Number != head+1 || e.ID == "" || e.Hash == "" || len(e.Signed) == 0 || e.Kind != Wiped && e.Kind != Destroyed:
		return fmt.Errorf("record %s of %s: it does not follow number %d", e.ID, rec.Word(), head)
	case e.Kind == Wiped && rec.Vague:
		return job.Faultf(job.CodeNoCertificate, "The %s tells nothing by which it is told from another.", rec.Word())
	}
	rec.Closed, rec.Owed, rec.Destroyed, rec.Seen, rec.Begun = e.Number, time.Time{}, e.Kind == Destroyed, tx.now, ""
	key := binary.BigEndian.AppendUint64(nil, e.Number)
	return errors.Join(put(tx, bEvidence, key, e), put(tx, bEvidenceID, []byte(e.ID), e.Number),
		put(tx, bEvidenceBy, append(append([]byte(e.Drive), 0), key...), e.Number), tx.putDrive(rec),
		tx.Audit(e.Operator, string(e.Kind), e.Device, fmt.Sprintf("%s: %s, record %s, %s.", e.Label, e.DriveWord, e.ID, e.Hash)))
}

// FoundDrive makes a drive known that a person has in the hand and no laptop told of: it was in a device.
func (tx *Tx) FoundDrive(d Drive, in Device) (Drive, error) {
	if d.Key == "" {
		return d, job.Faultf(job.CodeBadRequest, "A drive is named by the serial on its label.")
	}
	if old, err := tx.Drive(d.Key); !errors.Is(err, ErrNotFound) {
		return old, err
	}
	d.Device, d.Seen, d.Homes, d.Owed = in.ID, tx.now, []Home{{in.ID, in.Label(), tx.now}}, tx.now
	return d, tx.putDrive(d)
}

// Evidence finds one record by its id or its number.
func (tx *Tx) Evidence(ref string) (e Evidence, err error) {
	number, err := get[uint64](tx, bEvidenceID, []byte(ref))
	if errors.Is(err, ErrNotFound) || len(ref) > 64 {
		return e, job.Faultf(job.CodeNotFound, "No certificate %.40q.", ref)
	}
	if err != nil {
		return e, err
	}
	return tx.EvidenceAt(number)
}

// EvidenceAt reads one record by its number.
func (tx *Tx) EvidenceAt(number uint64) (Evidence, error) {
	return get[Evidence](tx, bEvidence, binary.BigEndian.AppendUint64(nil, number))
}

// AllEvidence lists every record, oldest first, without the signed bytes when brief.
func (tx *Tx) AllEvidence(brief bool) ([]Evidence, error) {
	var out []Evidence
	err := each(tx, bEvidence, nil, func(_ []byte, e Evidence) error {
		if brief {
			e.Signed = nil
		}
		out = append(out, e)
		return nil
	})
	return out, err
}

// EvidenceOf lists the records about one drive, oldest first, wherever it was.
func (tx *Tx) EvidenceOf(drive string) ([]Evidence, error) {
	var out []Evidence
	prefix := append([]byte(drive), 0)
	err := each(tx, bEvidenceBy, prefix, func(k []byte, number uint64) error {
		if len(k) != len(prefix)+8 { // of a drive whose key begins alike
			return nil
		}
		e, err := tx.EvidenceAt(number)
		out = append(out, e)
		return err
	})
	return out, err
}
