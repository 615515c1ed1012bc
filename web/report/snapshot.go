package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// Ref names a Version.
type Ref struct {
	Image  string
	Number int
}

func (r Ref) String() string { return fmt.Sprintf("%s@%d", r.Image, r.Number) }

func refOf(i job.ImageRef) Ref { return Ref{i.Name, i.Number} }

// Run is what the reports want to know of a Job.
type Run struct {
	ID       job.ID
	Kind     job.Kind
	Device   string
	Operator string
	Image    Ref
	State    job.State
	Touched  bool // the drive may have been written to
	Whole    bool // it got so far that the Image may be whole on the drive, proven or not
	Code     job.Code
	Created  time.Time
	Ended    time.Time
}

// Snapshot is the record at one moment, as far as reports need it: proofs, drives and steps are left out.
type Snapshot struct {
	Time         time.Time
	Devices      map[string]store.Device
	Deployments  map[string]store.Deployment
	Runs         []Run // oldest order first
	Images       map[string]store.Image
	Versions     map[Ref]store.Version
	Contents     map[Ref]store.Content // with software: of the versions that a device holds and that somebody looked into
	Entitlements []store.Entitlement
	Rules        []store.LicenceRule
}

// Read reads a Snapshot. Software is read only when it is wanted: it is the larger part.
func Read(tx *store.Tx, software bool) (*Snapshot, error) {
	s := &Snapshot{Time: tx.Now(), Devices: map[string]store.Device{}, Deployments: map[string]store.Deployment{}, Images: map[string]store.Image{},
		Versions: map[Ref]store.Version{}, Contents: map[Ref]store.Content{}}
	for _, read := range []func(*store.Tx) error{s.devices, s.deployments, s.runs, s.images} {
		if err := read(tx); err != nil {
			return nil, fmt.Errorf("read the record for a report: %w", err)
		}
	}
	if software {
		if err := s.software(tx); err != nil {
			return nil, fmt.Errorf("read software for a report: %w", err)
		}
	}
	return s, nil
}

func (s *Snapshot) devices(tx *store.Tx) error {
	return tx.EachDevice(func(d store.Device) error {
		d.Drives, d.Keys, d.History, d.MACs, d.BuiltIn, d.Warnings = nil, nil, nil, nil, nil, nil
		s.Devices[d.ID] = d
		return nil
	})
}

func (s *Snapshot) deployments(tx *store.Tx) error {
	return tx.EachDeployment(func(d store.Deployment) error {
		if p := d.Proof.Personalised; p != nil {
			d.Proof.Personalised = &job.PersonalisedProof{Files: make([]job.WrittenFile, len(p.Files))} // their number is enough
		}
		d.SecretHash = ""
		s.Deployments[d.ID] = d
		return nil
	})
}

func (s *Snapshot) runs(tx *store.Tx) error {
	err := tx.EachJob(func(j store.Job) error {
		r := Run{ID: j.ID, Kind: j.Kind, Device: j.Device, Operator: j.Operator, Image: refOf(j.Image), State: j.State, Created: j.Created, Ended: j.Ended,
			Touched: j.Kind.Started(j.Reached) || j.Result != nil && j.Result.DiskTouched,
			Whole:   j.Observed != nil || j.Reached == job.Committing || j.Reached == job.Committed}
		if j.Fault != nil {
			r.Code = j.Fault.Code
		}
		s.Runs = append(s.Runs, r)
		return nil
	})
	slices.SortFunc(s.Runs, func(a, b Run) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	return err
}

func (s *Snapshot) images(tx *store.Tx) error {
	images, err := tx.Images()
	if err != nil {
		return err
	}
	for _, i := range images {
		s.Images[i.Name] = i
	}
	versions, err := tx.Versions("")
	for _, v := range versions {
		v.Checklist, v.Loaders = nil, nil
		s.Versions[Ref{v.Image, v.Number}] = v
	}
	return err
}

// software reads what is installed in the versions that are held.
func (s *Snapshot) software(tx *store.Tx) (err error) {
	if s.Entitlements, err = tx.Entitlements(); err != nil {
		return err
	}
	if s.Rules, err = tx.LicenceRules(); err != nil {
		return err
	}
	for _, h := range s.Holdings() {
		ref := refOf(h.Deployment.Image)
		if _, read := s.Contents[ref]; read || h.Standing != Holds {
			continue
		}
		c, err := tx.Content(ref.Image, ref.Number)
		if job.FaultOf(err).Code == job.CodeNotLooked && err != nil {
			continue
		}
		if err != nil {
			return err
		}
		s.Contents[ref] = c
	}
	return nil
}
