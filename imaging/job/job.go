package job

import (
	"fmt"
	"time"

	"ingot/imaging"
)

// Version is the version of this protocol. Hello carries it and a daemon refuses any other.
const Version = 5

// MaxBody is the largest JSON body, in bytes, that either side reads.
const MaxBody = 1 << 20

// ID names one job. It is a random text of 16 lower-case letters and digits made by the daemon.
type ID string

// KeyID is "sha256:" and the hex SHA-256 of a SubjectPublicKeyInfo: a pin, or an agent's bound key.
type KeyID string

// Kind says what one agent is told to do.
type Kind string

// The kinds of DESIGN.md section 1. Verify alone is not carried out yet; an agent refuses it.
const (
	Deploy    Kind = "deploy"
	Wipe      Kind = "wipe"
	Capture   Kind = "capture"
	Verify    Kind = "verify"
	Rename    Kind = "rename"
	Inventory Kind = "inventory"
)

// State is one step of a job; each is durable at the daemon before the agent acts on it.
type State string

// The states of a deploy, in order, those of a capture alone, that of a wipe alone, then the three other ends of every kind. What each kind
// goes through stands in states.go.
const (
	Approved      State = "approved"
	Claimed       State = "claimed"
	Invalidated   State = "invalidated"
	Writing       State = "writing"
	Flushed       State = "flushed"
	Verified      State = "verified"
	Personalised  State = "personalised"
	Committing    State = "committing"
	Committed     State = "committed"
	Reading       State = "reading"
	Uploaded      State = "uploaded"
	WipeBegun     State = "wiping"
	Done          State = "done"
	Failed        State = "failed"
	Cancelled     State = "cancelled"
	Indeterminate State = "indeterminate"
)

// Target names the one drive that a job may write, or read as a whole, by facts that a swapped drive cannot share.
type Target struct {
	Serial     string `json:"serial"`          // as the drive tells it, trimmed; never empty
	WWN        string `json:"wwn,omitempty"`   // where the drive has one
	Model      string `json:"model,omitempty"` // shown to people, not matched
	SizeBytes  uint64 `json:"size_bytes"`      // matched exactly
	SectorSize int    `json:"sector_size"`     // logical, 512 or 4096; matched exactly
}

// ImageRef is the Version that a deploy puts on the drive. The digest is what counts; the rest is for people.
type ImageRef struct {
	Name     string         `json:"name"`
	Number   int            `json:"number"`
	Manifest imaging.Digest `json:"manifest"`
}

// String is the image as people write it: NAME@NUMBER.
func (r ImageRef) String() string { return fmt.Sprintf("%s@%d", r.Name, r.Number) }

// After says what the laptop does when the job has ended well.
type After string

// Reset starts the new OS; PowerOff is for laptops that go back on the shelf.
const (
	Reset    After = "reset"
	PowerOff After = "poweroff"
)

// Grow says which partition takes the room of a larger drive.
type Grow struct {
	Partition int `json:"partition"`           // GPT entry number from 1; 0 leaves the partitions as they are
	SwapLast  int `json:"swap_last,omitempty"` // entry number of a swap partition behind it, recreated at the end; 0 for none
}

// Job is what one agent is told to do. It travels as the payload of a sign.Envelope and is obeyed only when
// the signature, the key, the time and the target drive all hold.
type Job struct {
	Version     int       `json:"version"` // Version
	ID          ID        `json:"id"`
	Kind        Kind      `json:"kind"`
	AgentKey    KeyID     `json:"agent_key"` // obeyed only by the holder of this key
	Nonce       string    `json:"nonce"`     // the Hello's nonce: an old Job cannot be replayed to a new boot
	Issued      time.Time `json:"issued"`
	ValidFor    int       `json:"valid_for"` // seconds from receipt within which the agent must start; the agent's clock is not trusted
	Device      string    `json:"device"`    // the Device's id, shown in logs
	Serial      string    `json:"serial"`    // the Device's serial, compared with SMBIOS again
	Target      Target    `json:"target"`
	Image       ImageRef  `json:"image"`
	DiskSize    uint64    `json:"disk_size"`   // bytes of the imaged disk
	DeviceName  string    `json:"device_name"` // the Name to write
	Personalise bool      `json:"personalise"` // false: name reserved, not written
	Grow        Grow      `json:"grow"`
	RootPart    int       `json:"root_part"` // GPT entry number of the root file system to personalise, from 1
	After       After     `json:"after"`
	DeviceURL   string    `json:"device_url"`      // what the QR code of a failure shows
	Known       *Known    `json:"known,omitempty"` // rename: what must be found on the drive before anything is written
	Resume      State     `json:"resume"`          // the last acknowledged state, when the job is bound anew after a restart; Approved otherwise

	Needs         Needs     `json:"needs"`                    // held against the laptop once more before the first write
	Rule          DriveRule `json:"rule"`                     // how Target was chosen: asked again of the drives that are there now
	DespiteHealth bool      `json:"despite_health,omitempty"` // the operator wants the job done on a drive that reports failing
	Countdown     int       `json:"countdown"`                // seconds on the screen before the first write, 1 to MaxCountdown

	Capture *Capturing `json:"capture,omitempty"` // with a capture: how the drive becomes an image
	Wipe    *Wiping    `json:"wipe,omitempty"`    // with a wipe; Target is the first of its drives
}

// Known is the system that Ingot put on a drive, as far as it is told apart from any other of the same image on the
// same drive. The partitions and the root file system are compared with the image's, laid onto this drive.
type Known struct {
	Deployment string `json:"deployment"`           // its id; the letter of a first boot that is still to come names it
	MachineID  string `json:"machine_id,omitempty"` // SHA-256 hex of /etc/machine-id as it called home; empty when it never did
	Name       string `json:"name"`                 // under which it was put there
}

// Capturing says what of a captured drive a person has decided. The image's name is in Image, without number and digest.
type Capturing struct {
	RootPart int `json:"root_part,omitempty"` // partition of the root file system; 0 lets the agent find it
	GrowPart int `json:"grow_part,omitempty"` // partition that takes the room of a larger drive; 0 lets the agent find it, -1 is none
}

// StateEvent reports that the agent is about to act on a state. Seq counts from 1 within one binding; a
// repeated Seq with the same state is acknowledged again and has no second effect.
type StateEvent struct {
	Seq   uint64 `json:"seq"`
	State State  `json:"state"`
	Fault *Fault `json:"fault,omitempty"` // with failed, cancelled and indeterminate
	Found *Found `json:"found,omitempty"` // with invalidated and reading: what the laptop found before it writes, or reads
}

// Progress is what the board and the CLI show while a job runs. It is not durable.
type Progress struct {
	Phase        string `json:"phase"`      // the people's word: writing, checking, naming...
	DoneBytes    uint64 `json:"done_bytes"` // image bytes proven or written in this phase
	TotalBytes   uint64 `json:"total_bytes"`
	FetchedBytes uint64 `json:"fetched_bytes"` // stored bytes that travelled in this binding
	BytesPerSec  uint64 `json:"bytes_per_sec"`
	SecondsLeft  int    `json:"seconds_left"` // -1 when unknown

	Say string `json:"say,omitempty"` // what it waits for, one sentence

	Drives []DriveProgress `json:"drives,omitempty"` // of a wipe, one each
}

// Ack is the daemon's answer once an event is durable.
type Ack struct {
	Seq    uint64 `json:"seq"`
	Cancel bool   `json:"cancel,omitempty"` // an operator wishes the job to stop
}

// Personal is what goes onto the verified disk only. It carries a secret and travels once, over TLS, to the
// bound key, never on a command line or over a plain protocol.
type Personal struct {
	DeviceName     string `json:"device_name"`
	Deployment     string `json:"deployment"`    // id of the Deployment to be
	CallHomeURL    string `json:"call_home_url"` // https://HOST:PORT
	CallHomePin    KeyID  `json:"call_home_pin"`
	CallHomeSecret string `json:"call_home_secret"` // valid once, 7 days
	InstanceID     string `json:"instance_id"`      // new for each deployment (cloud-init)
}

// CallHome is the first boot's report of the name that the OS itself uses. 204 answers a recorded one.
type CallHome struct {
	Deployment string `json:"deployment"`
	Secret     string `json:"secret"`
	Hostname   string `json:"hostname"`   // as the kernel tells it
	MachineID  string `json:"machine_id"` // SHA-256 hex of /etc/machine-id, not the id itself
	OS         string `json:"os"`         // PRETTY_NAME of os-release
}
