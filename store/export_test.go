package store

import "go.etcd.io/bbolt"

// OpenAs opens a database as a later Ingot with its own schema and migrations would.
func OpenAs(path string, schema int, steps map[int]func(*bbolt.Tx) error) (*DB, error) {
	m := map[int]migration{}
	for n, f := range steps {
		m[n] = f
	}
	return open(path, Options{}, schema, m)
}

// Expand makes the Name that the pattern gives, without reserving it.
func (p Pattern) Expand(d Device, seq uint64) (string, error) { return p.expand(d, seq) }

// ForgeStatement signs a version with the key of this database, as another server would.
func (tx *Tx) ForgeStatement(v Version) error { return tx.seal(v, v.Statement()) }

// PutDeviceOfBefore writes a device as an Ingot did that knew nothing of drives and of what is owed.
func (tx *Tx) PutDeviceOfBefore(d Device) error { return put(tx, bDevices, []byte(d.ID), d) }

// SpoilAgent flips a bit of what the file says about a start.
func (tx *Tx) SpoilAgent(key string) error {
	b := tx.bucket(bAgents)
	v := append([]byte(nil), b.Get([]byte(key))...)
	v[len(v)-10] ^= 1
	return b.Put([]byte(key), v)
}
