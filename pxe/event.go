package pxe

import (
	"net/netip"
	"time"
)

// Leg is one step of a start, as the boot log names it.
type Leg string

// The legs in the order in which a start passes them, then those that end one early.
const (
	LegDiscover     Leg = "discover"      // DHCPDISCOVER came
	LegOffer        Leg = "offer"         // we offered a boot file
	LegRequest      Leg = "request"       // DHCPREQUEST came
	LegAck          Leg = "ack"           // we acknowledged an address (full DHCP only)
	LegProxyRequest Leg = "proxy-request" // a request to port 4011, answered
	LegNBP          Leg = "nbp"           // the first loader was fetched: shim, undionly.kpxe, or the HTTP Boot image
	LegLoader       Leg = "loader"        // shim fetched GRUB
	LegConfig       Leg = "config"        // GRUB fetched /grub/grub.cfg
	LegScript       Leg = "script"        // the machine's own script: iPXE's, or GRUB's by MAC
	LegKernel       Leg = "kernel"        // vmlinuz was fetched
	LegInitramfs    Leg = "initramfs"     // initrd.img was fetched
	LegStick        Leg = "stick"         // an agent that a stick started asks whether it may (recorded by the daemon's side of the agent)
	LegHello        Leg = "hello"         // the agent said Hello (recorded by the daemon's side of the agent)

	LegRefuse      Leg = "refuse"      // told to start its own disk; Text says why
	LegIgnore      Leg = "ignore"      // not answered; Text says why
	LegUnsupported Leg = "unsupported" // an architecture that we cannot boot yet
	LegForeign     Leg = "foreign"     // another server answered this machine
	LegNak         Leg = "nak"         // we refused the address that it asked for
	LegDecline     Leg = "decline"     // the machine found its address in use
	LegFull        Leg = "full"        // no address left in the pool
	LegLoop        Leg = "loop"        // fetched its loader again and again without getting further
	LegRelay       Leg = "relay"       // came by a relay of a network that is not served

	LegRival  Leg = "rival"  // another server was heard to offer it a boot file: Server, File
	LegPin    Leg = "pin"    // the agent refused the key of our agent listener
	LegDenied Leg = "denied" // the agent's Hello was refused; Text says why (recorded by the daemon's side of the agent)
	LegClock  Leg = "clock"  // the same, because the server's clock went wrong in between
)

// Event is one leg of one machine's start. A fetch has its file and how much of it travelled; Err is set when
// it did not end well.
type Event struct {
	Time   time.Time  `json:"time"`
	MAC    MAC        `json:"mac"` // zero when only the address is known
	UUID   string     `json:"uuid,omitempty"`
	Arch   Arch       `json:"arch"`
	Loader Loader     `json:"loader,omitempty"`
	IP     netip.Addr `json:"ip"`
	Server netip.Addr `json:"server"`           // the DHCP server that it chose (request), the other boot server (rival)
	Waited int        `json:"waited,omitempty"` // seconds for which it says to have been asking (discover)
	Leg    Leg        `json:"leg"`
	File   string     `json:"file,omitempty"` // as asked for, at most 128 printable characters
	Text   string     `json:"text,omitempty"` // a plain sentence, at most 200 characters
	Bytes  int64      `json:"bytes,omitempty"`
	Total  int64      `json:"total,omitempty"` // size of File; Bytes < Total is an unfinished fetch
	Err    string     `json:"err,omitempty"`
}

// Recorder keeps events. Record is called from many goroutines, must not block for long, and copies what it
// keeps; the rate per machine is bounded by the caller.
type Recorder interface {
	Record(Event)
}
