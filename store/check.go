package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"go.etcd.io/bbolt"
)

// maxDamage bounds the list of damaged records; what is beyond is counted.
const maxDamage = 1000

// RecordsChecked is what a proof of the records found.
type RecordsChecked struct {
	Records uint64
	Damage  []Damage
	More    uint64 // damaged things beyond those listed
}

func (c *RecordsChecked) add(versions []string, format string, args ...any) {
	if len(c.Damage) == maxDamage {
		c.More++
		return
	}
	c.Damage = append(c.Damage, Damage{What: fmt.Sprintf(format, args...), Versions: versions})
}

// CheckRecords proves the database while it is in use: every page of the file leads where it should, every record has
// its checksum, every bucket holds as many as it should and these, and the audit chain is unbroken. It names what is
// damaged; an error means that it could not look.
func (db *DB) CheckRecords() (c RecordsChecked, err error) {
	if err := db.checkFile(&c); err != nil || len(c.Damage) > 0 {
		return c, err // records cannot be read out of a damaged file
	}
	return c, db.View(func(tx *Tx) error { return tx.checkAll(&c) })
}

// checkFile walks the pages of the file as the last transaction left it; no other begins meanwhile.
func (db *DB) checkFile(c *RecordsChecked) error {
	tx, err := db.b.Begin(true)
	if err != nil {
		return fmt.Errorf("check records: %w", err)
	}
	defer tx.Rollback() // nothing was written
	lost, err := walkFile(db.b.Path())
	switch {
	case errors.Is(err, ErrDamaged):
		c.add(nil, "ingot.db: %v", err)
	case err != nil:
		return fmt.Errorf("check records: %w", err)
	case lost || db.lostHead:
		c.add(nil, "ingot.db: one of its two heads is damaged: the last thing that was recorded may be missing")
	}
	return nil
}

func walkFile(path string) (lostHead bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return false, err
	}
	return walkPages(f, st.Size())
}

// checkAll proves every value of every bucket.
func (tx *Tx) checkAll(c *RecordsChecked) error {
	err := tx.b.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		if !slices.Contains(buckets, string(name)) {
			c.add(nil, "ingot.db: %q is no kind of record", name)
		}
		return nil
	})
	for _, bucket := range buckets {
		if err == nil {
			err = tx.checkBucket(c, bucket)
		}
	}
	if err != nil {
		return err
	}
	chain, err := tx.AuditChain()
	if err == nil && chain.Broken > 0 {
		c.add(nil, "audit: event %d was changed, removed or put elsewhere", chain.Broken)
	}
	if errors.Is(err, ErrDamaged) {
		return nil // named as a record
	}
	return err
}

// checkBucket proves each value of a bucket, and then that none is missing.
func (tx *Tx) checkBucket(c *RecordsChecked, bucket string) error {
	before := len(c.Damage)
	err := tx.bucket(bucket).ForEach(func(k, b []byte) error {
		c.Records++
		if bucket == bMeta {
			return nil // its tally proves it
		}
		if why := valueDamage(bucket, k, b); why != "" {
			c.add(versionsHit(bucket, k), "record %s of %s: %s", keyWord(bucket, k), bucket, why)
		}
		return nil
	})
	if err != nil || bucket == bTallies || len(c.Damage) > before {
		return err
	}
	ok, want, have, err := tx.holds(bucket)
	if errors.Is(err, ErrDamaged) {
		return nil // named as a record of the tallies
	}
	if err == nil && !ok {
		c.add(nil, "%s: it holds %d records, and not the %d that were written", bucket, have, want)
	}
	return err
}

// valueDamage says what is wrong with a value as it lies in the file: it must be, byte for byte, what put writes.
func valueDamage(bucket string, key, b []byte) string {
	var v value
	if err := json.Unmarshal(b, &v); err != nil {
		return "it cannot be read"
	}
	again, err := json.Marshal(v)
	switch {
	case v.Sum != checksum(bucket, key, v.Data):
		return "its checksum does not hold"
	case v.V > valueVersion:
		return "a newer Ingot wrote it"
	case err != nil || !bytes.Equal(again, b):
		return "it is not as it was written"
	}
	return ""
}

// keyWord is a key for people: a version's as NAME@NUMBER, a number as such.
func keyWord(bucket string, key []byte) string {
	if v := versionsHit(bucket, key); len(v) > 0 {
		return v[0]
	}
	return fmt.Sprintf("%.100q", key)
}

// versionsHit names the version that a key stands for.
func versionsHit(bucket string, key []byte) []string {
	name, number, ok := bytes.Cut(key, []byte{0})
	if bucket != bVersions || !ok || len(number) != 4 {
		return nil
	}
	return []string{fmt.Sprintf("%s@%d", name, uint32(number[0])<<24|uint32(number[1])<<16|uint32(number[2])<<8|uint32(number[3]))}
}

// ReadableVersions calls f with every version whose record holds; CheckRecords names the others.
func (tx *Tx) ReadableVersions(f func(Version)) error {
	return tx.bucket(bVersions).ForEach(func(k, b []byte) error {
		if v, err := decode[Version](bVersions, k, b); err == nil {
			f(v)
		}
		return nil
	})
}

// VersionHolders gives for each version, as NAME@NUMBER, the devices whose last deployment it was, as far as the records can
// be read.
func (tx *Tx) VersionHolders() map[string][]string {
	out := map[string][]string{}
	_ = tx.bucket(bDevices).ForEach(func(k, b []byte) error { // the function gives no error
		d, err := decode[Device](bDevices, k, b)
		if err != nil || d.Deployment == "" {
			return nil
		}
		if dep, err := tx.Deployment(d.Deployment); err == nil {
			ref := dep.Image.String()
			out[ref] = append(out[ref], d.Label())
		}
		return nil
	})
	return out
}
