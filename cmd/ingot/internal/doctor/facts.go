package doctor

import (
	"net/netip"
	"os"
	"time"
)

// Facts is what was seen of a server. A field of type error says why its neighbours are not known.
type Facts struct {
	Config     Config
	Daemon     Daemon
	Interfaces []Interface
	Ports      []Port
	Firewall   Firewall
	Folder     Folder
	Disk       Disk
	Clock      Clock
	Bundle     Bundle
	Keys       []Key
	Pin        Pin
	Bench      Bench
	Images     Images
	Wired      string // the adapter that is likeliest the bench's; "" when there is none
}

// Config is the configuration file.
type Config struct {
	Path    string
	There   bool
	Invalid string // in words; "" when it is valid
	Mode    string // proxy or dhcp
}

// Daemon is what answers on the socket.
type Daemon struct {
	Answers    bool
	Denied     bool // the socket is there, and we may not use it
	Systemd    bool // systemd runs here
	Pid        int
	Since      time.Time
	Mode       string
	Interfaces []string
	Pin        string
}

// Interface is a configured one.
type Interface struct {
	Name     string
	There    bool
	Carrier  bool
	Net      netip.Prefix
	Server   netip.Addr // another DHCP server that answered there; invalid when none did
	ProbeErr error
}

// Port is one that the daemon needs.
type Port struct {
	Proto   string // udp or tcp
	Number  int
	What    string
	Holders []Holder
	Err     error
}

// Holder is a program that has a port. Pid 0 is one that we may not see.
type Holder struct {
	Pid  int
	Name string
}

// Firewall is what filters packets that come in. Rulesets of several programs hold at once.
type Firewall struct {
	Rulesets []Ruleset
	Err      error // why it could not be looked at
}

// Folder is the data folder.
type Folder struct {
	Path    string
	There   bool
	Mode    os.FileMode
	Owner   string
	Service string   // the user of the service; "" when there is none on this host
	Others  []string // what in it belongs to somebody else
	Err     error
}

// Disk is the room where the data folder lies.
type Disk struct {
	Free, Size uint64
	Err        error
}

// Clock is the server's time against what it has seen already.
type Clock struct {
	Now    time.Time
	Newest time.Time // the newest time in a file of ours
	What   string    // which file
	Synced bool      // the kernel says that something keeps it right
	Err    error     // of asking the kernel
}

// Bundle is the boot bundle.
type Bundle struct {
	There    bool
	Built    time.Time
	Problems []string
	Err      error
}

// Key is one private key.
type Key struct {
	Name  string
	There bool
	Mode  os.FileMode
	Err   error
}

// Pin is the agent listener's key as it stands in the file and as it is served.
type Pin struct {
	File, Served string // "" when not known
	Err          error  // of asking the listener
}

// Images is how the image store is kept, as the daemon tells it.
type Images struct {
	Known  bool
	Last   time.Time // when every pack had been read last; zero for never
	Done   int       // packs of the pass that runs
	Total  int
	Locked int // damaged places that are locked away
}

// Bench is the time window for unknown machines.
type Bench struct {
	Known     bool
	OpenUntil time.Time
}
