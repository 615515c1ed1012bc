package store

import (
	"encoding/json"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
)

// WipeOrder asks for the drives of a device that came back to be wiped.
type WipeOrder struct {
	Device  string            `json:"device"`            // id, Name or serial, as given
	Confirm string            `json:"confirm"`           // the device's serial, typed
	Place   string            `json:"place,omitempty"`   // where it is done, for the certificate
	Dispose bool              `json:"dispose,omitempty"` // it leaves the house when it is clean
	Then    *Order            `json:"then,omitempty"`    // or it gets an image at once
	Allow   bool              `json:"allow,omitempty"`   // drives of an unknown kind, and behind a bridge, too
	PSIDs   map[string]string `json:"psids,omitempty"`   // of locked drives: serial -> the PSID of the label
}

// Goal is where the laptop goes when every drive of it is clean.
func (o WipeOrder) Goal() string {
	switch {
	case o.Dispose:
		return string(Disposed)
	case o.Then != nil && o.Then.Role != "":
		return "it gets the image of the role " + o.Then.Role
	case o.Then != nil:
		return "it gets " + o.Then.Image
	}
	return string(Ready)
}

// DriveEnd is where one drive of a wipe stands.
type DriveEnd string

// A drive waits until its journal is kept, is begun until its report came, and is then one of the ends of package wipe,
// or closed: done, with a Certificate.
const (
	DriveWaits     DriveEnd = "waiting"
	DriveBegun     DriveEnd = "begun"
	DriveClosed    DriveEnd = "closed"
	DriveRefused   DriveEnd = "refused"
	DriveFailed    DriveEnd = "failed"
	DriveUnsettled DriveEnd = "indeterminate"
)

// Word is the end in people's words. Only what has its Certificate is wiped.
func (e DriveEnd) Word() string {
	switch e {
	case DriveWaits:
		return "to be wiped"
	case DriveBegun:
		return "being wiped"
	case DriveClosed:
		return "wiped"
	case DriveRefused:
		return "not begun"
	case DriveFailed:
		return "failed: not wiped"
	case DriveUnsettled:
		return "unproven: nobody knows how it ended"
	}
	return string(e)
}

// WipeDrive is one drive of a wipe.
type WipeDrive struct {
	Key         string          `json:"key"`
	Target      job.Target      `json:"target"`
	End         DriveEnd        `json:"end"`
	Journal     json.RawMessage `json:"journal,omitempty"`  // of package wipe; gone when the drive is closed
	Password    json.RawMessage `json:"password,omitempty"` // that its ATA Security Erase was given; likewise
	Since       time.Time       `json:"since"`              // when its laptop was let loose on it: no report is older
	Begun       time.Time       `json:"begun"`              // when its journal was kept
	Ended       time.Time       `json:"ended"`
	Certificate string          `json:"certificate,omitempty"` // id
	Heard       int             `json:"heard,omitempty"`       // words of its agent about it that changed something
	Fault       *job.Fault      `json:"fault,omitempty"`
}

// WipeWork is what a Job of a wipe knows besides.
type WipeWork struct {
	Order  WipeOrder   `json:"order"`
	Policy wipe.Policy `json:"policy"` // of the site when it was ordered
	Drives []WipeDrive `json:"drives"`
	Right  Right       `json:"right"` // of whoever ordered it, at that moment

	Second      string    `json:"second,omitempty"` // who agreed, where the site wants a second person
	SecondTime  time.Time `json:"second_time"`
	NeedsSecond bool      `json:"needs_second,omitempty"`

	Settling  bool       `json:"settling,omitempty"`   // the laptop started anew after it was begun: nothing new is begun
	ThenJob   job.ID     `json:"then_job,omitempty"`   // the deploy that followed
	ThenFault *job.Fault `json:"then_fault,omitempty"` // or why none did
}

// AllClosed reports whether every drive of the job has its Certificate.
func (w WipeWork) AllClosed() bool {
	for _, d := range w.Drives {
		if d.End != DriveClosed {
			return false
		}
	}
	return len(w.Drives) > 0
}

// WipeWord is what a person types before what is on a device is destroyed for good: its serial, or its id where no serial
// leads to it alone.
func (d Device) WipeWord() string {
	if s := strings.TrimSpace(d.Serial); s != "" && (d.SerialKey != "" || d.Sticker != "") {
		return s
	}
	return d.ID
}

// Destruction asks for the end of a drive to be recorded that was not, or could not be, wiped.
type Destruction struct {
	Device      string    `json:"device"`          // in which it was
	Drive       string    `json:"drive"`           // its serial, scanned
	Model       string    `json:"model,omitempty"` // of a drive that no laptop told of
	Confirm     string    `json:"confirm"`         // the drive's serial, typed once more
	Method      string    `json:"method"`          // shredded, drilled, crushed, degaussed, handed over, lost
	Why         string    `json:"why"`
	Place       string    `json:"place"`
	Time        time.Time `json:"time"`
	By          string    `json:"by"`      // who did it
	Witness     string    `json:"witness"` // who saw it
	Reference   string    `json:"reference,omitempty"`
	PhotoSHA256 string    `json:"photo_sha256,omitempty"`
	Dispose     bool      `json:"dispose,omitempty"` // the device leaves the house, when this was its last drive
}

// Disposal asks for a cleared device to leave the house.
type Disposal struct {
	Confirm string `json:"confirm"` // its serial, typed
	Note    string `json:"note,omitempty"`
}

// EvidenceView is one record for a list or a page.
type EvidenceView struct {
	Evidence
	Where string `json:"where,omitempty"` // the device in which the drive is now, when it is another
}

const keyWipePolicy = "wipe-policy"

// KeptPolicy is the site's policy, with who decided it.
type KeptPolicy struct {
	wipe.Policy
	By      string    `json:"by,omitempty"` // empty while it is the one of package wipe, which nobody decided
	Changed time.Time `json:"changed,omitzero"`
}

// Decided says who decided it, and when.
func (p KeptPolicy) Decided() string {
	if p.By == "" {
		return "the one that Ingot comes with"
	}
	return "decided by " + p.By + " on " + p.Changed.Local().Format("2006-01-02 15:04")
}

// WipePolicy reads the site's policy; the default of package wipe where nobody has set one.
func (tx *Tx) WipePolicy() (KeptPolicy, error) {
	p, err := setting[KeptPolicy](tx, keyWipePolicy)
	if err == nil && p.Name == "" {
		p.Policy = wipe.DefaultPolicy()
	}
	return p, err
}

// PutWipePolicy writes the policy, with the next number: what stands in a certificate leads to one policy only. Its own
// number is that of the policy which whoever decided has seen; another one by now is a refusal. 0 has seen none.
func (tx *Tx) PutWipePolicy(p wipe.Policy, by string) (KeptPolicy, error) {
	old, err := tx.WipePolicy()
	if err != nil {
		return old, err
	}
	if p.Version != 0 && p.Version != old.Version {
		return old, job.Faultf(job.CodeStale, "The policy is %s, version %d, %s.", old.Name, old.Version, old.Decided())
	}
	p.Version = old.Version + 1
	if err := p.Validate(); err != nil {
		return old, job.Faultf(job.CodeBadRequest, "%s.", capital(job.Reason(err)))
	}
	out := KeptPolicy{Policy: p, By: by, Changed: tx.Now()}
	return out, put(tx, bSettings, []byte(keyWipePolicy), out)
}

// DriveView is a drive of a device, for people.
type DriveView struct {
	Drive
	Here    bool       `json:"here"`    // it is in the device that was asked about; else it was
	Present bool       `json:"present"` // the device told of it when it was last seen
	Records []Evidence `json:"records"` // about it, oldest first, wherever it was; without the signed bytes
}

// Standing says where the drive stands.
func (v DriveView) Standing() string {
	switch {
	case v.Destroyed:
		return "destroyed"
	case !v.Here:
		return "in " + v.Homes[len(v.Homes)-1].Label
	case v.Owes() && !v.Present:
		return "absent, not accounted for"
	case v.Owes():
		return "to be wiped"
	case v.Closed != 0:
		return "wiped"
	}
	return "in it"
}
