package deploy_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"ingot/imaging"
	"ingot/imaging/job"
	"ingot/store"
)

// TestAListIsHeldAgainstWhatWasSigned changes each field by which records are listed and found, in the database itself.
// The signed bytes still hold, and the walk must say that the list tells something else.
func TestAListIsHeldAgainstWhatWasSigned(t *testing.T) {
	b := wipeBench(t)
	hdd := disk("WD-ONE00001")
	l, j := b.wipeTaken(hdd)
	wipeAll(t, l, j, hdd)
	must(t, l.ended(j, job.Done))
	_, err := b.s.DestroyDrive(context.Background(), "bert", store.Destruction{Device: "SALES-017", Drive: "WD-TWO00002", Confirm: "WD-TWO00002", Method: "shredded",
		Why: "it does not answer", Place: "hall 2", By: "Karl Ott", Witness: "Eva Lang", Reference: "R-2026-118"})
	must(t, err)
	if c, err := b.s.CheckCertificates(context.Background()); err != nil || c.Records != 2 || c.Broken != 0 {
		t.Fatalf("whole: %+v, %v", c, err)
	}
	for number := uint64(1); number <= 2; number++ {
		whole := b.evidence(number, nil)
		fields := map[string]any{}
		must(t, json.Unmarshal(whole, &fields))
		if _, ok := fields["technique"]; !ok || len(fields) < 12 {
			t.Errorf("record %d has the %d fields %v", number, len(fields), fields)
		}
		for name, value := range fields {
			if name == "signed" {
				continue // by the tests of package cert
			}
			fields[name] = other(value)
			changed, err := json.Marshal(fields)
			must(t, err)
			b.evidence(number, changed)
			c, err := b.s.CheckCertificates(context.Background())
			if err != nil || c.Broken != number || c.Why == "" {
				t.Errorf("record %d with %s %v: %+v, %v", number, name, fields[name], c, err)
			}
			fields[name] = value
		}
		b.evidence(number, whole)
	}
	if c, err := b.s.CheckCertificates(context.Background()); err != nil || c.Broken != 0 {
		t.Errorf("whole again: %+v, %v", c, err)
	}
}

// other is a value that could stand there too.
func other(v any) any {
	switch v := v.(type) {
	case float64:
		return v + 1
	case string:
		if strings.HasSuffix(v, "Z") && strings.HasPrefix(v, "20") {
			return "2001" + v[4:]
		}
		return "x" + v
	}
	return nil
}

// evidence gives one record as it stands in the database, and puts another in its place if there is one, with a checksum
// that fits: whoever can write to the file can make that too.
func (b *bench) evidence(number uint64, instead []byte) (old []byte) {
	b.t.Helper()
	b.tamper(func(tx *bbolt.Tx) error {
		bucket, key := tx.Bucket([]byte("certificates")), binary.BigEndian.AppendUint64(nil, number)
		var v struct {
			V    int             `json:"v"`
			Sum  string          `json:"sum"`
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(bucket.Get(key), &v); err != nil || instead == nil {
			old = v.Data
			return err
		}
		sum := imaging.Sum(bytes.Join([][]byte{[]byte("certificates"), key, instead}, []byte{0}))
		v.Data, v.Sum = instead, hex.EncodeToString(sum[:12])
		all, err := json.Marshal(v)
		return errors.Join(err, bucket.Put(key, all))
	})
	return old
}

// TestADriveWithoutASerialIsListedAsItWasSigned: it is named by its model, in the hand and in the record.
func TestADriveWithoutASerialIsListedAsItWasSigned(t *testing.T) {
	b := wipeBench(t)
	mute := disk("")
	mute.Told.Model = "MUTE 500"
	b.returned("PF3ABC12", "SALES-017", disk("WD-ONE00001"), mute)
	model := mute.Told.Model
	_, err := b.s.DestroyDrive(context.Background(), "bert", store.Destruction{Device: "SALES-017", Drive: model, Confirm: model, Method: "shredded",
		Why: "it tells no serial", Place: "hall 2", By: "Karl Ott", Witness: "Eva Lang", Reference: "R-2026-118"})
	must(t, err)
	if c, err := b.s.CheckCertificates(context.Background()); err != nil || c.Records != 1 || c.Broken != 0 {
		t.Errorf("whole: %+v, %v", c, err)
	}
}
