package store

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"ingot/imaging"
)

// valueVersion is the version of every record's JSON; a reader refuses a higher one.
const valueVersion = 1

// value is the envelope around a record.
type value struct {
	V    int             `json:"v"`
	Sum  string          `json:"sum"`
	Data json.RawMessage `json:"data"`
}

// checksum covers where the record stands as well as what it says.
func checksum(bucket string, key, data []byte) string {
	b := make([]byte, 0, len(bucket)+len(key)+len(data)+2)
	b = append(append(b, bucket...), 0)
	b = append(append(b, key...), 0)
	d := imaging.Sum(append(b, data...))
	return hex.EncodeToString(d[:12])
}

func (tx *Tx) bucket(name string) *bbolt.Bucket { return tx.b.Bucket([]byte(name)) }

// put writes one record.
func put[T any](tx *Tx, bucket string, key []byte, record T) error {
	b, err := envelope(bucket, key, record)
	if err == nil {
		err = tx.set(bucket, key, b)
	}
	if err != nil {
		return fmt.Errorf("write %s/%q: %w", bucket, key, err)
	}
	return nil
}

// envelope is a record as it lies in the file.
func envelope(bucket string, key []byte, record any) ([]byte, error) {
	data, err := json.Marshal(record)
	if err != nil {
		return nil, err
	}
	return json.Marshal(value{V: valueVersion, Sum: checksum(bucket, key, data), Data: data})
}

// field is what a record as it lies in the file has in it where a field of it says this text. Another field may have the
// same name, so what has it is read, and looked at, all the same.
func field(name, text string) ([]byte, error) {
	b, err := json.Marshal(text)
	return append([]byte(`"`+name+`":`), b...), err
}

// get reads one record, or ErrNotFound.
func get[T any](tx *Tx, bucket string, key []byte) (T, error) {
	b := tx.bucket(bucket).Get(key)
	if b == nil {
		var none T
		return none, fmt.Errorf("read %s/%q: %w", bucket, key, ErrNotFound)
	}
	return decode[T](bucket, key, b)
}

func decode[T any](bucket string, key, b []byte) (record T, err error) {
	var v value
	if err := json.Unmarshal(b, &v); err != nil {
		return record, fmt.Errorf("read %s/%q: %w", bucket, key, ErrDamaged)
	}
	if v.V > valueVersion {
		return record, fmt.Errorf("read %s/%q: %w", bucket, key, ErrNewer)
	}
	if v.Sum != checksum(bucket, key, v.Data) {
		return record, fmt.Errorf("read %s/%q: checksum: %w", bucket, key, ErrDamaged)
	}
	if err := json.Unmarshal(v.Data, &record); err != nil {
		return record, fmt.Errorf("read %s/%q: %w: %v", bucket, key, ErrDamaged, err)
	}
	return record, nil
}

// each calls f with every record of a bucket whose key starts with prefix, in key order.
func each[T any](tx *Tx, bucket string, prefix []byte, f func(key []byte, record T) error) error {
	c := tx.bucket(bucket).Cursor()
	for k, b := c.Seek(prefix); k != nil && len(k) >= len(prefix) && string(k[:len(prefix)]) == string(prefix); k, b = c.Next() {
		record, err := decode[T](bucket, k, b)
		if err != nil {
			return err
		}
		if err := f(k, record); err != nil {
			return err
		}
	}
	return nil
}

// all gathers every record of a bucket.
func all[T any](tx *Tx, bucket string) ([]T, error) {
	var out []T
	err := each(tx, bucket, nil, func(_ []byte, r T) error { out = append(out, r); return nil })
	return out, err
}
