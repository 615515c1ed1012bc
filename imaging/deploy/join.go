package deploy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
)

// empty reports whether a record holds nothing that must be kept: no Deployment, no job, no Name.
func empty(tx *store.Tx, d store.Device) (bool, error) {
	past, err := tx.DeploymentsOf(d.ID)
	if err != nil {
		return false, err
	}
	had, err := hadJob(tx, d.ID)
	return d.Deployment == "" && d.Name == "" && d.NextName == "" && len(past) == 0 && !had, err
}

// notWriting refuses to touch a record while a job of it has begun to write.
func notWriting(tx *store.Tx, d store.Device) error {
	j, busy, err := tx.ActiveJob(d.ID)
	if err == nil && busy && j.Kind.Started(j.Reached) {
		return job.Faultf(job.CodeBusy, "Job %s of %s is %s: stop it, or let it end.", j.ID, d.Label(), j.State)
	}
	return err
}

// absorb makes one record of two: what the empty record from knows of its laptop goes into the record into, which
// keeps its Name, its state and all that it ever held. What it knew otherwise stays in its history. Waiting laptops
// go on under it.
func absorb(tx *store.Tx, operator string, from, into store.Device, why string) (store.Device, error) {
	if free, err := empty(tx, from); err != nil || !free {
		return into, cmp.Or(err, error(job.Faultf(job.CodeSettle, "%s has a record of its own that is kept.", from.Label())))
	}
	if err := notWriting(tx, into); err != nil {
		return into, err
	}
	if into.State == store.Lost && from.Seen.After(into.Seen) {
		if err := alarm(tx, &into); err != nil {
			return into, err
		}
	}
	if err := tx.DeleteDevice(from); err != nil {
		return into, err
	}
	changes(&into, from, store.Change{Time: tx.Now(), By: operator, Why: why})
	takeFacts(&into, from)
	if err := errors.Join(tx.PutDevice(into), tx.MoveDrives(from, into)); err != nil {
		return into, err
	}
	agents, err := tx.AgentHeads()
	if err != nil {
		return into, err
	}
	for _, head := range agents {
		if head.Device != from.ID {
			continue
		}
		a, err := tx.Agent(head.Key)
		if err != nil {
			return into, err
		}
		a.Device, a.Code = into.ID, ""
		if err := tx.PutAgent(a); err != nil {
			return into, err
		}
	}
	return into, nil
}

// changes keeps on a record what another one replaces. c says when, by whom and why.
func changes(into *store.Device, from store.Device, c store.Change) {
	note := func(what, old, new string) {
		if old != "" && new != "" && old != new {
			c.What, c.Old, c.New = what, old, new
			into.Remember(c)
		}
	}
	if into.SerialKey != "" && from.SerialKey != "" {
		note("serial of the firmware", store.Fact{Kind: store.FactSerial, Value: into.SerialKey}.String(), store.Fact{Kind: store.FactSerial, Value: from.SerialKey}.String())
	}
	note("uuid", into.UUIDKey, from.UUIDKey)
	note("adapter", strings.Join(into.BuiltIn, " "), strings.Join(from.BuiltIn, " "))
	note("drive", driveNames(into), driveNames(&from))
	note("asset", into.Asset, from.Asset)
	note("owner", into.Owner, from.Owner)
	note("note", into.Note, from.Note)
	note("record", "none", fmt.Sprintf("record %s of %s joined", from.ID, from.Created.Format("2006-01-02 15:04")))
}

func driveNames(d *store.Device) string {
	var out []string
	for _, x := range d.Drives {
		if !x.Removable {
			out = append(out, x.Serial)
		}
	}
	return strings.Join(out, " ")
}

// takeFacts brings what one record knows of a laptop into another. The serial for people stays what it was: when the
// firmware now tells another, a person's word stands before it.
func takeFacts(into *store.Device, from store.Device) {
	if into.SerialKey != "" && from.SerialKey != "" && into.SerialKey != from.SerialKey && into.Sticker == "" {
		into.Sticker = into.Serial
	}
	into.SerialKey, into.UUIDKey = cmp.Or(from.SerialKey, into.SerialKey), cmp.Or(from.UUIDKey, into.UUIDKey)
	if len(from.BuiltIn) > 0 {
		into.BuiltIn = from.BuiltIn
	}
	into.Asset, into.Owner, into.Note, into.Role = cmp.Or(into.Asset, from.Asset), cmp.Or(into.Owner, from.Owner), cmp.Or(into.Note, from.Note), cmp.Or(into.Role, from.Role)
	if from.Seen.IsZero() {
		return
	}
	into.Manufacturer, into.Model, into.UUID, into.Told = from.Manufacturer, from.Model, from.UUID, from.Told
	into.DriveGone = into.DriveGone && len(from.Drives) == 0
	into.Drives, into.MemoryBytes, into.Firmware, into.SecureBoot, into.Warnings = from.Drives, from.MemoryBytes, from.Firmware, from.SecureBoot, from.Warnings
	into.Arch, into.Keys, into.Power = from.Arch, from.Keys, from.Power
	into.MACs = append(slices.DeleteFunc(slices.Clone(into.MACs), func(m string) bool { return slices.Contains(from.MACs, m) }), from.MACs...)
	into.MACs = into.MACs[max(0, len(into.MACs)-maxMACs):]
	into.Seen = from.Seen
	into.Serial = cmp.Or(into.Sticker, into.Serial)
}
