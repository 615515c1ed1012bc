package store

import (
	"net/netip"
	"time"
)

// Lease is one address that the full DHCP server gave to one machine. There is at most one for each address;
// one whose time is over is remembered, so that the machine gets its address again.
type Lease struct {
	IP      netip.Addr `json:"ip"`
	MAC     string     `json:"mac"`
	Host    string     `json:"host,omitempty"`
	Expires time.Time  `json:"expires"`
}

// PutLease writes the lease of an address.
func (tx *Tx) PutLease(l Lease) error { return put(tx, bLeases, []byte(l.IP.String()), l) }

// Leases lists every lease.
func (tx *Tx) Leases() ([]Lease, error) { return all[Lease](tx, bLeases) }
