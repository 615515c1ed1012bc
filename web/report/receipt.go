package report

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ingot/imaging/bundle"
	"ingot/imaging/job"
	"ingot/imaging/sign"
	"ingot/store"
)

// ReceiptPurpose is what a receipt's signature is for; see package sign.
const ReceiptPurpose = "receipt"

// ReceiptFormat is the number of the receipt's form that this code writes, and the newest that it reads.
const ReceiptFormat = 1

// MaxReceipt bounds a receipt's file in bytes: one travels in base64 to be verified, in a request of at most 1 MiB.
const MaxReceipt = 704 << 10

// Receipt says what one Deployment put on one device, and where the audit chain stood. It speaks of the record as it was
// at Issued: the fourth part of the proof, and renames, come later than the Deployment.
type Receipt struct {
	Format     int              `json:"format"`
	Issued     time.Time        `json:"issued"`
	IssuedTo   string           `json:"issued_to"` // the operator who asked for it
	Deployment store.Deployment `json:"deployment"`
	Version    ReceiptVersion   `json:"version"`
	Device     ReceiptDevice    `json:"device"`
	Recorded   store.Mark       `json:"recorded"` // the event by which the Deployment was recorded
	Chain      store.Mark       `json:"chain"`    // the newest event when this was issued
}

// ReceiptVersion is what the record says about the Version, beside its name in the Deployment.
type ReceiptVersion struct {
	Label string `json:"label"`
	Note  string `json:"note"`
	OS    string `json:"os"`
	State string `json:"state"` // at Issued
}

// ReceiptDevice is what the record says about the device at Issued.
type ReceiptDevice struct {
	ID           string            `json:"id"`
	Manufacturer string            `json:"manufacturer"`
	Model        string            `json:"model"`
	Serial       string            `json:"serial"`
	Asset        string            `json:"asset"`
	Owner        string            `json:"owner"`
	Name         string            `json:"name"`
	State        store.DeviceState `json:"state"`
}

// SignedReceipt is a receipt as a file: the proof itself. A page, a PDF or a label is only a picture of it.
type SignedReceipt struct {
	Key      ed25519.PublicKey `json:"key"`
	Envelope json.RawMessage   `json:"envelope"` // see package sign
}

// Receipt issues the receipt of a Deployment.
func (d *Desk) Receipt(_ context.Context, operator, deployment string) (r Receipt, signed SignedReceipt, err error) {
	err = d.DB.View(func(tx *store.Tx) error {
		if r, err = receiptOf(tx, operator, deployment); err != nil {
			return err
		}
		payload, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("sign receipt: %w", err)
		}
		signed.Key = tx.OwnKey()
		signed.Envelope, err = tx.Seal(ReceiptPurpose, payload)
		return err
	})
	return r, signed, err
}

func receiptOf(tx *store.Tx, operator, deployment string) (Receipt, error) {
	dep, err := tx.Deployment(deployment)
	if err != nil {
		return Receipt{}, err
	}
	r := Receipt{Format: ReceiptFormat, Issued: tx.Now(), IssuedTo: operator, Deployment: shown(dep)}
	dev, err := tx.Device(dep.Device)
	if err != nil {
		return r, fmt.Errorf("receipt of %s: %w", deployment, err)
	}
	r.Device = ReceiptDevice{ID: dev.ID, Manufacturer: dev.Manufacturer, Model: dev.Model, Serial: dev.Serial, Asset: dev.Asset, Owner: dev.Owner, Name: dev.Name, State: dev.State}
	v, err := tx.Version(dep.Image.Name, dep.Image.Number)
	if err != nil {
		return r, fmt.Errorf("receipt of %s: %w", deployment, err)
	}
	r.Version = ReceiptVersion{Label: v.Label, Note: v.Note, OS: v.OS, State: v.Word()}
	e, err := tx.RecordedAs(string(job.Done), dep.Device, dep.Finished)
	if err != nil && !errors.Is(err, store.ErrNotFound) { // without it the receipt still tells where the chain stood
		return r, fmt.Errorf("receipt of %s: %w", deployment, err)
	}
	r.Recorded = e.Mark()
	r.Chain, err = tx.AuditMark()
	return r, err
}

// shown is a Deployment without what is secret or of no use outside.
func shown(dep store.Deployment) store.Deployment {
	dep.SecretHash, dep.SecretUntil = "", time.Time{}
	dep.Renamings = append([]store.Renaming(nil), dep.Renamings...)
	for i := range dep.Renamings {
		dep.Renamings[i].SecretHash, dep.Renamings[i].SecretUntil = "", time.Time{}
	}
	return dep
}

// File is the receipt as it is kept.
func (s SignedReceipt) File() ([]byte, error) {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write receipt: %w", err)
	}
	if b = append(b, '\n'); len(b) > MaxReceipt {
		return nil, job.Faultf(job.CodeReceipt, "It would have %d bytes; a receipt has at most %d.", len(b), MaxReceipt)
	}
	return b, nil
}

// OpenReceipt reads a receipt's file and proves its signature by the key that stands in it. Whose key that is, is for
// the caller to ask.
func OpenReceipt(file []byte) (Receipt, ed25519.PublicKey, error) {
	var s SignedReceipt
	var r Receipt
	if len(file) > MaxReceipt {
		return r, nil, job.Faultf(job.CodeReceipt, "It has %d bytes; a receipt has at most %d.", len(file), MaxReceipt)
	}
	if err := json.Unmarshal(file, &s); err != nil || len(s.Key) != ed25519.PublicKeySize {
		return r, nil, job.Faultf(job.CodeReceipt, "The file is no receipt.")
	}
	payload, err := sign.Open(s.Key, ReceiptPurpose, s.Envelope)
	if err != nil {
		return r, s.Key, job.Faultf(job.CodeReceipt, "Its signature does not hold: it was changed.")
	}
	dec := json.NewDecoder(bytes.NewReader(payload))
	if err := dec.Decode(&r); err != nil {
		return r, s.Key, job.Faultf(job.CodeReceipt, "What was signed cannot be read.")
	}
	if r.Format > ReceiptFormat || r.Format < 1 {
		return r, s.Key, job.Faultf(job.CodeReceipt, "It has the form %d, written by a newer Ingot.", r.Format)
	}
	return r, s.Key, nil
}

// Own opens a receipt's file that this server has signed, to make a picture of that very receipt.
func (d *Desk) Own(_ context.Context, file []byte) (r Receipt, signed SignedReceipt, err error) {
	r, pub, err := OpenReceipt(file)
	if err != nil {
		return r, signed, err
	}
	if err := json.Unmarshal(file, &signed); err != nil {
		return r, signed, job.Faultf(job.CodeReceipt, "The file is no receipt.")
	}
	err = d.DB.View(func(tx *store.Tx) error {
		if !bytes.Equal(pub, tx.OwnKey()) {
			return job.Faultf(job.CodeReceipt, "It is signed by the key %s, which is not this server's: its server makes its PDF.", bundle.Fingerprint(pub))
		}
		return nil
	})
	return r, signed, err
}

// Finding is what a check of one receipt against the record came to.
type Finding struct {
	Deployment string    `json:"deployment,omitempty"`
	Device     string    `json:"device,omitempty"` // its serial
	Issued     time.Time `json:"issued,omitzero"`
	Key        string    `json:"key,omitempty"` // fingerprint of who signed it
	Chain      uint64    `json:"chain"`         // number of the event up to which it vouches for the chain
	Holds      bool      `json:"holds"`
	What       []string  `json:"what,omitempty"` // what does not, each a sentence
}

// Verify holds a receipt's file against the record: the signature, by this server's key or by one that the asker names
// by its fingerprint; both places in the audit chain; and the Deployment, which may have gained an observation and
// renames since, and nothing else.
func (d *Desk) Verify(_ context.Context, file []byte, key string) (Finding, error) {
	r, pub, err := OpenReceipt(file)
	if err != nil {
		return Finding{What: []string{job.FaultOf(err).Fact}}, nil
	}
	f := Finding{Deployment: r.Deployment.ID, Device: r.Device.Serial, Issued: r.Issued, Key: bundle.Fingerprint(pub), Chain: r.Chain.Number}
	err = d.DB.View(func(tx *store.Tx) error {
		if !bytes.Equal(pub, tx.OwnKey()) && f.Key != key {
			f.What = append(f.What, fmt.Sprintf("It is signed by the key %s, which is not this server's. If it is that of the server that issued it, give that fingerprint.", f.Key))
		}
		if r.Recorded == (store.Mark{}) {
			f.What = append(f.What, "The event by which this deployment was recorded was not in the audit trail when the receipt was issued.")
		}
		for _, m := range []struct {
			name string
			mark store.Mark
		}{{"by which it was recorded", r.Recorded}, {"which was the newest then", r.Chain}} {
			state, err := tx.CheckMark(m.mark)
			if err != nil {
				return err
			}
			if words := markWords(m.mark, m.name, state); words != "" {
				f.What = append(f.What, words)
			}
		}
		words, err := differs(tx, r)
		if words != "" {
			f.What = append(f.What, words)
		}
		return err
	})
	f.Holds = err == nil && len(f.What) == 0
	return f, err
}

func markWords(m store.Mark, name string, s store.MarkState) string {
	switch s {
	case store.MarkGone:
		return fmt.Sprintf("Event %d, %s, is gone: the end of the audit trail was removed.", m.Number, name)
	case store.MarkChanged:
		return fmt.Sprintf("Event %d, %s, is another one now: the audit trail was changed or built again.", m.Number, name)
	}
	return ""
}

// differs says how the record of the Deployment is another one than the receipt's.
func differs(tx *store.Tx, r Receipt) (string, error) {
	dep, err := tx.Deployment(r.Deployment.ID)
	if job.FaultOf(err).Code == job.CodeNotFound && err != nil {
		return "The record of this deployment is gone.", nil
	}
	if errors.Is(err, store.ErrDamaged) {
		return "The record of this deployment is damaged.", nil
	}
	if err != nil {
		return "", err
	}
	now, then := shown(dep), r.Deployment
	now.Observed, now.Renamings, then.Observed, then.Renamings = nil, nil, nil, nil
	a, err := json.Marshal(now)
	if err != nil {
		return "", fmt.Errorf("compare receipt: %w", err)
	}
	b, err := json.Marshal(then)
	if err != nil {
		return "", fmt.Errorf("compare receipt: %w", err)
	}
	if !bytes.Equal(a, b) {
		return "The record of this deployment says something else than the receipt.", nil
	}
	if r.Deployment.Observed != nil && dep.Observed == nil {
		return "The record has lost that the system called home.", nil
	}
	return "", nil
}

// AuditVerified is the outcome of a proof of the audit chain, with receipts to hold it against.
type AuditVerified struct {
	store.Chain
	Receipts []Finding `json:"receipts,omitempty"`
}

// Holds reports whether the chain is whole and every receipt agrees.
func (v AuditVerified) Holds() bool {
	for _, f := range v.Receipts {
		if !f.Holds {
			return false
		}
	}
	return v.Broken == 0
}

// Against is what the audit chain is to be held against: receipts' files.
type Against struct {
	Receipts [][]byte `json:"receipts"`
	Key      string   `json:"key,omitempty"` // fingerprint of another server's key that may have signed them
}

// VerifyAudit proves the audit chain from its first event on, and holds it against receipts: they find what the chain
// alone cannot tell, a removed tail and a chain that was built again.
func (d *Desk) VerifyAudit(ctx context.Context, a Against) (v AuditVerified, err error) {
	err = d.DB.View(func(tx *store.Tx) error { v.Chain, err = tx.AuditChain(); return err })
	for i := 0; err == nil && i < len(a.Receipts); i++ {
		var f Finding
		f, err = d.Verify(ctx, a.Receipts[i], a.Key)
		v.Receipts = append(v.Receipts, f)
	}
	return v, err
}
