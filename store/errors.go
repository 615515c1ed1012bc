package store

import "errors"

var (
	// ErrNotFound says that there is no record under this key.
	ErrNotFound = errors.New("no such record")
	// ErrDamaged says that a value's checksum does not hold or that it cannot be read as its record.
	ErrDamaged = errors.New("record is damaged")
	// ErrNewer says that a newer Ingot wrote the database or the record.
	ErrNewer = errors.New("written by a newer Ingot")
	// ErrLocked says that another process has the database open.
	ErrLocked = errors.New("database is in use by another process")
)
