package cert

import (
	"encoding/json"
	"fmt"
	"time"
)

// Format is the version of the record's form.
const Format = 1

// Kind tells a Certificate from a Destruction record.
type Kind string

// A wipe is a Certificate.
const (
	Wipe        Kind = "wipe"
	Destruction Kind = "destruction"
)

// Record is what is signed about one drive. Exactly one of Sanitised and Destroyed is there.
type Record struct {
	Format       int       `json:"format"`
	Kind         Kind      `json:"kind"`
	ID           string    `json:"id"`       // W-000017 or D-000018
	Number       uint64    `json:"number"`   // in the chain of all records of this server, from 1
	Previous     string    `json:"previous"` // "sha256:" and hex of the file of the record before; empty for the first
	Issued       time.Time `json:"issued"`   // UTC, whole seconds
	Organisation string    `json:"organisation,omitempty"`

	Device Device `json:"device"`
	Drive  Drive  `json:"drive"`

	Sanitised *Sanitised `json:"sanitised,omitempty"`
	Destroyed *Destroyed `json:"destroyed,omitempty"`

	// The audit chain of the server when this was signed: noted here, it proves later that nothing was cut off.
	AuditNumber uint64 `json:"audit_number"`
	AuditHead   string `json:"audit_head"`
}

// Device is the laptop that the drive was in.
type Device struct {
	ID           string `json:"id"`
	Name         string `json:"name,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial"`
	UUID         string `json:"uuid,omitempty"`
	Asset        string `json:"asset,omitempty"`  // the organisation's number
	Source       string `json:"source,omitempty"` // from whom it came back
}

// Drive is the drive itself, as it tells and as the kernel saw it.
type Drive struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial"`
	WWN          string `json:"wwn,omitempty"`
	Firmware     string `json:"firmware,omitempty"`
	Media        string `json:"media,omitempty"` // class: nvme, sata-ssd, sata-hdd, emmc, ufs, unknown
	Transport    string `json:"transport,omitempty"`
	Behind       string `json:"behind,omitempty"` // what stands between, a bridge or a controller
	SizeBytes    uint64 `json:"size_bytes,omitempty"`
	RealBytes    uint64 `json:"real_bytes,omitempty"` // with hidden sectors, as far as it tells
	SectorSize   int    `json:"sector_size,omitempty"`
	Hidden       string `json:"hidden,omitempty"` // hidden sectors: none, found, removed, unknown
}

// Person is one who acted.
type Person struct {
	Name  string    `json:"name"`
	Title string    `json:"title,omitempty"`
	Role  string    `json:"role"` // ordered, agreed, witnessed, recorded
	Time  time.Time `json:"time"`
}

// Sanitised says what was done to a drive, what is claimed for it, and under which policy: three things.
type Sanitised struct {
	Technique     string   `json:"technique"`          // by its name in package wipe
	Does          string   `json:"does"`               // for people
	Claim         string   `json:"claim"`              // clear or purge
	Wanted        string   `json:"wanted"`             // level that the policy wants of such a drive
	Policy        string   `json:"policy"`             // of the site
	PolicyVersion int      `json:"policy_version"`     //
	Status        string   `json:"status"`             // done, or done with warnings
	Warnings      []string `json:"warnings,omitempty"` // what is to be read beside the claim
	Fallback      string   `json:"fallback,omitempty"` // what was tried or skipped before, and why

	Started      string `json:"started"` // RFC 3339, by the agent's clock, which the daemon set
	Finished     string `json:"finished"`
	Seconds      uint64 `json:"seconds"`
	ErasedBytes  uint64 `json:"erased_bytes"`
	Verification string `json:"verification"` // how, in a sentence
	ReadBytes    uint64 `json:"read_bytes"`   // read back
	Errors       uint64 `json:"errors"`       // of reading back; a certificate has none
	Settled      bool   `json:"settled,omitempty"`

	Job        string   `json:"job"`
	People     []Person `json:"people"`
	Place      string   `json:"place,omitempty"`
	Tool       string   `json:"tool"`        // ingot and its version
	AgentBuild string   `json:"agent_build"` // that reported
	AgentKey   string   `json:"agent_key"`   // of that start of the laptop
	BootChain  string   `json:"boot_chain"`  // how it was started
	SecureBoot bool     `json:"secure_boot"` // as the laptop told
	BootBundle string   `json:"boot_bundle,omitempty"`
	Assurance  string   `json:"assurance"` // what this evidence cannot say, in a sentence

	Report json.RawMessage `json:"report"` // all that the agent reported: commands, raw status, samples
}

// Destroyed says how a drive came to its end that could not be sanitised.
type Destroyed struct {
	Method      string    `json:"method"` // shredded, drilled, crushed, handed to a vendor, removed, lost, ...
	Why         string    `json:"why"`    // why it was not wiped
	Place       string    `json:"place"`
	Time        time.Time `json:"time"`
	People      []Person  `json:"people"`                 // two
	Reference   string    `json:"reference,omitempty"`    // the vendor's; or
	PhotoSHA256 string    `json:"photo_sha256,omitempty"` // of a photo that is kept elsewhere
}

// Signature is who signed.
type Signature struct {
	Algorithm string `json:"algorithm"` // ed25519
	Key       string `json:"key"`       // the public key, in hex
	Value     string `json:"value"`     // in hex
}

// Signed is a record as it is kept and handed out.
type Signed struct {
	Record    json.RawMessage `json:"record"`
	Signature Signature       `json:"signature"`
}

// idOf names a record.
func idOf(k Kind, number uint64) string {
	if k == Wipe {
		return fmt.Sprintf("W-%06d", number)
	}
	return fmt.Sprintf("D-%06d", number)
}
