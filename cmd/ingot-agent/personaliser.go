package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/rs/zerolog"

	"ingot/imaging/agent"
	"ingot/imaging/disk"
	"ingot/imaging/job"
	"ingot/imaging/personalise"
)

// rootKinds are the file systems that a root partition may have to be given a name.
var rootKinds = map[string]bool{"ext4": true, "ext3": true, "ext2": true, "xfs": true}

// personaliser is agent.Personaliser over the kernel's own file systems.
type personaliser struct {
	self string // the agent's own program
	log  zerolog.Logger
}

// Fit implements agent.Personaliser.
func (p personaliser) Fit(_ context.Context, w agent.Written) error {
	if err := p.grow(w); err != nil {
		return fmt.Errorf("%w: %w", job.Faultf(job.CodeGrow, "It is partition %d.", w.Grown), err)
	}
	if err := p.swap(w); err != nil {
		return fmt.Errorf("%w: %w", job.Faultf(job.CodeGrow, "The swap partition is number %d.", w.Swap), err)
	}
	return nil
}

func (p personaliser) grow(w agent.Written) error {
	if w.Grown == 0 {
		return nil
	}
	part, ok := w.Part(w.Grown)
	if !ok {
		return errors.New("the partition to grow is not there")
	}
	if !personalise.CanGrow(part.FileSystem) {
		return fmt.Errorf("a file system of kind %q cannot be grown", part.FileSystem)
	}
	m, err := mountPart(part, part.FileSystem, false)
	if err != nil {
		return err
	}
	if err := errors.Join(personalise.GrowExt4(m.dir, part.Size), m.close()); err != nil {
		return err
	}
	if err := forget(part.Path); err != nil {
		return err
	}
	f, err := os.Open(part.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	p.log.Info().Int("partition", part.Number).Uint64("bytes", part.Size).Msg("the file system has grown")
	return personalise.GrownTo(f, part.Size)
}

// swap makes the swap partition that moved to the end a swap area again, under its own UUID.
func (p personaliser) swap(w agent.Written) error {
	if w.Swap == 0 {
		return nil
	}
	part, ok := w.Part(w.Swap)
	if !ok {
		return errors.New("the swap partition is not there")
	}
	header, err := personalise.SwapHeader(part.Size, part.UUID, part.Label)
	if err != nil {
		return err
	}
	if err := writeSwap(part, header); err != nil {
		return err
	}
	if err := forget(part.Path); err != nil {
		return err
	}
	f, err := os.Open(part.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	return personalise.SwapHolds(f, header)
}

func writeSwap(part disk.Part, header []byte) error {
	f, err := os.OpenFile(part.Path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(personalise.MakeSwap(f, part.Size, header), f.Sync(), f.Close())
}

// Personalise implements agent.Personaliser.
func (p personaliser) Personalise(_ context.Context, w agent.Written, personal job.Personal) (job.PersonalisedProof, error) {
	return p.change(w, personal, personalise.Plan)
}

// Rename implements agent.Personaliser.
func (p personaliser) Rename(_ context.Context, w agent.Written, personal job.Personal, former string) (job.PersonalisedProof, error) {
	return p.change(w, personal, func(root *os.Root, s personalise.Settings) ([]personalise.Change, error) {
		return personalise.PlanRename(root, s, former)
	})
}

// planned decides what must change below a root folder.
type planned func(*os.Root, personalise.Settings) ([]personalise.Change, error)

// change writes what plan decides, and reads it back from the drive.
func (p personaliser) change(w agent.Written, personal job.Personal, plan planned) (job.PersonalisedProof, error) {
	var none job.PersonalisedProof
	part, ok := w.Part(w.Root)
	if !ok || !rootKinds[part.FileSystem] {
		return none, job.Faultf(job.CodeUnknownOS, "Its root partition is of kind %q.", part.FileSystem)
	}
	binary, err := os.ReadFile(p.self)
	if err != nil {
		return none, fmt.Errorf("%w: read the agent's own program: %w", job.Faultf(job.CodePersonalise, ""), err)
	}
	changes, err := p.write(part, personalise.Settings{Personal: personal, Agent: binary}, plan)
	if err != nil {
		return none, worded(err)
	}
	m, err := mountPart(part, part.FileSystem, true)
	if err != nil {
		return none, worded(err)
	}
	proof, err := personalise.ReadBack(m.root, changes)
	if err = errors.Join(err, m.close()); err != nil {
		return none, worded(err)
	}
	p.log.Info().Int("files", len(proof.Files)).Msg("the laptop's own settings are read back")
	return proof, nil
}

func (p personaliser) write(part disk.Part, s personalise.Settings, plan planned) ([]personalise.Change, error) {
	m, err := mountPart(part, part.FileSystem, false)
	if err != nil {
		return nil, err
	}
	changes, err := plan(m.root, s)
	if err == nil {
		err = personalise.Apply(m.root, changes)
	}
	return changes, errors.Join(err, m.close())
}

// worded gives an error that has no words of its own those of a name that could not be written.
func worded(err error) error {
	var f *job.Fault
	if errors.As(err, &f) {
		return err
	}
	return fmt.Errorf("%w: %w", job.Faultf(job.CodePersonalise, "The partition could not be mounted or flushed."), err)
}
