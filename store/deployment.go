package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"ingot/imaging/job"
)

// Observed is the fourth part of a proof: the OS called home under its name.
type Observed struct {
	Time      time.Time `json:"time"`
	Hostname  string    `json:"hostname"`
	MachineID string    `json:"machine_id"` // SHA-256 of it
	OS        string    `json:"os"`
	Address   string    `json:"address"` // from where
}

// Renaming is what one rename did to a deployed system.
type Renaming struct {
	Job         job.ID    `json:"job"`
	From        string    `json:"from"`
	Name        string    `json:"name"`
	Operator    string    `json:"operator"`
	Finished    time.Time `json:"finished"`
	Unproven    bool      `json:"unproven,omitempty"` // the laptop fell silent while it wrote: it runs under one name or the other
	Proof       job.Proof `json:"proof"`
	Observed    *Observed `json:"observed,omitempty"`
	SecretHash  string    `json:"secret_hash,omitempty"` // of the call-home secret; removed when it was used
	SecretUntil time.Time `json:"secret_until"`
}

// MaxRenamings bounds the renamings that a deployment keeps; the oldest go first, and stay in the audit chain.
const MaxRenamings = 50

// Deployment is one putting of a Version on a Device, with its proof. It exists only when the Job ended in
// done; nothing but Observed and Renamings is added later.
type Deployment struct {
	ID           string       `json:"id"`
	Device       string       `json:"device"`
	Serial       string       `json:"serial"`
	Job          job.ID       `json:"job"`
	Image        job.ImageRef `json:"image"`
	Target       job.Target   `json:"target"`
	Role         string       `json:"role,omitempty"`
	RoleRevision int          `json:"role_revision,omitempty"`
	Name         string       `json:"name"`
	NameWritten  bool         `json:"name_written"` // false: reserved, not written
	Operator     string       `json:"operator"`
	Approved     time.Time    `json:"approved"`
	Started      time.Time    `json:"started"`  // first bound to an agent
	Finished     time.Time    `json:"finished"` // recorded here, by the daemon's clock
	FetchedBytes uint64       `json:"fetched_bytes"`
	WrittenBytes uint64       `json:"written_bytes"`
	KeptBytes    uint64       `json:"kept_bytes"`
	Seconds      float64      `json:"seconds"`
	Proof        job.Proof    `json:"proof"`
	Observed     *Observed    `json:"observed,omitempty"`
	Renamings    []Renaming   `json:"renamings,omitempty"`   // newest last
	SecretHash   string       `json:"secret_hash,omitempty"` // of the call-home secret; removed when it was used
	SecretUntil  time.Time    `json:"secret_until"`

	Trial bool   `json:"trial,omitempty"` // the Version was a draft
	Stale string `json:"stale,omitempty"` // how the Version was older than its cadence allows, and why it was used
}

// Seen is the newest call home of the system, under whatever name; nil when there was none.
func (d Deployment) Seen() *Observed {
	for i := len(d.Renamings) - 1; i >= 0; i-- {
		if o := d.Renamings[i].Observed; o != nil {
			return o
		}
	}
	return d.Observed
}

// PutDeployment writes a deployment.
func (tx *Tx) PutDeployment(d Deployment) error {
	key := binary.BigEndian.AppendUint64(append([]byte(d.Device), 0), uint64(d.Finished.UnixNano()))
	if err := put(tx, bByDevice, key, d.ID); err != nil {
		return err
	}
	return put(tx, bDeployments, []byte(d.ID), d)
}

// Deployment reads one deployment.
func (tx *Tx) Deployment(id string) (Deployment, error) {
	d, err := get[Deployment](tx, bDeployments, []byte(id))
	if errors.Is(err, ErrNotFound) {
		return d, job.Faultf(job.CodeNotFound, "No deployment %.40q.", id)
	}
	return d, err
}

// DeploymentsOf lists what a device received, oldest first.
func (tx *Tx) DeploymentsOf(device string) ([]Deployment, error) {
	var out []Deployment
	err := each(tx, bByDevice, append([]byte(device), 0), func(_ []byte, id string) error {
		d, err := tx.Deployment(id)
		out = append(out, d)
		return err
	})
	return out, err
}

// CountDeployments counts what a device received, without reading any of it.
func (tx *Tx) CountDeployments(device string) (n int) {
	prefix := append([]byte(device), 0)
	c := tx.bucket(bByDevice).Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		n++
	}
	return n
}

// EachDeployment calls f with every deployment, in no order that means anything.
func (tx *Tx) EachDeployment(f func(Deployment) error) error {
	return each(tx, bDeployments, nil, func(_ []byte, d Deployment) error { return f(d) })
}
