package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// TestNoCertificateIsAboutADriveThatIsToldFromNoOther: two drives that tell the same are closed by the record of their end only.
func TestNoCertificateIsAboutADriveThatIsToldFromNoOther(t *testing.T) {
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	db := openAt(t, &now)
	d := store.Device{ID: "dev", Serial: "dev", State: store.Deployed, Drives: []job.Drive{sata("SAME"), sata("SAME")}, Seen: now}
	update(t, db, func(tx *store.Tx) error { return tx.PutDevice(d) })
	for _, p := range store.InternalDrives(d) {
		record := func(kind store.EvidenceKind) error {
			return db.Update(func(tx *store.Tx) error {
				n, _, err := tx.EvidenceHead()
				return errors.Join(err, tx.PutEvidence(store.Evidence{Number: n + 1, ID: fmt.Sprintf("X-%06d", n+1), Kind: kind, Device: "dev", Drive: p.Key, Operator: "anna", Hash: "sha256:00", Signed: []byte("{}")}))
			})
		}
		if err := record(store.Wiped); !p.Vague || job.FaultOf(err).Code != job.CodeNoCertificate {
			t.Errorf("a certificate about one of two that tell the same (vague %t): %v", p.Vague, err)
		}
		if err := record(store.Destroyed); err != nil {
			t.Errorf("a record of its end: %v", err)
		}
	}
}
