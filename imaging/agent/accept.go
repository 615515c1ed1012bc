package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/sign"
)

// accept opens an order and decides whether this laptop may obey it. The Job is returned with an error, too,
// as soon as its signature held, so that the refusal can be reported under its id. Errors are *job.Fault.
func accept(envelope []byte, me identity) (job.Job, error) {
	var j job.Job
	payload, err := sign.Open(me.signing, "job", envelope)
	if err != nil {
		return j, fmt.Errorf("open order: %w: %w", err, job.Faultf(job.CodeJobSignature, ""))
	}
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.DisallowUnknownFields() // an order with a wish that this agent does not know is not half obeyed
	if err := dec.Decode(&j); err != nil {
		return job.Job{}, fmt.Errorf("read order: %w: %w", err, job.Faultf(job.CodeProtocol, "The order cannot be read."))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return job.Job{}, job.Faultf(job.CodeProtocol, "Something follows the order.")
	}
	return j, allowed(j, me)
}

// allowed holds each rule of DESIGN.md section 3.6 that needs no drive.
func allowed(j job.Job, me identity) error {
	switch {
	case j.Version != job.Version:
		return job.Faultf(job.CodeProtocol, "Agent: %d. Order: %d.", job.Version, j.Version)
	case j.AgentKey != me.key || j.Nonce != me.nonce || me.nonce == "":
		return job.Faultf(job.CodeJobKey, "")
	case j.Serial != me.serial:
		return job.Faultf(job.CodeWrongDevice, "Order: serial %s. This laptop: %s.", j.Serial, me.serial)
	case j.ValidFor <= 0:
		return job.Faultf(job.CodeJobExpired, "")
	case j.Kind != job.Deploy && j.Kind != job.Rename && j.Kind != job.Inventory && j.Kind != job.Capture && (j.Kind != job.Wipe || j.Wipe == nil):
		return job.Faultf(job.CodeJobKind, "It is %q.", string(j.Kind))
	case j.Kind != job.Inventory && j.Target.Serial == "":
		return job.Faultf(job.CodeWrongDrive, "The order names no serial.")
	case j.Kind == job.Wipe && !wipeNamed(*j.Wipe):
		return job.Faultf(job.CodeWrongDrive, "The order does not name each drive.")
	case j.Kind == job.Capture && (j.Capture == nil || j.Image.Name == ""):
		return job.Faultf(job.CodeProtocol, "The order does not say what the drive becomes.")
	case j.Kind != job.Inventory && j.Kind != job.Capture && j.Kind != job.Wipe && j.Image.Manifest.IsZero():
		return job.Faultf(job.CodeManifest, "The order names no image.")
	case j.Kind == job.Rename && (j.Known == nil || j.Known.Deployment == "" || !j.Personalise):
		return job.Faultf(job.CodeNotOurs, "The order does not say what must be found.")
	case (j.Kind == job.Deploy || j.Kind == job.Wipe) && (j.Countdown < 1 || j.Countdown > job.MaxCountdown):
		return job.Faultf(job.CodeProtocol, "The order gives %d s to stop it.", j.Countdown)
	}
	return nil
}

// wipeNamed reports whether a wipe names its drives, each by a serial of its own.
func wipeNamed(w job.Wiping) bool {
	seen := map[string]bool{}
	for _, d := range w.Drives {
		if d.Serial == "" || d.SizeBytes == 0 || seen[d.Serial+d.WWN] {
			return false
		}
		seen[d.Serial+d.WWN] = true
	}
	return len(w.Drives) > 0 && len(w.Drives) <= job.MaxWipeDrives
}

// expired reports whether a job that was received then may no longer start.
func expired(j job.Job, received time.Time) bool {
	return time.Since(received) > time.Duration(j.ValidFor)*time.Second
}
