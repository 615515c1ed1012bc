package store

import (
	"encoding/hex"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"ingot/imaging"
)

// tally is what a bucket must hold: how many records, and the exclusive or of their sums. It is kept beside the
// bucket, so that a record that vanished is known by its absence; a checksum in the record could not tell.
type tally struct {
	Count uint64 `json:"count"`
	Sum   string `json:"sum"` // 16 bytes in hexadecimal

	sum [16]byte
}

// add takes a record in, or out again.
func (t *tally) add(bucket string, key, value []byte, n int64) {
	b := make([]byte, 0, len(bucket)+len(key)+len(value)+2)
	b = append(append(b, bucket...), 0)
	b = append(append(b, key...), 0)
	d := imaging.Sum(append(b, value...))
	for i := range t.sum {
		t.sum[i] ^= d[i]
	}
	t.Count += uint64(n)
}

// set writes a value as it is; every change of a bucket goes through here or through remove.
func (tx *Tx) set(bucket string, key, value []byte) error {
	b := tx.bucket(bucket)
	if err := tx.change(bucket, key, b.Get(key), value); err != nil {
		return err
	}
	return b.Put(key, value)
}

// remove deletes a key; one that is not there is no error.
func (tx *Tx) remove(bucket string, key []byte) error {
	b := tx.bucket(bucket)
	if err := tx.change(bucket, key, b.Get(key), nil); err != nil {
		return err
	}
	return b.Delete(key)
}

// change follows a change in the bucket's tally. A migration does not: everything is counted anew behind it.
func (tx *Tx) change(bucket string, key, old, value []byte) error {
	if tx.tallies == nil {
		return nil
	}
	t := tx.tallies[bucket]
	if t == nil {
		var err error
		if t, err = readTally(tx, bucket); err != nil {
			return err
		}
		tx.tallies[bucket] = t
	}
	if old != nil {
		t.add(bucket, key, old, -1)
	}
	if value != nil {
		t.add(bucket, key, value, 1)
	}
	return nil
}

// readTally reads a bucket's tally; one that was never written is empty.
func readTally(tx *Tx, bucket string) (*tally, error) {
	t, err := get[tally](tx, bTallies, []byte(bucket))
	if errors.Is(err, ErrNotFound) {
		return &t, nil
	}
	if err == nil {
		if n, e := hex.Decode(t.sum[:], []byte(t.Sum)); e != nil || n != len(t.sum) {
			err = fmt.Errorf("read tally of %s: %w", bucket, ErrDamaged)
		}
	}
	return &t, err
}

// flush writes the tallies that this transaction changed.
func (tx *Tx) flush() error {
	for bucket, t := range tx.tallies {
		if err := t.write(tx, bucket); err != nil {
			return err
		}
	}
	return nil
}

func (t *tally) write(tx *Tx, bucket string) error {
	t.Sum = hex.EncodeToString(t.sum[:])
	b, err := envelope(bTallies, []byte(bucket), t)
	if err != nil {
		return err
	}
	return tx.bucket(bTallies).Put([]byte(bucket), b)
}

// count makes the tally of a bucket as it is.
func count(tx *Tx, bucket string) (*tally, error) {
	t := &tally{}
	err := tx.bucket(bucket).ForEach(func(k, v []byte) error { t.add(bucket, k, v, 1); return nil })
	return t, err
}

// recount writes the tally of every bucket anew.
func recount(b *bbolt.Tx) error {
	tx := &Tx{b: b}
	for _, bucket := range buckets {
		if bucket == bTallies {
			continue
		}
		t, err := count(tx, bucket)
		if err == nil {
			err = t.write(tx, bucket)
		}
		if err != nil {
			return fmt.Errorf("count %s: %w", bucket, err)
		}
	}
	return nil
}

// holds reports whether a bucket is as its tally says.
func (tx *Tx) holds(bucket string) (ok bool, want, have uint64, err error) {
	t, err := readTally(tx, bucket)
	if err != nil {
		return false, 0, 0, err
	}
	is, err := count(tx, bucket)
	if err != nil {
		return false, 0, 0, err
	}
	return is.Count == t.Count && is.sum == t.sum, t.Count, is.Count, nil
}
