package store

import (
	"time"

	"ingot/imaging/job"
)

// Board is what the bench page shows, read in one transaction: a Tile for each laptop that is at work, that wants a
// person, or that was at work a moment ago.
type Board struct {
	Tiles  []Tile      `json:"tiles"` // those that want a person first; at most MaxTiles
	More   int         `json:"more,omitempty"`
	Counts BoardCounts `json:"counts"`
	Bench  Bench       `json:"bench"`
	Auto   AutoDeploy  `json:"auto"`
}

// MaxTiles bounds the tiles of a board.
const MaxTiles = 240

// BoardCounts counts the laptops of a board. Done counts what was finished within BoardSpan.
type BoardCounts struct {
	Done    int `json:"done"`
	Running int `json:"running"`
	Waiting int `json:"waiting"`
	Failed  int `json:"failed"`
	Away    int `json:"away"` // of Waiting: ordered, and not switched on yet
}

// How long a finished job is counted, and how long its tile stays.
const (
	BoardSpan = 12 * time.Hour
	BoardDone = 15 * time.Minute
)

// BoardAct is the one thing that a person does about a tile now.
type BoardAct string

// The acts of a board.
const (
	ActNone   BoardAct = ""
	ActAlarm  BoardAct = "alarm"  // a lost laptop has started here
	ActAgain  BoardAct = "again"  // it failed: read why, start it again
	ActHelp   BoardAct = "help"   // it waits at its place: charger, cable
	ActSettle BoardAct = "settle" // which laptop is this?
	ActAdopt  BoardAct = "adopt"  // it shows a code
	ActStart  BoardAct = "start"  // it is ready for its role
	ActOrder  BoardAct = "order"  // it is ready, and nobody said what for
	ActSwitch BoardAct = "switch" // it has an order and is not here
)

// Tile is one laptop on the board.
type Tile struct {
	Device   string `json:"device"`
	Revision uint64 `json:"revision"`
	Label    string `json:"label"`
	Serial   string `json:"serial"`
	Model    string `json:"model"`
	Role     string `json:"role,omitempty"`

	Word    string     `json:"word"`
	Colour  job.Colour `json:"colour"`
	SafeTo  string     `json:"safe_to,omitempty"` // empty when it is not known to be here
	Percent int        `json:"percent"`           // -1: no bar
	Rate    uint64     `json:"rate"`              // image bytes a second
	Left    int        `json:"left"`              // seconds, -1 when unknown
	Say     string     `json:"say,omitempty"`     // what it waits for, or what went wrong
	Next    string     `json:"next,omitempty"`    // what a person does now
	Fault   job.Code   `json:"fault,omitempty"`
	Code    string     `json:"code,omitempty"` // that its screen shows
	Act     BoardAct   `json:"act,omitempty"`
	Sticker bool       `json:"sticker,omitempty"` // its firmware tells no serial of its own: the sticker is scanned

	Job     job.ID    `json:"job,omitempty"`
	What    string    `json:"what,omitempty"` // NAME@NUMBER
	Here    bool      `json:"here"`           // its agent was heard of in the last minute
	Since   time.Time `json:"since"`          // of its state
	Fetched uint64    `json:"fetched"`        // stored bytes that travelled in this start
	Link    int       `json:"link"`           // Mbit/s of the adapter that it started from; 0 when unknown
}
