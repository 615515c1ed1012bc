package store

// DeviceState is where a Device stands in its life.
type DeviceState string

// The states of DESIGN section 1.
const (
	New         DeviceState = "new"
	Ready       DeviceState = "ready"
	Deploying   DeviceState = "deploying"
	Deployed    DeviceState = "deployed"
	Failed      DeviceState = "failed"
	Returned    DeviceState = "returned"
	Wiping      DeviceState = "wiping"
	Disposed    DeviceState = "disposed"
	Lost        DeviceState = "lost"
	Quarantined DeviceState = "quarantined"
)

// DeviceStates lists every state once.
var DeviceStates = []DeviceState{New, Ready, Deploying, Deployed, Failed, Returned, Wiping, Disposed, Lost, Quarantined}

// follows is the one table of device states. Lost and Quarantined may follow every state and stand in
// MayBecome. A quarantined device goes back to a state in which nobody writes to it.
var follows = map[DeviceState][]DeviceState{
	New:         {Ready},
	Ready:       {Deploying},
	Deploying:   {Deployed, Failed},
	Deployed:    {Deploying, Returned},
	Failed:      {Deploying, Returned},
	Returned:    {Wiping, Deploying},
	Wiping:      {Ready, Disposed, Returned},
	Disposed:    {Returned},
	Lost:        {Returned},
	Quarantined: {New, Ready, Deployed, Failed, Returned},
}

// MayBecome reports whether a device in state from may enter state to.
func MayBecome(from, to DeviceState) bool {
	row, known := follows[from]
	if !known || from == to {
		return false
	}
	if to == Lost || to == Quarantined {
		return true
	}
	for _, s := range row {
		if s == to {
			return true
		}
	}
	return false
}
