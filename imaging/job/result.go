package job

import (
	"time"

	"ingot/imaging"
)

// Proof is the evidence of a deploy, in the parts of DESIGN.md section 3.8. The fourth, observed, is added by
// the daemon when the OS calls home.
type Proof struct {
	Content      *ContentProof      `json:"content,omitempty"`
	Personalised *PersonalisedProof `json:"personalised,omitempty"`
	Commit       *CommitProof       `json:"commit,omitempty"`
}

// ContentProof says that every data and zero extent, skipped ones too, was read back by O_DIRECT in this boot
// and equals the manifest, before personalising.
type ContentProof struct {
	Manifest    imaging.Digest `json:"manifest"`
	DataExtents uint64         `json:"data_extents"`
	ZeroExtents uint64         `json:"zero_extents"`
	FreeExtents uint64         `json:"free_extents"`
	ReadBytes   uint64         `json:"read_bytes"` // data + zero bytes read back
	Direct      bool           `json:"direct"`     // false only on a developer's file
}

// PersonalisedProof lists each file written, read back after unmount.
type PersonalisedProof struct {
	Files []WrittenFile `json:"files"`
}

// WrittenFile is one file that personalising wrote; an empty digest means that it was removed.
type WrittenFile struct {
	Path   string         `json:"path"`
	Digest imaging.Digest `json:"digest"`
}

// CommitProof says what the head and both partition tables held when re-read after the last fsync.
type CommitProof struct {
	Head      imaging.Digest `json:"head"`       // of the blocks that commit wrote last
	BackupGPT imaging.Digest `json:"backup_gpt"` // of the backup header and entries; zero on MBR disks
	BootEntry string         `json:"boot_entry"` // "Boot0003" or "" on BIOS
}

// Result ends a job.
type Result struct {
	Job          ID        `json:"job"`
	State        State     `json:"state"` // Done, Failed, Cancelled or Indeterminate
	Fault        *Fault    `json:"fault,omitempty"`
	Proof        Proof     `json:"proof"`
	FetchedBytes uint64    `json:"fetched_bytes"` // stored bytes that travelled, all bindings of this boot
	WrittenBytes uint64    `json:"written_bytes"`
	KeptBytes    uint64    `json:"kept_bytes"` // image bytes that the disk held already
	Seconds      float64   `json:"seconds"`
	DiskTouched  bool      `json:"disk_touched"`    // false: the disk is bit-equal to what it was
	Found        *Found    `json:"found,omitempty"` // before the first write, as far as the laptop looked
	Finished     time.Time `json:"finished"`

	Captured *Captured `json:"captured,omitempty"` // of a capture that is done
}

// Captured says what a capture did. That the drive is what it was, the laptop's kernel tells: it counts every write.
type Captured struct {
	Manifest  imaging.Digest `json:"manifest"`
	ReadBytes uint64         `json:"read_bytes"` // of the drive; free space is not read
	SentBytes uint64         `json:"sent_bytes"` // stored bytes that travelled in this start of the laptop
	HeldBytes uint64         `json:"held_bytes"` // plain bytes that the library held already
	Unwritten bool           `json:"unwritten"`  // the kernel counted no write to the drive meanwhile
	Notes     []string       `json:"notes,omitempty"`
}

// MaxCaptureNotes bounds the notes of a capture.
const MaxCaptureNotes = 32

// Clean is what a stranger told of a capture, made fit for a record. Nil stays nil.
func (c *Captured) Clean() *Captured {
	if c == nil {
		return nil
	}
	out := *c
	out.Notes = nil
	for _, n := range c.Notes[:min(len(c.Notes), MaxCaptureNotes)] {
		out.Notes = append(out.Notes, plain(n))
	}
	return &out
}

// Recorded answers the manifest of a capture. Its header comes at once and blanks follow while the daemon works; one
// of Image, Lacking and Fault is the outcome.
type Recorded struct {
	Image   *ImageRef `json:"image,omitempty"`   // the Version
	Known   bool      `json:"known,omitempty"`   // the image held exactly this already
	Lacking bool      `json:"lacking,omitempty"` // chunks are missing: send them, then the manifest again
	Fault   *Fault    `json:"fault,omitempty"`
	Later   bool      `json:"later,omitempty"` // with Fault: it may be tried again
}
