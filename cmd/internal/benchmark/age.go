package benchmark

import (
	"fmt"
	"path/filepath"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// The record of a server that has worked for years, beside which people look at today's laptops.
const (
	oldDevices = 500
	oldJobs    = 16 // of each
	oldEvents  = 80 // of the audit trail, of each
	oldStarts  = 1900
)

// age gives a server that is stopped the record of years: devices that hold the image, each with many jobs and events, and
// as many remembered starts as fit beside those of today.
func age(data string) error {
	db, err := store.Open(filepath.Join(data, "ingot.db"), store.Options{Timeout: 10 * time.Second})
	if err != nil {
		return err
	}
	defer db.Close()
	for first := 0; first < oldDevices; first += 50 { // as many as one transaction holds in little memory
		if err := db.Update(func(tx *store.Tx) error {
			held, err := tx.Versions(imageName)
			if err != nil || len(held) == 0 {
				return fmt.Errorf("no version of %s to age with: %w", imageName, err)
			}
			for n := first; n < first+50; n++ {
				if err := live(tx, n, held[0].Ref()); err != nil {
					return fmt.Errorf("an old laptop: %w", err)
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return db.Close()
}

// live is the life of one laptop.
func live(tx *store.Tx, n int, ref job.ImageRef) error {
	serial := serialOf(50_000 + n)
	then := tx.Now().Add(-time.Duration(n+100) * time.Hour)
	d := store.Device{ID: fmt.Sprintf("old%09d", n), State: store.Deployed, Serial: serial, SerialKey: store.SerialKey("Bench", serial), Manufacturer: "Bench", Model: "File",
		UUID: uuidOf(serial), UUIDKey: store.UUIDKey(uuidOf(serial)), Told: serial, Created: then, Changed: then, Seen: then, Deployment: fmt.Sprintf("dep-%d-%d", n, oldJobs-1), Owner: fmt.Sprint("Owner ", n)}
	if n%100 == 0 {
		d.State, d.Deployment = store.Failed, "" // one of them always has
	}
	if err := tx.Reserve(&d, fmt.Sprintf("OLD-%04d", n)); err != nil {
		return err
	}
	for i := range oldJobs {
		at := then.Add(time.Duration(i-oldJobs) * 24 * time.Hour)
		target := job.Target{Serial: serial, SizeBytes: diskSize, SectorSize: 512}
		j := store.Job{ID: job.ID(fmt.Sprintf("old%06d%07d", n, i)), Kind: job.Deploy, Device: d.ID, Operator: "anna", Created: at, Serial: serial, Told: serial, UUIDKey: d.UUIDKey, Target: target,
			Image: ref, DiskSize: diskSize, DeviceName: d.Name, Deployment: fmt.Sprintf("dep-%d-%d", n, i), Contact: at}
		for _, s := range []job.State{job.Approved, job.Claimed, job.Invalidated, job.Writing, job.Flushed, job.Verified, job.Committing, job.Committed, job.Done} {
			j.Enter(s, at)
		}
		dep := store.Deployment{ID: j.Deployment, Device: d.ID, Serial: serial, Job: j.ID, Image: ref, Target: target, Name: d.Name, Operator: "anna", Approved: at, Started: at, Finished: at, WrittenBytes: 1 << 30, Seconds: 60}
		if err := tx.PutJob(j); err != nil {
			return err
		}
		if err := tx.PutDeployment(dep); err != nil {
			return err
		}
	}
	for i := range oldEvents {
		if err := tx.Audit("anna", "deploy", d.ID, fmt.Sprintf("%s onto %s, drive %s, job %d.", ref, d.Name, serial, i)); err != nil {
			return err
		}
	}
	for i := n; i < oldStarts; i += oldDevices {
		h := helloOf(serial)
		h.Version, h.Drives = job.Version, []job.Drive{{Path: "/dev/nvme0n1", Serial: serial, Transport: "nvme", SizeBytes: diskSize, SectorSize: 512}}
		if err := tx.PutAgent(store.Agent{Key: job.KeyID(fmt.Sprintf("%064x", i)), Device: d.ID, Hello: h, Started: then}); err != nil {
			return err
		}
	}
	return tx.PutDevice(d)
}
