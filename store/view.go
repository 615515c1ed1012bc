package store

import (
	"os"
	"slices"
	"time"

	"ingot/imaging/job"
	"ingot/store/sheet"
)

// DeviceView is a Device with what belongs to it, read in one transaction for a page or the CLI.
type DeviceView struct {
	Device
	Code      string      `json:"code,omitempty"` // shown by the waiting laptop
	CodeUntil time.Time   `json:"code_until"`
	Live      bool        `json:"live"` // its agent was heard of in the last minute
	LiveSince time.Time   `json:"live_since"`
	Job       *JobView    `json:"job,omitempty"` // unfinished
	Holds     *Deployment `json:"holds,omitempty"`
	Deploys   int         `json:"deploys"`          // how often it received a version
	InUse     bool        `json:"in_use,omitempty"` // somebody may work with it: deployed, or failed so late that its system may start
	Claims    []Claim     `json:"claims,omitempty"` // facts of it that stand with other records; told of one device, not in a list
	Rivals    []Device    `json:"rivals,omitempty"` // those records
	Start     *BootLog    `json:"start,omitempty"`  // its last start, when one device is asked for
}

// Claim is a fact that a laptop tells and that stands with another record.
type Claim struct {
	Fact
	Device string `json:"device"`
	Label  string `json:"label"`
}

// Settlement is a person's word about who a laptop is.
type Settlement struct {
	As   string `json:"as"`             // same, two or moved
	With string `json:"with,omitempty"` // the record that it is; id, Name or serial
}

// The three ways to settle: it is the laptop of the other record; it is a laptop of its own; it is the laptop of the
// other record, or of its own, and a board or a drive came into it from a third.
const (
	AsSame  = "same"
	AsTwo   = "two"
	AsMoved = "moved"
)

// Correction changes what persons keep on a device. Nil leaves an entry as it is.
type Correction struct {
	Serial *string `json:"serial,omitempty"`
	Asset  *string `json:"asset,omitempty"`
	Owner  *string `json:"owner,omitempty"`
	Note   *string `json:"note,omitempty"`
	Reason string  `json:"reason,omitempty"` // needed where an entry is replaced
}

// List is a supplier's list of laptops: the bytes of a CSV file.
type List struct {
	CSV []byte `json:"csv"`
}

// Listed is the outcome of importing a supplier's list. With Bad lines nothing was imported.
type Listed struct {
	Added   int       `json:"added"`    // devices that were not known
	Filled  int       `json:"filled"`   // known devices that got an entry which they lacked
	Known   int       `json:"known"`    // lines that say nothing new
	Bad     []BadLine `json:"bad"`      // at most MaxBadLines, in the order of the file
	MoreBad int       `json:"more_bad"` // bad lines beyond those
}

// BadLine is one line of a list that cannot be imported.
type BadLine = sheet.BadLine

// MaxBadLines bounds the bad lines that are told.
const MaxBadLines = 50

// RefusedList is the outcome of a list of which nothing was imported.
func RefusedList(bad []BadLine) Listed {
	slices.SortStableFunc(bad, func(a, b BadLine) int { return a.Line - b.Line })
	more := max(0, len(bad)-MaxBadLines)
	return Listed{Bad: bad[:len(bad)-more], MoreBad: more}
}

// JobView is a Job with what is known about its run at this moment.
type JobView struct {
	Job
	DeviceLabel string        `json:"device_label"`
	Progress    *job.Progress `json:"progress,omitempty"` // of the present binding; not durable
	Heard       time.Time     `json:"heard"`              // the last request of its agent
}

// Import asks for a disk file to become a Version.
type Import struct {
	File  string `json:"file"` // absolute path on the server
	Image string `json:"image"`
	Label string `json:"label"`
	Note  string `json:"note"`
	Root  int    `json:"root,omitempty"` // partition of the root file system; 0 lets Ingot find it
	Grow  int    `json:"grow,omitempty"` // partition that takes the room of a larger drive; 0 lets Ingot find it, -1 is none

	MemoryBytes uint64 `json:"memory_bytes,omitempty"` // installed memory that the image needs; 0 says nothing
	Release     bool   `json:"release,omitempty"`      // release it in the same act, when nothing stands against it

	Opened *os.File `json:"-"` // File as the asker opened it, with his rights; nil lets Ingot open it. It is closed
}

// Export asks for a Version to become a raw disk file.
type Export struct {
	Image string `json:"image"` // NAME or NAME@VERSION
	File  string `json:"file"`  // absolute path on the server; must not exist

	Opened *os.File `json:"-"` // an empty file that the asker made and will name File; nil lets Ingot make it. It is closed
}

// Work tells how far a long act on images is.
type Work struct {
	Phase       string `json:"phase"`
	DoneBytes   uint64 `json:"done_bytes"`
	TotalBytes  uint64 `json:"total_bytes"`
	BytesPerSec uint64 `json:"bytes_per_sec"`
	SecondsLeft int    `json:"seconds_left"` // -1 when unknown
}

// Imported is the outcome of an Import.
type Imported struct {
	Version Version `json:"version"`
	Known   bool    `json:"known"` // the image held exactly this already; nothing was added

	Unreleased *job.Fault `json:"unreleased,omitempty"` // why it stayed a draft although its release was wished
}

// Exported is the outcome of an Export.
type Exported struct {
	Version   Version `json:"version"`
	DataBytes uint64  `json:"data_bytes"` // written and proven by digest
	ZeroBytes uint64  `json:"zero_bytes"` // read back as zeros
	FreeBytes uint64  `json:"free_bytes"` // not part of the image; written as zeros
}

// Damage is one thing wrong in the image store.
type Damage struct {
	What     string   `json:"what"`              // one sentence: pack, offset, digest
	Versions []string `json:"versions"`          // NAME@NUMBER that it hits
	Devices  []string `json:"devices,omitempty"` // that hold one of these versions now: Name, or serial
}

// Checked is the outcome of a check of the image store.
type Checked struct {
	Versions  int      `json:"versions"`
	Records   uint64   `json:"records"`
	Packs     int      `json:"packs"`
	PacksRead int      `json:"packs_read"`       // every byte of them
	Healed    uint64   `json:"healed,omitempty"` // chunks that another server gave
	Chunks    uint64   `json:"chunks"`
	Bytes     uint64   `json:"bytes"` // read and compared
	Damage    []Damage `json:"damage"`
	More      uint64   `json:"more,omitempty"` // damaged things beyond those listed

	Unhealed *job.Fault `json:"unhealed,omitempty"` // why nothing came from another server, although that was wished
}

// BundleUse says what still refers to a boot bundle: unfinished jobs, and starts so young that their laptop may still
// be loading.
type BundleUse struct {
	Bundle string   `json:"bundle"`
	Jobs   []job.ID `json:"jobs,omitempty"`
	Starts int      `json:"starts,omitempty"`
}

// DeviceHistory is what was ever done with one device, the newest first.
type DeviceHistory struct {
	Jobs        []JobView    `json:"jobs"`
	Deployments []Deployment `json:"deployments"`
	Events      []Event      `json:"events"` // at most MaxHistoryEvents
}

// MaxHistoryEvents bounds the audit events of one device that are shown.
const MaxHistoryEvents = 200
