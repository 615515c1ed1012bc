package deploy

import (
	"context"
	"crypto/subtle"
	"fmt"

	"ingot/imaging/job"
	"ingot/store"
)

// Personal hands out what only the verified disk may receive, to the bound key and only in state verified. An
// answer may be lost on the wire, so asking again is answered with a new secret; only the newest one holds.
// It is kept as a hash.
func (s *Service) Personal(_ context.Context, key job.KeyID, id job.ID) (job.Personal, error) {
	secret := newID(32)
	var j store.Job
	err := s.update(func(tx *store.Tx) (err error) {
		if j, err = s.bound(tx, key, id); err != nil {
			return err
		}
		if j.State != job.Verified {
			return job.Faultf(job.CodeState, "Job %s is %s, not verified.", id, j.State)
		}
		j.SecretHash = hashSecret(secret)
		return tx.PutJob(j)
	})
	if err != nil {
		return job.Personal{}, err
	}
	return job.Personal{DeviceName: j.DeviceName, Deployment: j.Deployment, CallHomeURL: s.advertised(), CallHomePin: s.cfg.AgentPin,
		CallHomeSecret: secret, InstanceID: "ingot-" + j.Deployment}, nil
}

// CallHome records the name that the deployed OS uses. The secret is valid once, for 7 days. Whatever is wrong
// with it, the answer is the same.
func (s *Service) CallHome(_ context.Context, address string, c job.CallHome) error {
	if len(c.Deployment) > 64 || len(c.Secret) > 128 || len(c.Hostname) > 255 || len(c.MachineID) > 128 || len(c.OS) > 255 {
		return job.Faultf(job.CodeBadRequest, "A field is too long.")
	}
	return s.update(func(tx *store.Tx) error {
		seen := &store.Observed{Time: tx.Now(), Hostname: c.Hostname, MachineID: c.MachineID, OS: c.OS, Address: address}
		dep, err := tx.Deployment(c.Deployment)
		if err != nil {
			return early(tx, c, seen)
		}
		if i := renamingOf(dep, c.Secret, tx.Now()); i >= 0 {
			return renamed(tx, dep, i, seen)
		}
		if !secretHolds(dep.SecretHash, c.Secret) || tx.Now().After(dep.SecretUntil) {
			return early(tx, c, seen) // perhaps of a rename
		}
		dep.Observed, dep.SecretHash = seen, ""
		if err := tx.PutDeployment(dep); err != nil {
			return err
		}
		return tx.Audit("agent", "observed", dep.Device, observedText(dep.Name, c.Hostname))
	})
}

// early keeps a call home whose job's Result has not arrived: the laptop was cut off between its commit and
// the Ack, and was started from its disk.
func early(tx *store.Tx, c job.CallHome, seen *store.Observed) error {
	jobs, err := tx.ActiveJobs()
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if j.Deployment == c.Deployment && j.Observed == nil && secretHolds(j.SecretHash, c.Secret) {
			j.Observed = seen
			if err := tx.PutJob(j); err != nil {
				return err
			}
			return tx.Audit("agent", "observed", j.Device, observedText(j.DeviceName, c.Hostname)+" The job's result is still missing.")
		}
	}
	return job.Faultf(job.CodePolicy, "The call home is not expected.")
}

func secretHolds(hash, secret string) bool {
	return hash != "" && subtle.ConstantTimeCompare([]byte(hash), []byte(hashSecret(secret))) == 1
}

func observedText(name, hostname string) string {
	if name == hostname {
		return fmt.Sprintf("The system runs under its name %s.", name)
	}
	return fmt.Sprintf("The system runs under the name %.60q instead of %s.", hostname, name)
}
