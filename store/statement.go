package store

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"ingot/imaging/bundle"
	"ingot/imaging/job"
	"ingot/imaging/sign"
)

// Signed is a statement about a Version with the key that signed it. Origin is the one that came with a copy.
type Signed struct {
	Key      ed25519.PublicKey `json:"key"`
	Envelope []byte            `json:"envelope"`
	Origin   *Signed           `json:"origin,omitempty"` // of the server that made the version, as it arrived
}

// Open gives what the key signed.
func (s Signed) Open() (bundle.Statement, error) { return bundle.OpenStatement(s.Key, s.Envelope) }

// Statement is what the record says about the version for ever. Its state, the checklist and what else an operator or
// a later look may change are no part of it.
func (v Version) Statement() bundle.Statement {
	var loaders json.RawMessage
	if len(v.Loaders) > 0 {
		loaders, _ = json.Marshal(v.Loaders) // plain data: it cannot fail
	}
	return bundle.Statement{
		Format: bundle.StatementFormat, Image: v.Image, Number: v.Number, Label: v.Label, Note: v.Note, Manifest: v.Manifest,
		Created: v.Created, By: v.By, Source: v.Source, Kind: string(v.Kind), Device: v.Device, DiskSize: v.DiskSize,
		SectorSize: v.SectorSize, DataBytes: v.DataBytes, OS: v.OS, MemoryBytes: v.MemoryBytes, Loaders: loaders, Origin: v.Origin,
	}
}

// state signs what v says, in the transaction that records it. A database without a key signs nothing.
func (tx *Tx) state(v Version) error { return tx.seal(v, v.Statement()) }

func (tx *Tx) seal(v Version, s bundle.Statement) error {
	if tx.sign == nil {
		return nil
	}
	out := Signed{Key: tx.sign.Public()}
	old, err := tx.Signed(v.Image, v.Number)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	out.Origin = old.Origin
	if out.Envelope, err = s.Seal(tx.sign); err != nil {
		return err
	}
	return put(tx, bStatements, versionKey(v.Image, v.Number), out)
}

// Restate signs a draft anew whose words were changed on purpose: the note or the label, nothing else. What is no
// draft any more keeps its statement.
func (tx *Tx) Restate(v Version) error {
	if tx.sign == nil {
		return nil
	}
	now := v.Statement()
	old, err := tx.statement(v)
	if err != nil {
		return err
	}
	was := old
	was.Label, was.Note = now.Label, now.Note
	if d := was.Differs(now); len(d) > 0 || v.State != Draft {
		return fmt.Errorf("sign %s again: only the note and the label of a draft may change, not %s", v.Ref(), strings.Join(d, ", "))
	}
	now.Late = old.Late
	return tx.seal(v, now)
}

// AddOrigin keeps the statement that came with a copy of another server's version.
func (tx *Tx) AddOrigin(v Version, from Signed) error {
	s, err := tx.Signed(v.Image, v.Number)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	from.Origin = nil
	s.Origin = &from
	return put(tx, bStatements, versionKey(v.Image, v.Number), s)
}

// Signed reads what was signed about a version.
func (tx *Tx) Signed(image string, number int) (Signed, error) {
	return get[Signed](tx, bStatements, versionKey(image, number))
}

// statement opens this server's own statement about a version. One by another key says nothing here.
func (tx *Tx) statement(v Version) (bundle.Statement, error) {
	s, err := tx.Signed(v.Image, v.Number)
	if err != nil {
		return bundle.Statement{}, err
	}
	if tx.sign == nil || !bytes.Equal(s.Key, tx.sign.Public()) {
		return bundle.Statement{}, fmt.Errorf("%w: it is by the key %s", sign.ErrSignature, bundle.Fingerprint(s.Key))
	}
	return s.Open()
}

// CheckSigned compares the record of a version with what was signed about it. what is empty when they agree, else one
// clause for people; late says that it was signed afterwards.
func (tx *Tx) CheckSigned(v Version) (what string, late bool, err error) {
	s, err := tx.statement(v)
	switch {
	case errors.Is(err, ErrNotFound):
		return "nothing signed stands with it", false, nil
	case errors.Is(err, ErrDamaged):
		return "what was signed about it is damaged", false, nil
	case errors.Is(err, sign.ErrSignature):
		return "its signature does not hold", false, nil
	case err != nil:
		return "", false, err
	}
	if d := s.Differs(v.Statement()); len(d) > 0 {
		return "it says something else than was signed: " + strings.Join(d, ", "), s.Late, nil
	}
	return "", s.Late, nil
}

// CheckVersions goes through every record of a version and every statement, and names what does not hold, by its
// NAME@NUMBER. One damaged record hides no other.
func (tx *Tx) CheckVersions(name func(ref, what string)) error {
	if tx.sign == nil {
		return nil
	}
	there := map[string]bool{}
	err := tx.bucket(bVersions).ForEach(func(k, b []byte) error {
		there[string(k)] = true
		v, err := decode[Version](bVersions, k, b)
		if err != nil {
			name(refOf(k), "its record is damaged")
			return nil
		}
		what, _, err := tx.CheckSigned(v)
		if what != "" {
			name(refOf(k), what)
		}
		return err
	})
	if err != nil {
		return err
	}
	return tx.bucket(bStatements).ForEach(func(k, _ []byte) error {
		if !there[string(k)] {
			name(refOf(k), "it was signed, and its record is gone")
		}
		return nil
	})
}

// refOf makes NAME@NUMBER of a version's key.
func refOf(k []byte) string {
	image, number, ok := bytes.Cut(k, []byte{0})
	if !ok || len(number) != 4 {
		return fmt.Sprintf("%q", k)
	}
	return fmt.Sprintf("%s@%d", image, int(number[0])<<24|int(number[1])<<16|int(number[2])<<8|int(number[3]))
}

const keySignedSince = "signed-since"

// SignOld signs, once in the life of a database, the versions that were recorded before Ingot signed them, and marks
// their statements as late. From then on a version without a statement is damage and never signed in silence. It gives
// the versions that it signed.
func (tx *Tx) SignOld() (signed []Version, err error) {
	if tx.sign == nil {
		return nil, nil
	}
	since, err := setting[time.Time](tx, keySignedSince)
	if err != nil || !since.IsZero() {
		return nil, err
	}
	all, err := tx.Versions("")
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if _, err := tx.Signed(v.Image, v.Number); !errors.Is(err, ErrNotFound) {
			if err != nil {
				return nil, err
			}
			continue
		}
		s := v.Statement()
		s.Late = true
		if err := tx.seal(v, s); err != nil {
			return nil, err
		}
		if err := tx.Audit("ingot", "sign", v.Ref().String(), "Signed after the fact: it was recorded before Ingot signed versions."); err != nil {
			return nil, err
		}
		signed = append(signed, v)
	}
	return signed, put(tx, bSettings, []byte(keySignedSince), tx.now)
}

// TrustedKey is the key of another server whose signed versions are taken.
type TrustedKey struct {
	Fingerprint string            `json:"fingerprint"`
	Key         ed25519.PublicKey `json:"key"`
	Name        string            `json:"name"` // whose it is, in an operator's words
	Since       time.Time         `json:"since"`
	By          string            `json:"by"`
}

// OwnKey is the key that signs here; empty when nothing is signed.
func (tx *Tx) OwnKey() ed25519.PublicKey {
	if tx.sign == nil {
		return nil
	}
	return tx.sign.Public()
}

// Seal signs a payload for a purpose with the key that signs here; see package sign.
func (tx *Tx) Seal(purpose string, payload []byte) ([]byte, error) {
	if tx.sign == nil {
		return nil, errors.New("sign: this database has no key")
	}
	return tx.sign.Seal(purpose, payload)
}

// Trusts reports whether what pub signed is taken here: this server's own key, or one that an operator named.
func (tx *Tx) Trusts(pub ed25519.PublicKey) (bool, error) {
	if len(pub) != ed25519.PublicKeySize {
		return false, nil
	}
	if pub.Equal(tx.OwnKey()) {
		return true, nil
	}
	k, err := get[TrustedKey](tx, bTrusted, []byte(bundle.Fingerprint(pub)))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && pub.Equal(k.Key), err
}

// Trust takes a key into the list. One that is there stays as it was.
func (tx *Tx) Trust(pub ed25519.PublicKey, name, operator string) error {
	ok, err := tx.Trusts(pub)
	if ok || err != nil {
		return err
	}
	if len(pub) != ed25519.PublicKeySize {
		return job.Faultf(job.CodeBadRequest, "That is no key.")
	}
	k := TrustedKey{Fingerprint: bundle.Fingerprint(pub), Key: pub, Name: name, Since: tx.now, By: operator}
	if err := put(tx, bTrusted, []byte(k.Fingerprint), k); err != nil {
		return err
	}
	return tx.Audit(operator, "trust", name, "Images signed by the key "+k.Fingerprint+" are taken.")
}

// Distrust takes a key off the list. What was imported under it stays.
func (tx *Tx) Distrust(fingerprint, operator string) error {
	k, err := get[TrustedKey](tx, bTrusted, []byte(fingerprint))
	if errors.Is(err, ErrNotFound) {
		return job.Faultf(job.CodeNotFound, "No trusted key %.80q.", fingerprint)
	}
	if err != nil {
		return err
	}
	if err := tx.remove(bTrusted, []byte(fingerprint)); err != nil {
		return err
	}
	return tx.Audit(operator, "distrust", k.Name, "Images signed by the key "+fingerprint+" are taken no more.")
}

// TrustedKeys lists the keys of other servers.
func (tx *Tx) TrustedKeys() ([]TrustedKey, error) { return all[TrustedKey](tx, bTrusted) }
