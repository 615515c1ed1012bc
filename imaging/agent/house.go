package agent

import (
	"context"

	"ingot/firmware/efivar"
	"ingot/imaging/disk"
	"ingot/imaging/job"
	"ingot/imaging/wipe"
)

// Daemon is the agent's one conversation partner; package job/client implements it. Each method blocks until it
// has an answer, ctx ends, or the answer is a refusal (a *job.Fault). Events are repeated without limit while the
// daemon does not answer, so a cable pull or a daemon's restart shows only as time.
type Daemon interface {
	BootInfo(ctx context.Context) (job.BootInfo, error)
	Start(ctx context.Context, r job.BootRequest) (job.BootReply, error)
	Hello(ctx context.Context, h job.Hello) (job.HelloReply, error)
	Next(ctx context.Context) (job.Next, error)
	State(ctx context.Context, id job.ID, e job.StateEvent) (job.Ack, error)
	Progress(ctx context.Context, id job.ID, p job.Progress) (job.Ack, error) // tried once: progress is not durable
	Personal(ctx context.Context, id job.ID) (job.Personal, error)
	Result(ctx context.Context, id job.ID, r job.Result) (job.Ack, error)
	KeepJournal(ctx context.Context, id job.ID, j job.DriveJournal) (job.Ack, error)
	Journal(ctx context.Context, id job.ID, drive int) (job.DriveJournal, error)
	Wiped(ctx context.Context, id job.ID, r job.DriveReport) (job.DriveAck, error)
	KeyID() job.KeyID // of the agent's own ephemeral key
}

// Machine is the laptop as pid 1 knows it.
type Machine interface {
	// Prepare sets the clock to info.Now, fetches stage 2 and loads the drive modules. It is called once, before
	// Drives is used; an error is a *job.Fault.
	Prepare(ctx context.Context, info job.BootInfo) error
	// Describe fills Build, Facts, Firmware, Arch, SecureBoot, MemoryBytes, Links and Warnings; the agent adds the rest.
	Describe(ctx context.Context) (job.Hello, error)
	// Unplugged reports whether the boot link has lost its carrier.
	Unplugged() bool
	// Power tells what feeds the laptop now. It is asked again and again, by one goroutine at a time.
	Power() job.Power
}

// Drives finds and opens the laptop's drives; Local implements it over package disk.
type Drives interface {
	List() ([]job.Drive, error)
	Examine(drives []job.Drive)                       // fills Health and Holds; writes nothing, may take seconds
	Open(want job.Target) (*disk.Disk, error)         // exclusive, and equal to want in every fact, or a *job.Fault
	OpenReader(want job.Target) (*disk.Reader, error) // likewise, for reading alone
}

// Wiper is what a wipe needs of the laptop beyond Drives; Local implements it.
type Wiper interface {
	OpenWipe(want job.Target) (WipePort, error) // as Drives.Open does, with the drive's own commands
	Controllers() ([]wipe.Controller, error)    // so that drives that the firmware hides are noticed
}

// Written is a disk whose content is proven and that is not bootable yet: what personalising works on.
type Written struct {
	Drive    job.Drive
	Parts    []disk.Part // every partition that will stand in the table, at its final place
	Root     int         // Number of the root partition; 0 when the image has none that is known
	Grown    int         // Number of the partition that became larger than its file system; 0 for none
	Swap     int         // Number of the swap partition that moved to the end and is empty now; 0 for none
	Table    string      // gpt, mbr or none
	Firmware string      // uefi or bios: how this laptop started
	Name     string      // that it carries; empty when its name was not written
}

// Part finds a partition by its number.
func (w Written) Part(number int) (disk.Part, bool) {
	for _, p := range w.Parts {
		if p.Number == number {
			return p, true
		}
	}
	return disk.Part{}, false
}

// Personaliser changes the written file systems. It mounts partitions through their device nodes and has
// everything unmounted and flushed when it returns, also on error. Errors are *job.Fault (CodeGrow,
// CodePersonalise).
type Personaliser interface {
	// Fit grows the file system of w.Grown to its partition and makes w.Swap a swap area again, with the UUID and
	// label that its Part carries. Either may be 0.
	Fit(ctx context.Context, w Written) error
	// Personalise writes p into w.Root, unmounts, and reads each file back.
	Personalise(ctx context.Context, w Written, p job.Personal) (job.PersonalisedProof, error)
	// Rename writes the name of p, and nothing else that is not about the name, into a system that carried the name
	// former; it unmounts, and reads each file back.
	Rename(ctx context.Context, w Written, p job.Personal, former string) (job.PersonalisedProof, error)
}

// Firmware is what starts the written disk.
type Firmware interface {
	// Check proves before commit that this laptop's firmware can start the disk: a fallback loader on the EFI
	// partition, or boot code for BIOS (head is the disk's first blocks as commit will write them). Errors are
	// *job.Fault (CodeNoBootPath, CodeFirmwareMode).
	Check(ctx context.Context, w Written, head []byte) error
	// Install reuses or makes the disk's boot entry after commit, removes stale ones, sets BootNext, and returns
	// the entry's name ("Boot0003"), or "" on BIOS.
	Install(ctx context.Context, w Written) (string, error)
	// Keys gives what Secure Boot decides by; nil while nothing is enforced. An error means that it is not known.
	Keys() (*efivar.Keys, error)
	// Local sets BootNext to the laptop's own disk where the firmware has such a thing; for Leave.
	Local(ctx context.Context) error
}

// Power ends the boot environment. Neither method returns on a real laptop.
type Power interface {
	Reset() error
	Off() error
}

// Screen draws what a person two metres away reads. Show keeps v, returns at once and is never called
// concurrently.
type Screen interface {
	Show(v View)
}
