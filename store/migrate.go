package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// deviceOf1 is what only a Device of schema 1 holds: the two keys of a laptop of which a person settled that one is
// another device's.
type deviceOf1 struct {
	Settled *struct {
		SerialKey string `json:"serial_key"`
		UUIDKey   string `json:"uuid_key"`
	} `json:"settled"`
}

// factsFromKeys is the step from schema 1 to 2: the two indexes of one key each become one index of facts. Serial
// keys are made anew, since makers are now compared by one name; a key that turns out to belong to two records, or
// that a person settled as told by two laptops, becomes a shared fact.
func factsFromKeys(b *bbolt.Tx) error {
	tx := &Tx{b: b, now: time.Now().UTC()}
	for _, name := range []string{bByFact, bShared} {
		if _, err := b.CreateBucketIfNotExists([]byte(name)); err != nil {
			return err
		}
	}
	devices, err := tx.Devices()
	if err != nil {
		return err
	}
	twice, err := sharedOf1(tx, devices)
	if err != nil {
		return err
	}
	for _, d := range devices {
		held := d.State == Quarantined && heldIn1(tx, d)
		d.Told = d.Serial
		if d.SerialKey != "" {
			d.SerialKey = SerialKey(d.Manufacturer, d.Serial)
		}
		for f := range twice {
			d.Lose(f)
		}
		known := d
		if held {
			known.State = Ready // it keeps what it had; only what it claims besides gets no place
		}
		if err := errors.Join(tx.index(Device{}, known), put(tx, bDevices, []byte(d.ID), d)); err != nil {
			return err
		}
	}
	for f, ids := range twice {
		if err := put(tx, bShared, f.key(), Shared{Fact: f, Since: tx.now, Devices: ids, Why: "Found when the records were brought to schema 2."}); err != nil {
			return err
		}
	}
	jobs, err := tx.Jobs()
	if err != nil {
		return err
	}
	for _, j := range jobs {
		j.Told = j.Serial
		if err := put(tx, bJobs, []byte(j.ID), j); err != nil {
			return err
		}
	}
	return errors.Join(b.DeleteBucket([]byte("device-by-serial")), b.DeleteBucket([]byte("device-by-uuid")))
}

// heldIn1 reports whether a device that is in quarantine now was known by its facts before: it has a Name, and one of
// the indexes leads to it. One that came with the facts of others never had a Name.
func heldIn1(tx *Tx, d Device) bool {
	return d.Name != "" && (tx.owner("device-by-serial", d.SerialKey) == d.ID || tx.owner("device-by-uuid", d.UUIDKey) == d.ID)
}

// sharedOf1 finds the strong facts that more than one record stands for, with those records.
func sharedOf1(tx *Tx, devices []Device) (map[Fact][]string, error) {
	holders := map[Fact][]string{}
	for _, d := range devices {
		raw, err := get[json.RawMessage](tx, bDevices, []byte(d.ID))
		if err != nil {
			return nil, err
		}
		var old deviceOf1
		if err := json.Unmarshal(raw, &old); err != nil {
			return nil, fmt.Errorf("read device %s: %w", d.ID, ErrDamaged)
		}
		if d.State == Quarantined && old.Settled == nil && !heldIn1(tx, d) {
			continue // it only claims
		}
		facts := []Fact{{FactUUID, d.UUIDKey}}
		if d.SerialKey != "" || old.Settled != nil && old.Settled.SerialKey != "" {
			facts = append(facts, Fact{FactSerial, SerialKey(d.Manufacturer, d.Serial)})
		}
		if old.Settled != nil && old.Settled.UUIDKey != d.UUIDKey {
			facts = append(facts, Fact{FactUUID, old.Settled.UUIDKey})
		}
		for _, f := range facts {
			if f.Value != "" {
				holders[f] = append(holders[f], d.ID)
			}
		}
	}
	for f, ids := range holders {
		if len(ids) < 2 {
			delete(holders, f)
		}
	}
	return holders, nil
}

// currentOf2 is the step from schema 2 to 3: until then the newest released version was the one that laptops received,
// and now an Image says which one it is.
func currentOf2(b *bbolt.Tx) error {
	tx := &Tx{b: b, now: time.Now().UTC()}
	images, err := tx.Images()
	if err != nil {
		return err
	}
	for _, img := range images {
		versions, err := tx.Versions(img.Name)
		if err != nil {
			return err
		}
		for _, v := range versions {
			if v.State == Released {
				img.Current = v.Number
			}
		}
		if err := put(tx, bImages, []byte(img.Name), img); err != nil {
			return err
		}
	}
	return nil
}

// nothingNew is the step from schema 3 to 4, which only adds buckets, and versions with manifests of version 2: an older
// Ingot would take those for damaged, so it must not open the database.
func nothingNew(*bbolt.Tx) error { return nil }

// oweSince takes down the drives of devices that had come back when an Ingot wrote the database that kept no drives. From
// then on each of them is owed; of a device that told of none, nothing is known, and the gate says so.
func oweSince(b *bbolt.Tx) error {
	tx := &Tx{b: b, now: time.Now().UTC()}
	devices, err := tx.Devices()
	for _, d := range devices {
		if err != nil || !comesBack(d.State) {
			continue
		}
		if err = tx.gate(d, &d); err == nil {
			err = put(tx, bDevices, []byte(d.ID), d)
		}
	}
	return err
}
