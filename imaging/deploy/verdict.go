package deploy

import (
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// Times of DESIGN section 3.
const (
	tokenRepeat  = 2 * time.Minute  // within it a repeated request gets the same boot token
	tokenLife    = 10 * time.Minute // until the first Hello
	codeLife     = 15 * time.Minute // of the code on the screen; a new one follows while the laptop waits
	silence      = 30 * time.Second // without a request, an agent's key counts as silent
	jobWindow    = 60 * time.Minute // since the last sign of life, within which an unfinished job may be bound anew
	orderWindow  = 24 * time.Hour   // within which an order waits for its laptop
	readyWait    = 60 * time.Minute // how long a ready laptop waits for an order on a closed bench
	refuseFor    = 10 * time.Minute // after an agent with nothing to do
	loopWindow   = 15 * time.Minute // three starts within it without progress are a loop
	loopStarts   = 3
	secretLife   = 7 * 24 * time.Hour // of the call-home secret
	jobValid     = 10 * time.Minute   // from receipt, within which the agent must start
	countdown    = 10 * time.Second   // on the laptop's screen before its first write
	duplicateFor = 90 * time.Second   // two live keys of one device for so long are two laptops
)

// scene is everything that decides what an agent does next.
type scene struct {
	now      time.Time
	agent    store.Agent
	device   store.Device
	job      *store.Job    // the device's unfinished job
	bench    bool          // open
	oldHeard time.Time     // the last request of the key that the job is bound to
	approve  time.Duration // how long a new laptop waits for its approval

	forbidden *job.Fault // the job's Version was withdrawn before the first write
}

// verdict is the answer: an order, and whether a job has to be bound, or ended, first.
type verdict struct {
	order job.Order
	say   string
	bind  bool       // bind the job to this agent, then hand it out
	fail  *job.Fault // end the job so: nothing was written and it cannot be done
	deny  *job.Fault // tell this laptop so; the job stays as it is
	clash bool       // two laptops live under one identity
	alone bool       // nobody approved it in time: it is left alone until it was off
}

// decide is the one place that hands out work.
func decide(s scene) verdict {
	switch {
	case s.agent.Loop:
		return verdict{order: job.Off, say: job.CodeLoop.Words().Sentence}
	case s.device.State == store.Quarantined:
		return verdict{order: job.Wait, say: job.CodeQuarantined.Words().Sentence}
	case s.device.State == store.Lost:
		return verdict{order: job.Wait, say: lostWords(s.device)}
	case s.device.State == store.New && !s.now.Before(s.agent.Started.Add(s.approve)):
		return verdict{order: job.Leave, say: job.CodeNotApproved.Words().Sentence, alone: true}
	case s.device.State == store.New:
		return verdict{order: job.Wait, say: askForCode(s.device)}
	case s.job != nil:
		return decideJob(s, *s.job)
	case s.device.State == store.Ready, s.device.State == store.Failed:
		if s.bench || s.now.Before(later(s.agent.Started, earlier(s.device.Changed, s.now)).Add(readyWait)) {
			return verdict{order: job.Wait, say: "Ready. Waiting for an order."}
		}
	}
	return verdict{order: job.Leave, say: "Nothing to do."}
}

func decideJob(s scene, j store.Job) verdict {
	if s.forbidden != nil && (j.AgentKey == "" || j.AgentKey == s.agent.Key) {
		return verdict{order: job.Leave, say: s.forbidden.Error(), fail: s.forbidden}
	}
	if !agreed(j) {
		return verdict{order: job.Wait, say: "Waiting for a second person to agree to the wipe."}
	}
	if j.AgentKey == s.agent.Key {
		return verdict{order: job.Work}
	}
	if f := stranger(s, j); f != nil {
		if !j.Kind.Started(j.Reached) && f.Code == job.CodeWrongDrive {
			return verdict{order: job.Leave, say: f.Error(), fail: f}
		}
		return verdict{order: job.Leave, say: f.Error(), deny: f}
	}
	if j.AgentKey == "" {
		if orderOver(j, s.now) {
			f := job.Faultf(job.CodeJobExpired, "It was given at %s.", j.Created.Format(time.RFC3339))
			return verdict{order: job.Leave, say: f.Error(), fail: f}
		}
		return verdict{order: job.Work, bind: true}
	}
	if j.Kind != job.Deploy && j.Kind != job.Rename && j.Kind != job.Capture && j.Kind != job.Wipe || s.now.After(later(j.Contact, s.oldHeard).Add(jobWindow)) {
		f := job.Faultf(job.CodeJobExpired, "The laptop was silent for more than %s.", jobWindow)
		return verdict{order: job.Leave, say: f.Error(), deny: f}
	}
	if quiet := s.now.Sub(s.oldHeard); quiet < silence {
		if s.now.Sub(s.agent.Started) > duplicateFor {
			return verdict{order: job.Wait, say: job.CodeQuarantined.Words().Sentence, clash: true}
		}
		return verdict{order: job.Wait, say: "An earlier start of this laptop is still heard. Waiting for it to fall silent."}
	}
	return verdict{order: job.Work, bind: true}
}

// askForCode is what a person does with a laptop that shows a code.
func askForCode(d store.Device) string {
	if needsSticker(d) {
		return "Scan the sticker of this laptop and approve this code."
	}
	return "Approve this code to adopt the laptop."
}

// stranger says why this laptop is not the one that the job was approved for: the serial that its firmware tells, its
// UUID and the target drive must all be equal, and its own adapters must not be others. Where the firmware tells no
// serial and no UUID of its own, the drive and the record that a person bound it to by its sticker are what is left.
func stranger(s scene, j store.Job) *job.Fault {
	told := tells(s.agent.Hello)
	switch {
	case fold(s.agent.Hello.Facts.Serial) != fold(j.Told), told.UUID != j.UUIDKey:
		return job.Faultf(job.CodeWrongDevice, "Serial or UUID differ from the approved laptop's.")
	case compare(told, store.Facts{MACs: j.BuiltIn}).mac == differs:
		return job.Faultf(job.CodeWrongDevice, "Its network adapter is not the approved laptop's.")
	case j.Wipe != nil:
		return swapped(s.agent.Hello.Drives, j)
	case !holds(s.agent.Hello.Drives, j.Target):
		return job.Faultf(job.CodeWrongDrive, "Drive %s is not in it.", j.Target.Serial)
	}
	return nil
}

// orderOver reports whether an order waited too long for its laptop, by the time that passed.
func orderOver(j store.Job, now time.Time) bool {
	return now.After(j.Created.Add(j.Skew + orderWindow))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
