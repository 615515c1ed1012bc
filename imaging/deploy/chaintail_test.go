package deploy_test

import (
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"ingot/store"
)

// TestTheNewestRecordIsMissedToo: nothing follows it in the chain, but the drive that it closed says that it was there.
func TestTheNewestRecordIsMissedToo(t *testing.T) {
	ctx := context.Background()
	b := wipeBench(t)
	b.returned("PF3ABC12", "SALES-017", disk("WD-ONE00001"), disk("WD-TWO00002"))
	for _, serial := range []string{"WD-ONE00001", "WD-TWO00002"} {
		_, err := b.s.DestroyDrive(ctx, "anna", store.Destruction{Device: "SALES-017", Drive: serial, Confirm: serial, Method: "shredded",
			Why: "it does not answer", Place: "hall 2", By: "Karl Ott", Witness: "Eva Lang", Reference: "R-2026-118"})
		must(t, err)
	}
	if c, err := b.s.CheckCertificates(ctx); err != nil || c.Records != 2 || c.Broken != 0 {
		t.Fatalf("whole: %+v, %v", c, err)
	}
	b.tamper(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("certificates")).Delete(binary.BigEndian.AppendUint64(nil, 2))
	})
	if c, err := b.s.CheckCertificates(ctx); err != nil || c.Records != 1 || c.Broken != 2 {
		t.Errorf("without the newest: %+v, %v", c, err)
	}
	_, err := b.s.DestroyDrive(ctx, "anna", store.Destruction{Device: "SALES-017", Drive: "WD-THREE003", Confirm: "WD-THREE003", Method: "shredded",
		Why: "it does not answer", Place: "hall 2", By: "Karl Ott", Witness: "Eva Lang", Reference: "R-2026-118"})
	must(t, err)
	if c, err := b.s.CheckCertificates(ctx); err != nil || c.Broken != 2 {
		t.Errorf("with another one in its place: %+v, %v", c, err)
	}
}

// tamper changes the database as whoever can write to its file may, while no server runs.
func (b *bench) tamper(f func(*bbolt.Tx) error) {
	b.t.Helper()
	b.stop()
	raw, err := bbolt.Open(filepath.Join(b.dir, "ingot.db"), 0o600, nil)
	must(b.t, err)
	must(b.t, errors.Join(raw.Update(f), raw.Close()))
	b.start()
}
