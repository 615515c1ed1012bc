package job

// Colour is the colour of a whole screen or tile: the one thing that is read from across the room.
type Colour string

// Grey starts or waits for a start, Yellow wants a person, Blue works, Green is done, Red failed.
const (
	Grey   Colour = "grey"
	Yellow Colour = "yellow"
	Blue   Colour = "blue"
	Green  Colour = "green"
	Red    Colour = "red"
)

// What a person may do to the laptop just now.
const (
	KeepPlugged   = "Do not unplug."
	NetworkFree   = "Safe to unplug the network."
	UnplugAllowed = "Safe to unplug."
)

// The words of a laptop that has no job, or whose job stands in no course.
const (
	WordWaiting   = "waiting"
	WordStarting  = "starting"
	WordDone      = "done"
	WordFailed    = "failed"
	WordStopped   = "stopped"
	WordUnproven  = "unproven: start it again"
	WordUnsettled = "unproven: wipe it again" // a wipe: by itself the laptop is not let in again
	WordSecond    = "second person"           // whose word it waits for
	WordSilent    = "not heard"
	WordLost      = "lost"
	WordWhich     = "which laptop is this?"
	WordNothing   = "nothing to do"
	WordLooking   = "checking the laptop"
	wordFinishing = "finishing"
	wordNaming    = "naming"
	wordWriting   = "writing"
	wordReading   = "reading"
	wordChecking  = "checking"
	wordWiping    = "wiping"
)

// stateWords is the one table of words for a job on its way: the laptop's screen and the board read it, so that a person
// who looks from one to the other reads the same.
var stateWords = map[State]string{
	Approved: WordWaiting, Claimed: WordLooking, Invalidated: wordWriting, Writing: wordWriting, Flushed: wordChecking,
	Verified: wordNaming, Personalised: wordNaming, Committing: wordFinishing, Committed: wordFinishing,
	Reading: wordReading, Uploaded: wordFinishing, WipeBegun: wordWiping,
	Done: WordDone, Failed: WordFailed, Cancelled: WordStopped, Indeterminate: WordUnproven,
}

// Look is how a job stands, as people read it.
type Look struct {
	Word   string
	Colour Colour
	SafeTo string // KeepPlugged, NetworkFree or UnplugAllowed
}

// Look is how a job of this kind stands in a state. While a drive is read, pulling the cable would do no harm, and cost
// the time.
func (k Kind) Look(s State) Look {
	l := Look{Word: stateWords[s], Colour: Blue, SafeTo: KeepPlugged}
	switch s {
	case Approved:
		l.Colour, l.SafeTo = Grey, UnplugAllowed
	case Done:
		l.Colour, l.SafeTo = Green, NetworkFree
	case Failed, Indeterminate:
		l.Colour, l.SafeTo = Red, UnplugAllowed
		if k == Wipe && s == Indeterminate {
			l.Word = WordUnsettled
		}
	case Cancelled:
		l.Colour, l.SafeTo = Grey, UnplugAllowed
	case Claimed:
		l.SafeTo = UnplugAllowed
	}
	if !s.Final() && s != Approved && s != Reading && s != Uploaded && !k.Started(s) {
		l.SafeTo = UnplugAllowed
	}
	return l
}
