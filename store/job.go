package store

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"ingot/imaging/job"
)

// Order is an operator's request for one device, kept with the Job that it became.
type Order struct {
	Device        string    `json:"device"`          // id, Name or serial, as given
	Image         string    `json:"image,omitempty"` // NAME or NAME@VERSION; or
	Role          string    `json:"role,omitempty"`
	Name          string    `json:"name,omitempty"`  // the Name to give; empty keeps the device's or uses the role's pattern
	Drive         string    `json:"drive,omitempty"` // serial of the target; empty where there is no choice
	NoPersonalise bool      `json:"no_personalise,omitempty"`
	DataSaved     bool      `json:"data_saved,omitempty"` // for a device that holds somebody's data
	Confirm       string    `json:"confirm,omitempty"`    // its Name or serial, typed
	After         job.After `json:"after,omitempty"`

	DespiteHealth bool `json:"despite_health,omitempty"` // the drive reports that it is failing, and is to be used

	Trial       bool   `json:"trial,omitempty"`        // a draft is wanted, to try it
	StaleReason string `json:"stale_reason,omitempty"` // why a version is used that is older than its cadence allows
}

// Capture is an operator's request to make a Version of a device's drive.
type Capture struct {
	Device  string `json:"device"`          // id, Name or serial, as given
	Image   string `json:"image,omitempty"` // name of the image; a backup's is made of the device's
	Label   string `json:"label,omitempty"`
	Note    string `json:"note,omitempty"`
	Drive   string `json:"drive,omitempty"`   // serial of the drive; empty where there is no choice
	Release bool   `json:"release,omitempty"` // release it at once, when nothing in its checklist is red
	Root    int    `json:"root,omitempty"`    // as of an Import
	Grow    int    `json:"grow,omitempty"`

	Backup bool      `json:"backup,omitempty"` // of this device, for this device only
	Days   int       `json:"days,omitempty"`   // for which a backup is kept; 0 means BackupDays
	After  job.After `json:"after,omitempty"`  // what the laptop does then; empty means power off
}

// For how many days a backup is kept when nobody says, and at most.
const (
	BackupDays    = 90
	MaxBackupDays = 3650
)

// Rename asks for another Name for a deployed device: one that is given, or one that a role's pattern makes.
type Rename struct {
	Device string `json:"device"` // id, Name or serial
	Name   string `json:"name,omitempty"`
	Role   string `json:"role,omitempty"`
}

// Adoption is an operator's approval of a laptop by the code that its screen shows.
type Adoption struct {
	Code    string `json:"code"`
	Sticker string `json:"sticker,omitempty"` // the serial on the laptop's sticker, scanned; needed when its firmware tells none
	Name    string `json:"name,omitempty"`
	Role    string `json:"role,omitempty"`
	Asset   string `json:"asset,omitempty"`
}

// Step is one durable state of a job.
type Step struct {
	State job.State `json:"state"`
	Time  time.Time `json:"time"`
}

// Job is what one agent is told to do, with everything that is known about how far it came.
type Job struct {
	ID           job.ID       `json:"id"`
	Kind         job.Kind     `json:"kind"`
	Device       string       `json:"device"`
	Operator     string       `json:"operator"`
	Order        Order        `json:"order"`
	Created      time.Time    `json:"created"`
	State        job.State    `json:"state"`
	Reached      job.State    `json:"reached"`  // the last state but claimed, over all bindings: what the disk may hold
	Steps        []Step       `json:"steps"`    // at most MaxSteps, oldest first
	Contact      time.Time    `json:"contact"`  // the last durable sign of life
	Serial       string       `json:"serial"`   // the device's, for people
	Told         string       `json:"told"`     // the serial that the laptop's firmware tells: what the job is bound to
	UUIDKey      string       `json:"uuid_key"` // likewise; empty when junk
	BuiltIn      []string     `json:"built_in"` // addresses of its built-in adapters, as far as known
	Target       job.Target   `json:"target"`
	Image        job.ImageRef `json:"image"`
	DiskSize     uint64       `json:"disk_size"`
	DataExtents  uint64       `json:"data_extents"`
	ZeroExtents  uint64       `json:"zero_extents"`
	ProvenBytes  uint64       `json:"proven_bytes"` // data and zero bytes of the image: what a proof has read
	Table        string       `json:"table"`        // the image's: gpt, mbr or none
	DeviceName   string       `json:"device_name"`
	Former       string       `json:"former,omitempty"`     // rename: the Name before
	MachineID    string       `json:"machine_id,omitempty"` // rename: of the system that is to be found, as it called home
	Personalise  bool         `json:"personalise"`
	Role         string       `json:"role,omitempty"`
	RoleRevision int          `json:"role_revision,omitempty"`
	RootPart     int          `json:"root_part"`
	Grow         job.Grow     `json:"grow"`
	After        job.After    `json:"after"`
	AgentKey     job.KeyID    `json:"agent_key,omitempty"` // bound to it since Bound
	Nonce        string       `json:"nonce,omitempty"`
	Bound        time.Time    `json:"bound"`
	Bindings     int          `json:"bindings"`
	Bundle       string       `json:"bundle,omitempty"` // the boot bundle that its laptop started with
	Sequence     uint64       `json:"sequence"`         // the last StateEvent of this binding
	CancelBy     string       `json:"cancel_by,omitempty"`
	Deployment   string       `json:"deployment"`            // id of the Deployment to be
	SecretHash   string       `json:"secret_hash,omitempty"` // of the call-home secret
	Observed     *Observed    `json:"observed,omitempty"`    // a call home that came before the Result
	Result       *job.Result  `json:"result,omitempty"`
	Fault        *job.Fault   `json:"fault,omitempty"`
	Ended        time.Time    `json:"ended"`

	// Skew is how far the server's clock was set since the order was given: its age counts by time that passed.
	Skew time.Duration `json:"skew,omitempty"`

	Needs job.Needs     `json:"needs"`
	Rule  job.DriveRule `json:"rule"`            // how Target was chosen
	Found *job.Found    `json:"found,omitempty"` // by the laptop, before its first write or instead of it

	Trial bool   `json:"trial,omitempty"` // the Version was a draft when it was ordered
	Stale string `json:"stale,omitempty"` // how the Version is older than its cadence allows, and why it is used

	Capture *Capture `json:"capture,omitempty"` // with a capture: what was ordered; Image is the Version once it is done
	Known   bool     `json:"known,omitempty"`   // with a capture: the image held exactly this before

	Wipe *WipeWork `json:"wipe,omitempty"` // with a wipe; Target is the first of its drives

	Unreleased *job.Fault `json:"unreleased,omitempty"` // with a capture: why it stayed a draft although its release was wished
}

// What says in a few words what the job does.
func (j Job) What() string {
	if j.Kind == job.Rename {
		return fmt.Sprintf("rename %s to %s", j.Former, j.DeviceName)
	}
	if j.Kind == job.Wipe && j.Wipe != nil {
		return fmt.Sprintf("wipe of %s of %s", Drives(len(j.Wipe.Drives)), j.Serial)
	}
	if j.Trial {
		return fmt.Sprintf("%s on trial as %s", j.Image, j.DeviceName)
	}
	if j.Kind == job.Capture {
		return fmt.Sprintf("capture of drive %s into %s", j.Target.Serial, j.ImageWord())
	}
	return fmt.Sprintf("%s as %s", j.Image, j.DeviceName)
}

// Drives counts drives in words.
func Drives(n int) string {
	if n == 1 {
		return "1 drive"
	}
	return fmt.Sprintf("%d drives", n)
}

// ImageWord is the job's image as people write it. A capture that is not done has no version's number yet.
func (j Job) ImageWord() string {
	if j.Image.Number == 0 {
		return j.Image.Name
	}
	return j.Image.String()
}

// MaxSteps bounds the history of a job whose laptop restarts again and again.
const MaxSteps = 100

// Enter puts the job into a state at a time.
func (j *Job) Enter(s job.State, now time.Time) {
	j.State, j.Contact = s, now
	if s != job.Claimed && !s.Final() {
		j.Reached = s
	}
	if len(j.Steps) < MaxSteps {
		j.Steps = append(j.Steps, Step{s, now})
	}
	if s.Final() {
		j.Ended = now
	}
}

// PutJob writes a job and keeps the index of unfinished jobs: a device has at most one.
func (tx *Tx) PutJob(j Job) error {
	active, err := get[job.ID](tx, bActive, []byte(j.Device))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	switch {
	case j.State.Final() && active == j.ID:
		if err := tx.remove(bActive, []byte(j.Device)); err != nil {
			return err
		}
	case j.State.Final():
	case active != "" && active != j.ID:
		return job.Faultf(job.CodeBusy, "Job %s is not finished.", active)
	default:
		if err := put(tx, bActive, []byte(j.Device), j.ID); err != nil {
			return err
		}
	}
	return put(tx, bJobs, []byte(j.ID), j)
}

// Job reads one job.
func (tx *Tx) Job(id job.ID) (Job, error) {
	j, err := get[Job](tx, bJobs, []byte(id))
	if errors.Is(err, ErrNotFound) {
		return j, job.Faultf(job.CodeNotFound, "No job %.40q.", string(id))
	}
	return j, err
}

// Jobs lists every job.
func (tx *Tx) Jobs() ([]Job, error) { return all[Job](tx, bJobs) }

// EachJob calls f with every job, in no order that means anything.
func (tx *Tx) EachJob(f func(Job) error) error {
	return each(tx, bJobs, nil, func(_ []byte, j Job) error { return f(j) })
}

// JobsOf lists the jobs of a device. Those of others are passed over unread.
func (tx *Tx) JobsOf(device string) (out []Job, err error) {
	of, err := field("device", device)
	if err != nil {
		return nil, err
	}
	c := tx.bucket(bJobs).Cursor()
	for k, b := c.First(); k != nil; k, b = c.Next() {
		if !bytes.Contains(b, of) {
			continue
		}
		j, err := decode[Job](bJobs, k, b)
		if err != nil {
			return nil, err
		}
		if j.Device == device {
			out = append(out, j)
		}
	}
	return out, nil
}

// ActiveJob gives the device's unfinished job; ok is false when it has none.
func (tx *Tx) ActiveJob(device string) (j Job, ok bool, err error) {
	id, err := get[job.ID](tx, bActive, []byte(device))
	if errors.Is(err, ErrNotFound) {
		return Job{}, false, nil
	}
	if err != nil {
		return Job{}, false, err
	}
	j, err = get[Job](tx, bJobs, []byte(id))
	return j, err == nil, err
}

// ActiveJobs lists the unfinished jobs.
func (tx *Tx) ActiveJobs() ([]Job, error) {
	var out []Job
	err := each(tx, bActive, nil, func(_ []byte, id job.ID) error {
		j, err := tx.Job(id)
		out = append(out, j)
		return err
	})
	return out, err
}
