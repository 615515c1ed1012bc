package job

import "time"

// BootInfo is what the agent needs before it can say Hello.
type BootInfo struct {
	Version int       `json:"version"`
	Now     time.Time `json:"now"` // the daemon's clock; the agent sets its own to it
	Stage2  File      `json:"stage2"`
}

// BootRequest asks for a boot token: a stick carries none, since it starts many laptops. Every field is hostile input.
type BootRequest struct {
	Version int    `json:"version"`
	MAC     string `json:"mac"`              // of the adapter that reached the daemon
	UUID    string `json:"uuid"`             // canonical text of SMBIOS type 1, or empty
	Bundle  string `json:"bundle,omitempty"` // the boot bundle that the stick was made of
}

// BootReply is a token, which names this boot as a network boot's does, or the reason why there is none: the rules are
// those of the network boot. Who gets a reason shows it and goes back to its own system.
type BootReply struct {
	Version int    `json:"version"`
	Token   string `json:"token,omitempty"`
	Fault   *Fault `json:"fault,omitempty"`
}

// File is a boot file with what proves it.
type File struct {
	SHA256 string `json:"sha256"` // lower-case hex
	Size   int64  `json:"size"`   // bytes
}

// Hello is the agent's first word: who the laptop says it is. Every field is hostile input.
type Hello struct {
	Version     int      `json:"version"`
	Token       string   `json:"token"` // from the kernel command line: names the boot, authenticates nobody
	Nonce       string   `json:"nonce"` // 32 hex characters, new at each boot
	Build       string   `json:"build"` // the agent's version and module digest
	Facts       Facts    `json:"facts"`
	Firmware    string   `json:"firmware"`       // "uefi" or "bios"
	Arch        string   `json:"arch"`           // of that firmware: x64, ia32, aa64; empty when it does not tell
	SecureBoot  bool     `json:"secure_boot"`    // as efivars tell it
	Keys        *Keys    `json:"keys,omitempty"` // what Secure Boot trusts; nil when it is off or could not be read
	Power       Power    `json:"power"`
	MemoryBytes uint64   `json:"memory_bytes"`
	Drives      []Drive  `json:"drives"`
	Links       []Link   `json:"links"`
	Warnings    []string `json:"warnings,omitempty"` // plain sentences: a NIC without firmware, an unreadable drive
}

// Facts are the SMBIOS strings by which a Device is known, as read, unfiltered.
type Facts struct {
	Manufacturer  string `json:"manufacturer"`
	Model         string `json:"model"`
	ModelVersion  string `json:"model_version"` // Lenovo puts the human name here
	Serial        string `json:"serial"`
	UUID          string `json:"uuid"` // canonical text of type 1, SMBIOS byte order
	SKU           string `json:"sku"`
	BoardSerial   string `json:"board_serial"`
	ChassisSerial string `json:"chassis_serial"`
	AssetTag      string `json:"asset_tag"` // chassis
}

// Drive is one block device of the laptop.
type Drive struct {
	Path       string `json:"path"` // /dev/nvme0n1
	Serial     string `json:"serial"`
	WWN        string `json:"wwn"`
	Model      string `json:"model"`
	Transport  string `json:"transport"` // nvme, sata, usb, mmc, virtio, ...
	SizeBytes  uint64 `json:"size_bytes"`
	SectorSize int    `json:"sector_size"`
	Rotational bool   `json:"rotational"`
	Removable  bool   `json:"removable"` // removable or on a USB bus: never a target
	ReadOnly   bool   `json:"read_only"`

	Health Health   `json:"health"`
	Holds  []string `json:"holds,omitempty"` // what lies on it, one plain line each; empty when nothing was found
}

// Link is one wired network interface.
type Link struct {
	Name      string `json:"name"`
	MAC       string `json:"mac"`
	Permanent string `json:"permanent,omitempty"` // the address that the adapter was made with, where it tells
	Driver    string `json:"driver"`
	Bus       string `json:"bus"` // pci, usb, virtio; external: PCI outside of the case (Thunderbolt)
	Carrier   bool   `json:"carrier"`
	Boot      bool   `json:"boot"`       // the one that reached the daemon
	SpeedMbps int    `json:"speed_mbps"` // 0 when unknown
}

// HelloReply tells the agent what to show and which key signs its jobs.
type HelloReply struct {
	Version    int    `json:"version"`
	Code       string `json:"code"`        // shown on the laptop; an operator adopts the device by it
	Device     string `json:"device"`      // the Device's id when it is known already
	Name       string `json:"name"`        // its Name when it has one
	SigningKey []byte `json:"signing_key"` // Ed25519 public key of jobs and manifests
	Say        string `json:"say"`         // one sentence for the screen
}

// Order is what the agent does next.
type Order string

// Wait asks again; Work carries a job; Leave means that there is nothing to do: BootNext to the disk and
// reset; Off powers off (the loop guard).
const (
	Wait  Order = "wait"
	Work  Order = "work"
	Leave Order = "leave"
	Off   Order = "off"
)

// Next answers GET /v1/next.
type Next struct {
	Order Order  `json:"order"`
	Job   []byte `json:"job,omitempty"` // a sign.Envelope in JSON, with Work
	Say   string `json:"say,omitempty"` // one sentence for the screen
	Code  string `json:"code,omitempty"`
	Fault *Fault `json:"fault,omitempty"` // with Leave: why this laptop is refused; it shows that and stays, so that a person reads it
}
