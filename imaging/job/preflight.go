package job

import "fmt"

// MaxCountdown bounds the seconds between "writing starts" on the screen and the first write.
const MaxCountdown = 60

// DriveRule says how the target was chosen among the internal drives.
type DriveRule string

// DriveOnly refuses a choice, DriveNamed is the operator's own by serial; the others decide by what the drives tell.
const (
	DriveOnly     DriveRule = ""
	DriveNamed    DriveRule = "named"
	DriveLargest  DriveRule = "largest"
	DriveSmallest DriveRule = "smallest"
	DriveNVMe     DriveRule = "nvme" // the one NVMe drive
)

// Needs is what an image asks of the laptop that it is put on. What is empty is not known, and refuses nothing.
type Needs struct {
	Firmware    []string `json:"firmware,omitempty"`     // modes that it can start in: uefi, bios
	Loaders     []Loader `json:"loaders,omitempty"`      // the fallback loaders on its EFI partition, at most one of an architecture
	MemoryBytes uint64   `json:"memory_bytes,omitempty"` // installed memory, as whoever imported it said
}

// Loader is one program by which UEFI firmware starts an image.
type Loader struct {
	Arch   string  `json:"arch"`             // x64, ia32, aa64
	SHA256 string  `json:"sha256,omitempty"` // as Secure Boot counts it (Authenticode), lower-case hex
	Chains []Chain `json:"chains,omitempty"` // one of each signature; none with an empty Unread: it is not signed
	Unread string  `json:"unread,omitempty"` // why the signature could not be read, half a sentence
}

// Chain is the certificates that came with one signature, in DER: the signer's first, then who issued the one before.
type Chain [][]byte

// Keys is what a laptop's Secure Boot trusts, as far as a record needs it: the certificates of its db.
type Keys struct {
	Certs   []Cert `json:"certs"`
	Revoked int    `json:"revoked"` // entries in dbx
}

// Cert names one certificate.
type Cert struct {
	Name    string `json:"name"`    // its common name
	SHA256  string `json:"sha256"`  // of its DER, lower-case hex
	Subject string `json:"subject"` // SHA-256 of its subject's DER, lower-case hex
}

// Power is what feeds the laptop.
type Power struct {
	Battery bool `json:"battery"` // there is one; a desktop has none
	Percent int  `json:"percent"` // of it, -1 when it does not tell; 0 without one
	Mains   bool `json:"mains"`   // it is plugged in, or charging
}

// String is how people read it.
func (p Power) String() string {
	switch {
	case !p.Battery:
		return "no battery"
	case p.Percent < 0:
		return "battery, charge unknown, " + plugged(p.Mains)
	}
	return fmt.Sprintf("battery %d %%, %s", p.Percent, plugged(p.Mains))
}

func plugged(mains bool) string {
	if mains {
		return "plugged in"
	}
	return "not plugged in"
}

// HealthState is what a drive says about itself.
type HealthState string

// Unknown is a drive that cannot be asked, or did not answer: neither good nor failing.
const (
	HealthUnknown HealthState = ""
	HealthGood    HealthState = "good"
	HealthFailing HealthState = "failing"
)

// Health is a drive's own word, NVMe's SMART log or ATA's SMART status.
type Health struct {
	State HealthState `json:"state"`
	Text  string      `json:"text,omitempty"` // why, or what it tells besides; one plain line
}

// String is how people read it.
func (h Health) String() string {
	state := string(h.State)
	if h.State == HealthUnknown {
		state = "unknown"
	}
	if h.Text == "" {
		return state
	}
	return state + " (" + h.Text + ")"
}

// Found is what a laptop found right before its first write, or before it refused to make one. It is kept with the
// job.
type Found struct {
	Holds  []string `json:"holds,omitempty"` // what lay on the target drive
	Health Health   `json:"health"`          // of the target drive
	Power  Power    `json:"power"`
	Notes  []string `json:"notes,omitempty"` // what could not be told, one sentence each
}

// maxFound bounds each list of a Found.
const maxFound = 64

// Clean is a Found that a stranger sent, made fit for a record: short lists of plain lines. Nil stays nil.
func (f *Found) Clean() *Found {
	if f == nil {
		return nil
	}
	out := *f
	out.Holds, out.Notes = plainLines(f.Holds), plainLines(f.Notes)
	out.Health = f.Health.Clean()
	out.Power = f.Power.Clean()
	return &out
}

// Clean is a Health that a stranger sent: a state that is none of ours is unknown.
func (h Health) Clean() Health {
	if h.State != HealthGood && h.State != HealthFailing {
		h.State = HealthUnknown
	}
	h.Text = plain(h.Text)
	return h
}

// Clean is a Power that a stranger sent: a charge that cannot be is unknown.
func (p Power) Clean() Power {
	if p.Percent < 0 || p.Percent > 100 {
		p.Percent = -1
	}
	return p
}

func plainLines(in []string) []string {
	var out []string
	for _, s := range in[:min(len(in), maxFound)] {
		out = append(out, plain(s))
	}
	return out
}
