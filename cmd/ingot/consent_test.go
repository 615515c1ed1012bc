package main

import (
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ingot/imaging/job"
	"ingot/store"
)

// seedRecords fills a data folder with the laptops that testdata/script/consent.txtar speaks of.
func seedRecords(ts *testscript.TestScript, _ bool, args []string) {
	// The whole folder is made by a command, as by a person's first one.
	makeDisk(ts, false, []string{"seed.raw", "8388608"})
	ts.Check(ts.Exec("ingot", "--quiet", "--data", args[0], "image", "import", "seed.raw", "--image", "sales", "--label", "one", "--note", "n", "--release"))
	db, err := store.Open(filepath.Join(args[0], "ingot.db"), store.Options{})
	ts.Check(err)
	err = db.Update(func(tx *store.Tx) error {
		v, err := tx.FindVersion("sales")
		if err != nil {
			return err
		}
		ref := v.Ref()
		return errors.Join(seedDevice(tx, "USED", store.Deployed, ref), seedDevice(tx, "NEW", store.Ready, ref), seedDevice(tx, "BUSY", store.Deploying, ref))
	})
	ts.Check(errors.Join(err, db.Close()))
}

// seedBack fills it with the laptops that testdata/script/wipe.txtar speaks of: both came back, and TWIN tells a serial that
// another tells too, so that it leads to neither.
func seedBack(ts *testscript.TestScript, _ bool, args []string) {
	makeDisk(ts, false, []string{"seed.raw", "8388608"})
	ts.Check(ts.Exec("ingot", "--quiet", "--data", args[0], "image", "import", "seed.raw", "--image", "sales", "--label", "one", "--note", "n", "--release"))
	db, err := store.Open(filepath.Join(args[0], "ingot.db"), store.Options{})
	ts.Check(err)
	err = db.Update(func(tx *store.Tx) error {
		for _, name := range []string{"BACK", "TWIN", "DEAD"} {
			if err := seedDevice(tx, name, store.Failed, job.ImageRef{}); err != nil {
				return err
			}
			d, err := tx.FindDevice("LT-" + name)
			if err != nil {
				return err
			}
			if name == "TWIN" {
				d.SerialKey = ""
			}
			if err := errors.Join(d.Become(store.Returned, tx.Now()), tx.PutDevice(d)); err != nil {
				return err
			}
		}
		return nil
	})
	ts.Check(errors.Join(err, db.Close()))
}

func seedDevice(tx *store.Tx, name string, state store.DeviceState, ref job.ImageRef) error {
	d := store.Device{ID: strings.ToLower(name), State: state, Serial: "PF3" + name, SerialKey: "maker\x00pf3" + strings.ToLower(name), Manufacturer: "Maker",
		Drives: []job.Drive{{Path: "/dev/nvme0n1", Serial: "DRIVE-" + name, Transport: "nvme", SizeBytes: 256e9, SectorSize: 512}}}
	if err := tx.Reserve(&d, "LT-"+name); err != nil {
		return err
	}
	switch state {
	case store.Deployed:
		dep := store.Deployment{ID: "dep-" + d.ID, Device: d.ID, Image: ref, Name: d.Name, Operator: "anna", Finished: tx.Now()}
		d.Deployment = dep.ID
		if err := errors.Join(tx.PutDeployment(dep), tx.Audit("agent", string(job.Done), d.ID, "Done.")); err != nil {
			return err
		}
	case store.Deploying:
		j := store.Job{ID: "b05b05b05b05b05b", Kind: job.Deploy, Device: d.ID, Operator: "anna", Created: time.Now(), Serial: d.Serial,
			Image: ref, DeviceName: d.Name, Target: job.Target{Serial: "DRIVE-" + name}}
		for _, s := range []job.State{job.Approved, job.Claimed, job.Invalidated, job.Writing} {
			j.Enter(s, time.Now())
		}
		if err := tx.PutJob(j); err != nil {
			return err
		}
	}
	return tx.PutDevice(d)
}
