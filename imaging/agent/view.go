package agent

import (
	"time"

	"ingot/imaging/job"
)

// Colour is the colour of the whole screen: the one thing that is read from across the room. Colours and words are those
// of the board: see job.Look.
type Colour = job.Colour

// Grey starts, Yellow wants a person, Blue works, Green is done, Red failed.
const (
	Grey   = job.Grey
	Yellow = job.Yellow
	Blue   = job.Blue
	Green  = job.Green
	Red    = job.Red
)

// What a person may do to the laptop just now.
const (
	KeepPlugged   = job.KeepPlugged
	NetworkFree   = job.NetworkFree
	UnplugAllowed = job.UnplugAllowed
)

// View is everything that the screen shows. It is a plain value: a Screen that is given the same View twice
// draws the same twice. Empty fields are not drawn.
type View struct {
	Word     string // the state in the people's words: waiting, starting, writing, checking, naming, done, failed
	Colour   Colour
	Name     string        // the Device's Name, in letters of at least 1/8 of the screen's height
	Code     string        // the code by which an operator adopts this laptop, as large as a Name
	Bar      float64       // 0 to 1; negative for no bar
	Rate     uint64        // bytes per second; 0 for not shown
	Left     time.Duration // negative for unknown
	SafeTo   string        // KeepPlugged, NetworkFree or UnplugAllowed
	Sentence string        // what is happening, or what went wrong
	Next     string        // the next step for a person
	Fault    job.Code      // with a failure: the code to say over the phone
	QR       string        // with a failure: the URL of the device's page
	Lines    []string      // small print: drives, serial, image
}
