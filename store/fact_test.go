package store_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"ingot/imaging/job"
	"ingot/store"
)

// TestADatabaseOfSchemaOneIsReadAndItsCopyKept opens testdata/schema1.db.gz, which the last Ingot of schema 1 wrote:
// seven laptops, among them one that was settled, one in quarantine, one without a believable serial, and one maker
// under two names; a deployment, an order that waits, a token and two events.
func TestADatabaseOfSchemaOneIsReadAndItsCopyKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ingot.db")
	unzip(t, "testdata/schema1.db.gz", path)
	db, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := os.Stat(path + ".schema1"); err != nil {
		t.Errorf("the copy: %v", err)
	}
	const uuid = "4c4c4544-0042-3510-8052-b4c04f5631"
	err = db.View(func(tx *store.Tx) error {
		all, err := tx.Devices()
		if err != nil || len(all) != 7 {
			t.Errorf("%d devices, %v; want 7", len(all), err)
		}
		for f, want := range map[store.Fact]string{
			{Kind: store.FactUUID, Value: uuid + "01"}:                  "device000001",
			{Kind: store.FactUUID, Value: uuid + "04"}:                  "device000004",
			{Kind: store.FactSerial, Value: "lenovo\x00pf3new02"}:       "device000002",
			{Kind: store.FactDrive, Value: "eui.0025380000000005"}:      "device000005",
			{Kind: store.FactUUID, Value: uuid + "03"}:                  "", // in quarantine: it claims, and holds nothing
			{Kind: store.FactSerial, Value: "dell\x00abc1234"}:          "", // settled: two laptops tell it
			{Kind: store.FactSerial, Value: "hp\x005cd1234xyz"}:         "", // one maker, two names, two laptops
			{Kind: store.FactSerial, Value: "dell inc.\x00abc1234"}:     "",
			{Kind: store.FactUUID, Value: "03000200-0400-0500-0006-00"}: "",
		} {
			d, err := tx.DeviceBy(f)
			if d.ID != want || (want == "") != errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s leads to %q, %v; want %q", f, d.ID, err, want)
			}
		}
		shared, err := tx.SharedFacts()
		if err != nil || len(shared) != 2 || len(shared[0].Devices) != 2 {
			t.Errorf("shared facts %+v, %v; want the serials of two laptops each", shared, err)
		}
		one, err := tx.FindDevice("PC-1")
		if err != nil || one.State != store.Deployed || one.Serial != "ABC1234" || one.Told != "ABC1234" || one.Asset != "00815" || one.SerialKey != "" {
			t.Errorf("PC-1 is %+v, %v", one, err)
		}
		if dep, err := tx.DeploymentsOf(one.ID); err != nil || len(dep) != 1 {
			t.Errorf("PC-1 has %d deployments, %v", len(dep), err)
		}
		if claim, err := tx.Device("device000003"); err != nil || claim.State != store.Quarantined || claim.SerialKey != "" || claim.UUIDKey == "" {
			t.Errorf("the claimant is %+v, %v", claim, err)
		}
		if j, ok, err := tx.ActiveJob("device000004"); err != nil || !ok || j.Told != "ABC1234" {
			t.Errorf("the order is %+v, %v, %v; want it bound to the serial that was told", j, ok, err)
		}
		if n, err := tx.CheckAudit(); err != nil || n != 2 {
			t.Errorf("audit: %d events, %v", n, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func unzip(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err := errors.Join(err, os.WriteFile(to, b, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyABelievableFactIsAKey(t *testing.T) {
	for _, c := range []struct {
		maker, serial, want string
	}{
		{"Dell Inc.", " ABC1234 ", "dell\x00abc1234"},
		{"DELL", "abc1234", "dell\x00abc1234"},
		{"Dell Inc.", "Default string", ""},
		{"To Be Filled By O.E.M.", "ABC1234", ""}, // a serial is one maker's
		{"", "ABC1234", ""},
	} {
		if got := store.SerialKey(c.maker, c.serial); got != c.want {
			t.Errorf("SerialKey(%q, %q) = %q; want %q", c.maker, c.serial, got, c.want)
		}
	}
	for wwn, want := range map[string]string{
		"eui.0025385C21B0D3E1": "eui.0025385c21b0d3e1", "naa.5002538e40b2c1d3": "naa.5002538e40b2c1d3", "uuid.4c4c4544-0042-3510-8052-b4c04f563101": "uuid.4c4c4544-0042-3510-8052-b4c04f563101",
		"eui.0000000000000000": "", "eui.0000000000000001": "", "naa.ffffffffffffffff": "", "": "", "eui.": "",
		"nvme.1b36-53344556-51454d55-00000001": "", "t10.ATA     SAMSUNG": "",
	} {
		ids := store.DriveIDs([]job.Drive{{WWN: wwn, Serial: "S1"}})
		if len(ids) != 1 || ids[0].WWN != want {
			t.Errorf("the world-wide name %q gives %+v; want %q", wwn, ids, want)
		}
	}
	if ids := store.DriveIDs([]job.Drive{{WWN: "eui.0025385c21b0d3e1", Serial: "STICK", Removable: true}, {Serial: "Default string"}}); len(ids) != 0 {
		t.Errorf("a stick and a drive without names are %+v; want nothing", ids)
	}
}

// TestAFactThatIsSharedLeadsToNoRecordForEver: also not after the records told it again.
func TestAFactThatIsSharedLeadsToNoRecordForEver(t *testing.T) {
	db := mustOpen(t)
	serial, mac := store.Fact{Kind: store.FactSerial, Value: "dell\x00abc1234"}, store.Fact{Kind: store.FactMAC, Value: "8c:16:45:0a:0b:0c"}
	device := func(id string) store.Device {
		return store.Device{ID: id, State: store.Ready, SerialKey: serial.Value, BuiltIn: []string{mac.Value}}
	}
	mustUpdate(t, db, func(tx *store.Tx) error { return tx.PutDevice(device("d1")) })
	second := device("d2")
	err := db.Update(func(tx *store.Tx) error { return tx.PutDevice(second) })
	if codeOf(err) != job.CodeQuarantined {
		t.Errorf("a second holder of a serial = %v; want %s", err, job.CodeQuarantined)
	}
	second.SerialKey = ""
	mustUpdate(t, db, func(tx *store.Tx) error {
		if err := tx.PutDevice(second); err != nil {
			return err
		}
		if h, err := tx.Holders(mac); err != nil || len(h) != 2 {
			t.Errorf("holders of the adapter: %v, %v; want both", h, err)
		}
		return errors.Join(tx.Share(serial, "test", "d2"), tx.Share(mac, "test"), tx.PutDevice(device("d1")), tx.PutDevice(device("d2")))
	})
	db.View(func(tx *store.Tx) error {
		for _, f := range []store.Fact{serial, mac} {
			if d, err := tx.DeviceBy(f); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s leads to %s, %v", f, d.ID, err)
			}
		}
		all, err := tx.SharedFacts()
		if err != nil || len(all) != 2 || slices.ContainsFunc(all, func(s store.Shared) bool { return len(s.Devices) != 2 }) {
			t.Errorf("shared %+v, %v", all, err)
		}
		return nil
	})
}

func TestAForgottenDeviceLeavesNothingInTheIndex(t *testing.T) {
	db := mustOpen(t)
	d := store.Device{ID: "d1", State: store.New, SerialKey: "dell\x00a", UUIDKey: "u", BuiltIn: []string{"m"}, MACs: []string{"w"}, Drives: []job.Drive{{WWN: "eui.0025385c21b0d3e1"}}}
	mustUpdate(t, db, func(tx *store.Tx) error { return errors.Join(tx.PutDevice(d), tx.DeleteDevice(d)) })
	db.View(func(tx *store.Tx) error {
		for _, f := range append(d.Facts().List(), store.Fact{Kind: store.FactWire, Value: "w"}) {
			if h, err := tx.Holders(f); err != nil || len(h) != 0 {
				t.Errorf("%s still leads to %v, %v", f, h, err)
			}
		}
		return nil
	})
}

func TestCorrectionsStayOnTheDeviceWithinABound(t *testing.T) {
	var d store.Device
	for i := range 150 {
		d.Remember(store.Change{What: "note", New: fmt.Sprint(i)})
	}
	if len(d.History) != 100 || d.History[99].New != "149" {
		t.Errorf("%d changes, the last is %q", len(d.History), d.History[len(d.History)-1].New)
	}
}

// TestALaptopThatWasInQuarantineIsKnownInSchemaTwo: two live laptops told what its record is known by. It must not come
// as a new one, which may be imaged at once.
func TestALaptopThatWasInQuarantineIsKnownInSchemaTwo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ingot.db")
	unzip(t, "testdata/schema1.db.gz", path)
	old, err := store.OpenAs(path, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	mustUpdate(t, old, func(tx *store.Tx) error {
		d, err := tx.Device("device000002")
		if err != nil {
			return err
		}
		if err := tx.Reserve(&d, "PC-2"); err != nil {
			return err
		}
		d.State, d.Conflict = store.Quarantined, "Two laptops with this identity are running at the same time."
		return tx.PutDevice(d)
	})
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *store.Tx) error {
		d, err := tx.DeviceBy(store.Fact{Kind: store.FactSerial, Value: "lenovo\x00pf3new02"})
		if err == nil && (d.ID != "device000002" || d.State != store.Quarantined) {
			t.Errorf("its serial leads to %s, %s", d.ID, d.State)
		}
		return err
	})
	if err != nil {
		t.Errorf("its serial leads nowhere: %v", err)
	}
}
