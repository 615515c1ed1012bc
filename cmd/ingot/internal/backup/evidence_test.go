package backup_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/wipe/cert"
	"ingot/store"
)

// keeper is the part of a daemon that keeps records of drives, over an open data folder.
func (s *server) keeper(t *testing.T) (*deploy.Service, *cert.Signer) {
	t.Helper()
	key, err := cert.Load(filepath.Join(s.dir, "keys", "wipe-certificates.key"))
	must(t, err)
	d, err := deploy.New(deploy.Config{DB: s.db, Signer: s.key, Certs: key, Log: zerolog.Nop(), Now: time.Now})
	must(t, err)
	t.Cleanup(d.Close)
	return d, key
}

// TestRecordsOfDrivesComeBackAndTheirChainGoesOn: what was signed before the backup verifies by the key that was restored,
// the drive that is still owed keeps its laptop back, and the next record follows the last.
func TestRecordsOfDrivesComeBackAndTheirChainGoesOn(t *testing.T) {
	s := open(t, t.TempDir())
	s.furnish(t)
	drive := func(serial string) job.Drive {
		return job.Drive{Serial: serial, Model: "WDC WD5000", SizeBytes: 500e9, SectorSize: 512}
	}
	must(t, s.db.Update(func(tx *store.Tx) error {
		return tx.PutDevice(store.Device{ID: "back", Serial: "BACK", SerialKey: "maker\x00back", State: store.Returned, Seen: time.Now(),
			Drives: []job.Drive{drive("WD-ONE00001"), drive("WD-TWO00002")}})
	}))
	destroy := func(d *deploy.Service, serial string) store.EvidenceView {
		t.Helper()
		e, err := d.DestroyDrive(t.Context(), "anna", store.Destruction{Device: "back", Drive: serial, Confirm: serial, Method: "shredded",
			Why: "it does not answer", Place: "hall 2", By: "Karl Ott", Witness: "Eva Lang", Reference: "R-2026-118"})
		must(t, err)
		return e
	}
	d, key := s.keeper(t)
	first := destroy(d, "WD-ONE00001")
	file := s.backUp(t, false)
	d.Close()
	s.close(t)

	dir := t.TempDir()
	_, err := restore(t, file, pass, dir)
	must(t, err)
	r := open(t, dir)
	defer r.close(t)
	d, again := r.keeper(t)
	got, err := d.Certificate(t.Context(), first.ID)
	must(t, err)
	if _, err := cert.Verify(got.Signed, key.Public()); err != nil || !key.Public().Equal(again.Public()) {
		t.Errorf("the restored record: %v; the key is the same: %v", err, key.Public().Equal(again.Public()))
	}
	if _, err := d.Clear(t.Context(), "anna", "back", store.Disposed, store.Disposal{Confirm: "BACK"}); job.FaultOf(err).Code != job.CodeOwed {
		t.Errorf("cleared with a drive that owes: %v; want %s", err, job.CodeOwed)
	}
	destroy(d, "WD-TWO00002")
	if c, err := d.CheckCertificates(t.Context()); err != nil || c.Records != 2 || c.Broken != 0 {
		t.Errorf("the chain: %+v, %v", c, err)
	}
	_, err = d.Clear(t.Context(), "anna", "back", store.Disposed, store.Disposal{Confirm: "BACK"})
	must(t, err)
}
