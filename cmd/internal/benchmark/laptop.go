package benchmark

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"ingot/firmware/efivar"
	"ingot/imaging/agent"
	"ingot/imaging/chunkstore"
	"ingot/imaging/disk"
	"ingot/imaging/job"
	"ingot/imaging/job/client"
)

// LaptopCommand is the word by which the lab starts itself again as one laptop's agent.
const LaptopCommand = "bench-laptop"

// Laptop runs the agent of one laptop whose drive is a plain file, from Hello to the acknowledged result, in
// this process: everything that the real one does for an image, without a kernel and firmware of its own. Each
// line of its console goes to out.
func Laptop(ctx context.Context, args []string, out io.Writer) error {
	var b bench
	var pin string
	flags := flag.NewFlagSet(LaptopCommand, flag.ContinueOnError)
	flags.StringVar(&b.url, "url", "", "the daemon's address")
	flags.StringVar(&pin, "pin", "", "its key's pin")
	flags.StringVar(&b.token, "token", "", "boot token")
	flags.StringVar(&b.serial, "serial", "", "the laptop's serial; its drive has the same")
	flags.StringVar(&b.file, "file", "", "the drive: a plain file of the right size")
	flags.Uint64Var(&b.size, "size", 0, "its size in bytes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c, err := client.New(b.url, job.KeyID(pin))
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, b.end = context.WithCancelCause(ctx)
	a := &agent.Agent{Daemon: c, Images: &chunkstore.Client{HTTP: c.HTTP(), Base: c.Base()}, Machine: &b, Drives: &b, Personaliser: &b, Firmware: &b,
		Power: &b, Screen: &b, Token: b.token, Say: func(s string) { fmt.Fprintln(out, "ingot: "+s) }, Log: zerolog.New(out), Linger: time.Millisecond,
		Second: time.Millisecond} // the time to stop it is no part of what is measured
	if err := a.Run(ctx); err != nil && !errors.Is(err, errReset) {
		return err
	}
	return nil
}

// errReset is the good end of a boot.
var errReset = errors.New("the laptop was reset")

// bench is a laptop as far as the agent can tell.
type bench struct {
	url, token, serial, file string
	size                     uint64
	end                      context.CancelCauseFunc
}

func (b *bench) drive() job.Drive {
	return job.Drive{Path: b.file, Serial: b.serial, Model: "file", Transport: "nvme", SizeBytes: b.size, SectorSize: 512}
}

// Prepare and the methods behind it make bench an agent.Machine.
func (b *bench) Prepare(context.Context, job.BootInfo) error { return nil }

func (b *bench) Describe(context.Context) (job.Hello, error) { return helloOf(b.serial), nil }

func (b *bench) Unplugged() bool { return false }

func (b *bench) Power() job.Power { return job.Power{} }

// List, Examine and Open make it agent.Drives.
func (b *bench) List() ([]job.Drive, error) { return []job.Drive{b.drive()}, nil }

func (b *bench) Examine([]job.Drive) {}

func (b *bench) Open(want job.Target) (*disk.Disk, error) {
	drive, err := disk.Choose([]job.Drive{b.drive()}, want)
	if err != nil {
		return nil, err
	}
	return disk.OpenFile(b.file, drive)
}

func (b *bench) OpenReader(want job.Target) (*disk.Reader, error) {
	drive, err := disk.ChooseSource([]job.Drive{b.drive()}, want)
	if err != nil {
		return nil, err
	}
	return disk.OpenFileReader(b.file, drive)
}

// Fit, Personalise and Rename make it an agent.Personaliser. The order says that no name is written, and the drive is
// no larger than the image: neither is called.
func (b *bench) Fit(context.Context, agent.Written) error {
	return job.Faultf(job.CodeGrow, "A plain file has no partitions to grow.")
}

func (b *bench) Personalise(context.Context, agent.Written, job.Personal) (job.PersonalisedProof, error) {
	return job.PersonalisedProof{}, job.Faultf(job.CodePersonalise, "A plain file has no partitions to mount.")
}

// Rename is not measured.
func (b *bench) Rename(context.Context, agent.Written, job.Personal, string) (job.PersonalisedProof, error) {
	return job.PersonalisedProof{}, job.Faultf(job.CodePersonalise, "A plain file has no partitions to mount.")
}

// Check, Install, Keys and Local make it agent.Firmware: there is none.
func (b *bench) Check(context.Context, agent.Written, []byte) error { return nil }

func (b *bench) Install(context.Context, agent.Written) (string, error) { return "", nil }

func (b *bench) Keys() (*efivar.Keys, error) { return nil, nil }

func (b *bench) Local(context.Context) error { return nil }

// Reset and Off make it agent.Power.
func (b *bench) Reset() error { b.end(errReset); return nil }

func (b *bench) Off() error { return b.Reset() }

// Show makes it an agent.Screen that nobody looks at.
func (b *bench) Show(agent.View) {}

// helloOf describes a laptop by its serial.
func helloOf(serial string) job.Hello {
	return job.Hello{Firmware: "uefi", MemoryBytes: 8 << 30, Facts: job.Facts{Manufacturer: "Bench", Model: "File", Serial: serial, UUID: uuidOf(serial)}}
}
