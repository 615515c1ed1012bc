package wipe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"ingot/imaging/passthru"
)

// commandTime bounds a command that does no work of its own.
const commandTime = 30 * time.Second

// Identity is a drive as it names itself, and as the kernel names it where the drive was not asked.
type Identity struct {
	Model      string `json:"model"`
	Serial     string `json:"serial"`
	Firmware   string `json:"firmware,omitempty"`
	WWN        string `json:"wwn,omitempty"`
	Transport  string `json:"transport"`
	SizeBytes  uint64 `json:"size_bytes"`
	SectorSize int    `json:"sector_size"`
	Asked      bool   `json:"asked"` // serial and model came from the drive's own IDENTIFY
}

// Ability is what a drive is and can do.
type Ability struct {
	Class    Class        `json:"class"`
	Drive    Identity     `json:"drive"`
	Behind   string       `json:"behind,omitempty"` // what hides it
	ReadOnly bool         `json:"read_only,omitempty"`
	NVMe     *NVMeAbility `json:"nvme,omitempty"`
	ATA      *ATAAbility  `json:"ata,omitempty"`
	EMMC     *EMMCAbility `json:"emmc,omitempty"`
	Opal     *OpalAbility `json:"opal,omitempty"` // nil: it could not be asked
}

// Probe asks a drive what it is and what it can do. It changes nothing. A drive that hides behind a bridge is not
// asked: what a bridge answers is the bridge's.
func Probe(p Port) (Ability, error) {
	f, err := p.Facts()
	if err != nil {
		return Ability{}, fmt.Errorf("look at the drive: %w", err)
	}
	a := Ability{Class: Unknown, Behind: f.Behind, ReadOnly: f.ReadOnly, Drive: Identity{
		Model: f.Model, Serial: f.Serial, WWN: f.WWN, Transport: f.Transport, SizeBytes: f.SizeBytes, SectorSize: f.SectorSize}}
	if f.Behind != "" {
		return a, nil
	}
	switch f.Transport {
	case "nvme":
		err = probeNVMe(p, &a)
	case "sata":
		err = probeATA(p, f, &a)
	case "mmc":
		err = probeEMMC(p, &a)
	case "ufs":
		a.Class = UFS
	}
	if err != nil {
		return Ability{}, err
	}
	return a, nil
}

// take prefers the drive's own words to the kernel's.
func (d *Identity) take(id identified) {
	d.Asked = true
	d.Model, d.Serial, d.Firmware = id.Model, id.Serial, id.Firmware
	if id.WWN != "" {
		d.WWN = id.WWN
	}
}

func probeNVMe(p Port, a *Ability) error {
	b, err := nvmeIdentify(p, 0, cnsController)
	if err != nil {
		return err
	}
	id, n, err := parseController(b)
	if err != nil {
		return err
	}
	findNamespaces(p, &n)
	if b, err = nvmeIdentify(p, n.NSID, cnsNamespace); err != nil {
		return err
	}
	if n.LBAFormat, id.WWN, err = parseNamespace(b); err != nil {
		return err
	}
	if n.SANICAP&7 != 0 {
		if n.Log, err = readSanitizeLog(p); err != nil {
			return err
		}
	}
	a.Class, a.NVMe = NVMe, &n
	a.Drive.take(id)
	if n.Security {
		a.Opal = nvmeOpal(p)
	}
	return nil
}

// findNamespaces counts the namespaces that exist and finds the number of the only one. What is not told is not guessed:
// the block device shows one namespace, and another one would be forgotten.
func findNamespaces(p Port, n *NVMeAbility) {
	n.NSID = 1
	active, err := nvmeIdentify(p, 0, cnsActiveList)
	if err != nil {
		if n.Most == 1 { // a controller that is older than the list
			n.Namespaces = 1
		}
		return
	}
	n.Namespaces = countNamespaces(active)
	if n.Namespaces == 1 {
		n.NSID = binary.LittleEndian.Uint32(active)
	}
	if !n.Manages {
		return
	}
	every, err := nvmeIdentify(p, 0, cnsEveryList)
	if err != nil {
		n.Namespaces = 0
		return
	}
	n.Namespaces = max(n.Namespaces, countNamespaces(every))
}

func nvmeIdentify(p Port, nsid uint32, cns uint32) ([]byte, error) {
	b := make([]byte, 4096)
	r, err := p.NVMe(passthru.NVMe{Opcode: opIdentify, NSID: nsid, CDW: [6]uint32{cns}, Data: b, Timeout: commandTime})
	if err != nil {
		return nil, fmt.Errorf("identify: %w", err)
	}
	if !r.Status.OK() {
		return nil, fmt.Errorf("identify: the drive answered %s", r.Status)
	}
	return b, nil
}

func readSanitizeLog(p Port) (SanitizeLog, error) {
	b := make([]byte, logSanitizeSize)
	r, err := p.NVMe(passthru.NVMe{Opcode: opGetLog, NSID: everyNamespace, CDW: [6]uint32{logSanitize | (logSanitizeSize/4-1)<<16}, Data: b, Timeout: commandTime})
	if err != nil {
		return SanitizeLog{}, fmt.Errorf("sanitize log: %w", err)
	}
	if !r.Status.OK() {
		return SanitizeLog{}, fmt.Errorf("sanitize log: the drive answered %s", r.Status)
	}
	return parseSanitizeLog(b)
}

// Level 0 discovery is security protocol 1, communication id 1.
const (
	discoveryProtocol = 1
	discoveryComID    = 1
	discoverySize     = 2048
)

// nvmeOpal asks about Opal; a drive that does not answer is one that nobody knows about.
func nvmeOpal(p Port) *OpalAbility {
	b := make([]byte, discoverySize)
	r, err := p.NVMe(passthru.NVMe{Opcode: opSecurityGet, CDW: [6]uint32{discoveryProtocol<<24 | discoveryComID<<8, discoverySize}, Data: b, Timeout: commandTime})
	if err != nil || !r.Status.OK() {
		return nil
	}
	return discovered(b)
}

func discovered(b []byte) *OpalAbility {
	o, err := parseDiscovery(b)
	if err != nil {
		return nil
	}
	return &o
}

// Word 217 of a platter, in rounds a minute. The kernel calls a drive rotating that does not tell.
const slowest, fastest = 0x0401, 0xfffe

func probeATA(p Port, f Facts, a *Ability) error {
	b := make([]byte, 512)
	r, err := ataCommand(p, passthru.Taskfile{Command: ataIdentify, Count: 1, Move: passthru.FromDrive, Data: b, Timeout: commandTime})
	if err != nil {
		return fmt.Errorf("identify device: %w", err)
	}
	if !r.OK() {
		return fmt.Errorf("identify device: the drive answered %s", r)
	}
	id, t, err := parseIdentify(b)
	if err != nil {
		return err
	}
	if t.Sanitize {
		if s, err := readATASanitize(p); err == nil {
			t.Status, t.StatusKnown = s, true
		}
	}
	a.Class = SATAFlash
	if f.Rotational && t.Rotation >= slowest && t.Rotation <= fastest { // only when both say so: taking flash for a platter is the dangerous mistake
		a.Class = SATADisk
	}
	a.ATA = &t
	a.Drive.take(id)
	if t.Trusted {
		a.Opal = ataOpal(p)
	}
	return nil
}

// ataCommand sends one command and gives the drive's registers. An error leaves open whether the drive saw it.
func ataCommand(p Port, t passthru.Taskfile) (passthru.Registers, error) {
	r, err := p.SCSI(t.SCSI())
	if err != nil {
		return passthru.Registers{}, err
	}
	return t.Registers(r)
}

func readATASanitize(p Port) (ATASanitizeStatus, error) {
	r, err := ataCommand(p, passthru.Taskfile{Command: ataSanitize, Feature: sanStatus, Device: lbaMode, Wide: true, Timeout: commandTime})
	if err != nil {
		return ATASanitizeStatus{}, fmt.Errorf("sanitize status: %w", err)
	}
	return parseSanitizeStatus(r)
}

// ataOpal asks by TRUSTED RECEIVE, whose length stands in COUNT, in blocks of 512 bytes. The kernel refuses it unless
// it was started with libata.allow_tpm=1.
func ataOpal(p Port) *OpalAbility {
	b := make([]byte, discoverySize)
	r, err := ataCommand(p, passthru.Taskfile{Command: ataTrustedGet, Feature: discoveryProtocol, Count: discoverySize / 512,
		LBA: discoveryComID << 8, Device: lbaMode, Move: passthru.FromDrive, Data: b, Timeout: commandTime})
	if err != nil || !r.OK() {
		return nil
	}
	return discovered(b)
}

func probeEMMC(p Port, a *Ability) error {
	b := make([]byte, extCSDSize)
	r, err := p.MMC(passthru.MMC{Opcode: mmcSendExtCSD, Flags: passthru.MMCReadRegister, Data: b, Timeout: commandTime})
	if err != nil {
		return fmt.Errorf("extended CSD: %w", err)
	}
	if !r.OK() {
		return fmt.Errorf("extended CSD: the card answered %#x", r.Response)
	}
	e, err := parseExtCSD(b)
	if err != nil {
		return err
	}
	a.Class, a.EMMC = EMMC, &e
	return nil
}

// Expect names the one drive that was approved.
type Expect struct {
	Serial     string `json:"serial"`
	WWN        string `json:"wwn,omitempty"`
	SizeBytes  uint64 `json:"size_bytes"`
	SectorSize int    `json:"sector_size"`
}

// matches says how the drive differs from the approved one, or "". Kernel and drive write a serial with different
// padding, so blanks do not count.
func (e Expect) matches(kernel Facts, d Identity) string {
	switch {
	case e.Serial == "":
		return "the approved drive has no serial"
	case !sameText(e.Serial, kernel.Serial):
		return fmt.Sprintf("serial %s, approved was %s", kernel.Serial, e.Serial)
	case d.Asked && !sameText(e.Serial, d.Serial):
		return fmt.Sprintf("the drive itself says serial %s, approved was %s", d.Serial, e.Serial)
	case e.WWN != "" && kernel.WWN != e.WWN:
		return fmt.Sprintf("WWN %s, approved was %s", kernel.WWN, e.WWN)
	case e.SizeBytes != d.SizeBytes:
		return fmt.Sprintf("%d bytes, approved were %d", d.SizeBytes, e.SizeBytes)
	case e.SectorSize != d.SectorSize:
		return fmt.Sprintf("sectors of %d bytes, approved were %d", d.SectorSize, e.SectorSize)
	}
	return ""
}

func sameText(a, b string) bool {
	return bytes.Equal([]byte(strings.Join(strings.Fields(a), "")), []byte(strings.Join(strings.Fields(b), "")))
}
