package simlaptop

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"ingot/imaging/agent"
	"ingot/imaging/job"
)

// Server is the daemon that laptops ask.
type Server struct {
	URL string    // of its agent listener, such as https://127.0.0.1:8443
	Pin job.KeyID // of that listener's key
}

// Laptop is one laptop. What it is may be changed before it is switched on.
type Laptop struct {
	Hello  job.Hello  // what it tells about itself; its drive is added
	Drive  job.Drive  // Path is the file
	From   netip.Addr // its address; the zero one is whatever the system takes
	Link   rate.Limit // bytes a second of its network; 0 for no limit
	Second time.Duration

	// Wire, when it is set, may change what the laptop says to the daemon.
	Wire func(agent.Daemon) agent.Daemon
	// Trip, when it is set, stands between the laptop and its network: it sees every request and every answer.
	Trip func(*http.Transport) http.RoundTripper

	mu     sync.Mutex
	system *system // what was last written to its drive
}

// second is the countdown's by default: a test is not to wait for a person who might press Esc.
const second = time.Millisecond

// New makes laptop number n, 0 to 9999, with an empty drive of size bytes below dir. Each number has a serial, a UUID, an
// adapter and a loopback address of its own.
func New(dir string, n int, size uint64) (*Laptop, error) {
	if n < 0 || n > 9999 {
		return nil, fmt.Errorf("there is no simulated laptop number %d", n)
	}
	serial := fmt.Sprintf("SIM%04d", n)
	path := filepath.Join(dir, serial+".drive")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, int64(size))); err != nil {
		return nil, fmt.Errorf("make the drive of %s: %w", serial, err)
	}
	return &Laptop{
		Hello: job.Hello{Build: "simulated", Firmware: "uefi", Arch: "x64", MemoryBytes: 8 << 30,
			Facts: job.Facts{Manufacturer: "LabCo", Model: "Sim 9", Serial: serial, UUID: fmt.Sprintf("51510000-0042-3510-8052-b4c04f56%04d", n), AssetTag: fmt.Sprintf("A-%04d", n)},
			Links: []job.Link{{Name: "eth0", MAC: fmt.Sprintf("8c:16:45:51:%02x:%02x", n>>8, n&0xff), Bus: "pci", Driver: "sim", Carrier: true, Boot: true, SpeedMbps: 1000}},
			Power: job.Power{Battery: true, Percent: 80, Mains: true}},
		Drive: job.Drive{Path: path, Serial: fmt.Sprintf("DRV%04d", n), WWN: fmt.Sprintf("eui.002538570000%04d", n), Model: "Simulated SSD", Transport: "nvme", SizeBytes: size, SectorSize: 512,
			Health: job.Health{State: job.HealthGood}},
		From:   netip.AddrFrom4([4]byte{127, 81, byte(n >> 8), byte(n)}),
		Second: second,
	}, nil
}

// Fleet makes n laptops with numbers from first on.
func Fleet(dir string, first, n int, size uint64) ([]*Laptop, error) {
	all := make([]*Laptop, n)
	for i := range all {
		var err error
		if all[i], err = New(dir, first+i, size); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Serial is what stands on its sticker.
func (l *Laptop) Serial() string { return l.Hello.Facts.Serial }
