package job

import "encoding/json"

// Bounds of a wipe.
const (
	MaxWipeDrives  = 16
	MaxJournal     = 192 << 10 // bytes of one drive's journal
	MaxDriveReport = 192 << 10 // bytes of one drive's report
)

// Wiping says which drives a wipe is about, and how. The policy, a journal and a report are of
// package wipe: the protocol carries them whole, and whoever acts on them reads them with it.
type Wiping struct {
	Drives []WipeTarget    `json:"drives"`
	Policy json.RawMessage `json:"policy"`           // wipe.Policy of this site
	Settle bool            `json:"settle,omitempty"` // after a restart: nothing is begun; what was begun is settled by the drive's own log
	Then   bool            `json:"then,omitempty"`   // another order follows at once: ask for it instead of ending this start
}

// WipeTarget is one drive of a wipe.
type WipeTarget struct {
	Target
	Closed string `json:"closed,omitempty"` // id of the Certificate that it has from this job already: it is left alone
	Begun  bool   `json:"begun,omitempty"`  // in an earlier start: its journal is at the daemon
	PSID   string `json:"psid,omitempty"`   // of its label, scanned
	Allow  bool   `json:"allow,omitempty"`  // a person wants it wiped although it is of an unknown kind or behind a bridge
}

// DriveJournal is what must be known of a drive before it is begun, so that a later start can say how it ended. It is
// durable at the daemon before the agent sends the drive a command that destroys.
type DriveJournal struct {
	Drive    int             `json:"drive"`              // its place in Wiping.Drives
	Journal  json.RawMessage `json:"journal,omitempty"`  // wipe.Started
	Password json.RawMessage `json:"password,omitempty"` // wipe.Password, before the drive learns it
}

// DriveReport is how one drive's wipe ended.
type DriveReport struct {
	Drive  int             `json:"drive"`
	Report json.RawMessage `json:"report"` // wipe.Report
}

// DriveAck answers a DriveReport once it is durable. Only with a Certificate is the drive done, on any screen.
type DriveAck struct {
	Certificate string `json:"certificate,omitempty"` // its id
	Fault       *Fault `json:"fault,omitempty"`       // why there is none
}

// DriveProgress is how far one drive of a wipe is.
type DriveProgress struct {
	Serial      string `json:"serial"`
	Phase       string `json:"phase"` // the people's word: wiping, checking, done, failed
	DoneBytes   uint64 `json:"done_bytes"`
	TotalBytes  uint64 `json:"total_bytes"`
	SecondsLeft int    `json:"seconds_left"` // -1 when unknown
	Say         string `json:"say,omitempty"`
}
