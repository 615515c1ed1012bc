package store

import (
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
)

// ServerBackup asks for a copy of the whole server in one file.
type ServerBackup struct {
	Passphrase string `json:"passphrase"`      // opens the file again
	Packs      bool   `json:"packs,omitempty"` // the images' data too
}

// The lengths of a passphrase, in bytes.
const (
	MinPassphrase = 12
	MaxPassphrase = 1024
)

// Check refuses a passphrase that protects nothing: the file holds the server's keys.
func (b ServerBackup) Check() error {
	if n := len(b.Passphrase); n < MinPassphrase || n > MaxPassphrase {
		return job.Faultf(job.CodeBadRequest, "The passphrase of a backup has %d to %d bytes: four words, or more.", MinPassphrase, MaxPassphrase)
	}
	return nil
}

// ServerBackedUp is what a backup holds.
type ServerBackedUp struct {
	Made    time.Time      `json:"made"`
	Version string         `json:"version"` // of the Ingot that made it
	Packs   bool           `json:"packs"`   // with the images' data
	Files   int            `json:"files"`
	Bytes   int64          `json:"bytes"`             // of these files
	Events  uint64         `json:"events"`            // of the audit trail
	Head    imaging.Digest `json:"head"`              // the newest event's hash
	Damaged uint64         `json:"damaged,omitempty"` // records that were damaged already when it was made
}

// LastServerBackup is when a backup of this server was sent last to whoever asked; whether it was kept, only he knows.
type LastServerBackup struct {
	At    time.Time `json:"at"`
	By    string    `json:"by"`
	Packs bool      `json:"packs"`
}

// LastServerBackup reads it; the zero value when none was made.
func (tx *Tx) LastServerBackup() (LastServerBackup, error) {
	return setting[LastServerBackup](tx, "server-backup")
}

// PutLastServerBackup writes it.
func (tx *Tx) PutLastServerBackup(l LastServerBackup) error {
	return put(tx, bSettings, []byte("server-backup"), l)
}
