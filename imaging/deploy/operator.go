package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// Wrong codes that one operator may try within a minute.
const maxGuesses = 10

// Adopt approves the laptop that shows this code: the device becomes ready and gets its asset tag, role and
// Name if they are given.
func (s *Service) Adopt(ctx context.Context, operator string, a store.Adoption) (store.DeviceView, error) {
	if err := s.mayGuess(operator); err != nil {
		return store.DeviceView{}, err
	}
	id, err := s.once(ctx, operator, "adopt", a, func(tx *store.Tx) (string, error) {
		agent, d, err := s.byCode(tx, a.Code)
		if err == nil {
			err = fresh(ctx, tx, d)
		}
		if err != nil {
			return "", err
		}
		known, err := readSticker(tx, &d, a.Sticker)
		if err != nil {
			return "", err
		}
		if known != nil {
			return known.ID, s.rejoin(tx, operator, d, *known, a)
		}
		return d.ID, s.adopt(tx, operator, agent, d, a)
	})
	if err != nil {
		s.countGuess(operator, err)
		return store.DeviceView{}, err
	}
	return s.Device(context.Background(), id)
}

// byCode finds the waiting laptop that shows a code now.
func (s *Service) byCode(tx *store.Tx, code string) (store.Agent, store.Device, error) {
	want := strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(code), "-", ""))
	agents, err := tx.AgentHeads()
	if err != nil {
		return store.Agent{}, store.Device{}, err
	}
	for _, a := range agents {
		if len(want) == 8 && strings.ReplaceAll(a.Code, "-", "") == want && tx.Now().Before(a.CodeUntil) {
			agent, err := tx.Agent(a.Key)
			if err != nil {
				return store.Agent{}, store.Device{}, err
			}
			d, err := tx.Device(a.Device)
			return agent, d, err
		}
	}
	for _, a := range agents {
		if u := a.Used; u != nil && len(want) == 8 && strings.ReplaceAll(u.Code, "-", "") == want {
			d, err := tx.Device(a.Device)
			return store.Agent{}, store.Device{}, errors.Join(err, job.Faultf(job.CodeBusy, "%s was adopted by this code %s ago by %s.", d.Label(), ago(tx.Now(), u.Time), u.By))
		}
	}
	return store.Agent{}, store.Device{}, job.Faultf(job.CodeNotFound, "No laptop shows the code %.12q now.", code)
}

func (s *Service) adopt(tx *store.Tx, operator string, agent store.Agent, d store.Device, a store.Adoption) error {
	if d.State == store.Quarantined {
		return job.Faultf(job.CodeQuarantined, "%s", d.Conflict)
	}
	if d.State != store.New { // a wiped device becomes ready, too, but by its wipe
		return job.Faultf(job.CodeState, "%s was adopted before and is %s.", d.Label(), d.State)
	}
	if needsSticker(d) {
		return job.Faultf(job.CodeNoSerial, "It tells %q.", d.Told)
	}
	if err := d.Become(store.Ready, tx.Now()); err != nil {
		return err
	}
	if err := dress(tx, &d, a); err != nil {
		return err
	}
	agent.Used, agent.Code = &store.Used{Code: agent.Code, By: operator, Time: tx.Now()}, ""
	return errors.Join(tx.PutDevice(d), tx.PutAgent(agent), clearGuard(tx, d), shareAdapters(tx, d),
		tx.Audit(operator, "adopt", d.ID, fmt.Sprintf("%s %s, serial %s, adopted as %s.", d.Manufacturer, d.Model, d.Serial, d.Label())))
}

// dress gives a device the asset tag, role and Name of its adoption.
func dress(tx *store.Tx, d *store.Device, a store.Adoption) error {
	if a.Asset = strings.TrimSpace(a.Asset); a.Asset != "" {
		if err := fitEntry("asset tag", a.Asset, maxEntry); err != nil {
			return err
		}
		d.Asset = a.Asset
	}
	if a.Role != "" {
		r, err := tx.Role(a.Role)
		if err != nil {
			return err
		}
		d.Role = r.Name
	}
	return giveName(tx, d, a.Name, d.Role, false)
}

// giveName reserves the wanted Name, else keeps the one it has, else makes one by the role's pattern.
func giveName(tx *store.Tx, d *store.Device, name, role string, needed bool) error {
	if name != "" {
		return tx.Reserve(d, name)
	}
	if d.Name != "" {
		return nil
	}
	if role != "" {
		r, err := tx.Role(role)
		if err != nil {
			return err
		}
		if r.Pattern != "" {
			p, err := store.ParsePattern(r.Pattern)
			if err != nil {
				return err
			}
			return tx.ReservePattern(d, p)
		}
	}
	if needed {
		return job.Faultf(job.CodeNameInvalid, "%s has no name: give it one, or a role with a pattern.", d.Label())
	}
	return nil
}

// mayGuess stops somebody who tries codes.
func (s *Service) mayGuess(operator string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	recent := s.guesses[operator][:0]
	for _, t := range s.guesses[operator] {
		if s.now().Sub(t) < time.Minute {
			recent = append(recent, t)
		}
	}
	s.guesses[operator] = recent
	if len(recent) >= maxGuesses {
		return job.Faultf(job.CodePolicy, "%d wrong codes in a minute: wait a minute.", len(recent))
	}
	return nil
}

func (s *Service) countGuess(operator string, err error) {
	if f := job.FaultOf(err); f.Code != job.CodeNotFound {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guesses[operator] = append(s.guesses[operator], s.now())
}

// Deploy approves one Version for one device: the operator's order becomes a Job.
func (s *Service) Deploy(ctx context.Context, operator string, o store.Order) (store.JobView, error) {
	return s.ordered(ctx, operator, "deploy", o.Device, o, func(tx *store.Tx, d store.Device) (store.Job, error) {
		return s.approve(tx, operator, d, o)
	})
}

// ordered makes the one Job of an order for a device that has none, once for each request.
func (s *Service) ordered(ctx context.Context, operator, act, device string, body any, approve func(*store.Tx, store.Device) (store.Job, error)) (store.JobView, error) {
	id, err := s.once(ctx, operator, act, body, func(tx *store.Tx) (string, error) {
		d, err := tx.FindDevice(device)
		if err == nil {
			err = free(ctx, tx, d)
		}
		if err != nil {
			return "", err
		}
		j, err := approve(tx, d)
		return string(j.ID), err
	})
	if err != nil {
		return store.JobView{}, err
	}
	s.log.Info().Str("job", id).Str("operator", operator).Msgf("%s approved", act)
	return s.Job(ctx, job.ID(id))
}

// free refuses an order for a device that has a job, or that has changed since the operator looked: one of two
// people at once is first, and the other reads who.
func free(ctx context.Context, tx *store.Tx, d store.Device) error {
	j, busy, err := tx.ActiveJob(d.ID)
	switch {
	case err != nil:
		return err
	case busy:
		return takenBy(tx, d, j)
	}
	return fresh(ctx, tx, d)
}

// approve checks an order against everything known and makes its Job.
func (s *Service) approve(tx *store.Tx, operator string, d store.Device, o store.Order) (store.Job, error) {
	used, err := inUse(tx, d)
	if err != nil {
		return store.Job{}, err
	}
	if err := allowed(d, o, used); err != nil {
		return store.Job{}, err
	}
	role, v, err := wanted(tx, d, o)
	if err != nil {
		return store.Job{}, err
	}
	stale, err := deployable(tx, d, v, o)
	if err != nil {
		return store.Job{}, err
	}
	if err := s.whole(v); err != nil {
		return store.Job{}, err
	}
	if v.Personalise == "" && !o.NoPersonalise {
		return store.Job{}, job.Faultf(job.CodeUnknownOS, "%s holds %s.", v.Ref(), orUnknown(v.OS))
	}
	drive, rule, err := chooseDrive(d.Drives, o.Drive, role.Drive)
	if err != nil {
		return store.Job{}, err
	}
	target := target(drive)
	if err := errors.Join(fits(v, target), suits(v, d, drive, o.DespiteHealth), saved(tx, d, target, o), noForeignDebt(tx, d)); err != nil {
		return store.Job{}, err
	}
	if role.Name != "" {
		d.Role = role.Name
	}
	if used {
		o.Name = "" // the same but for its letters' case, and that stays too
	}
	if err := giveName(tx, &d, o.Name, role.Name, true); err != nil {
		return store.Job{}, err
	}
	if o.After == "" {
		o.After = job.Reset
	}
	j := store.Job{
		ID: job.ID(newID(16)), Kind: job.Deploy, Device: d.ID, Operator: operator, Order: o, Created: tx.Now(), Serial: d.Serial,
		Told: d.Told, UUIDKey: store.UUIDKey(d.UUID), BuiltIn: d.BuiltIn, Target: target, Image: v.Ref(), DiskSize: v.DiskSize, DataExtents: v.DataExtents, ZeroExtents: v.ZeroExtents,
		ProvenBytes: v.DataBytes + v.ZeroBytes, Table: v.Table,
		DeviceName: d.Name, Personalise: !o.NoPersonalise, Role: role.Name, RoleRevision: role.Revision, RootPart: v.RootPart,
		Grow: job.Grow{Partition: v.GrowPart, SwapLast: v.SwapPart}, After: o.After, Deployment: newID(16),
		Needs: v.Needs(), Rule: rule, Trial: v.State == store.Draft && v.Kind == store.Golden, Stale: stale,
	}
	j.Enter(job.Approved, tx.Now())
	return j, errors.Join(tx.PutDevice(d), tx.PutJob(j), clearGuard(tx, d), tx.Audit(operator, "deploy", d.ID,
		fmt.Sprintf("%s onto %s, drive %s%s%s, job %s.", v.Ref(), d.Label(), target.Serial, despite(o, drive), aside(j), j.ID)))
}

// despite is what an order for a drive that reports failing leaves in the audit trail.
func despite(o store.Order, d job.Drive) string {
	if !o.DespiteHealth {
		return ""
	}
	return fmt.Sprintf(" despite its health, %s,", d.Health)
}

// inUse reports whether somebody may work with the device: it is deployed, or its last job got so far that the
// laptop starts, though nobody could prove it.
func inUse(tx *store.Tx, d store.Device) (bool, error) {
	if d.State != store.Failed {
		return d.State == store.Deployed, nil
	}
	j, err := lastWriter(tx, d)
	return mayStart(j), err
}

// allowed holds the rules about the device's state. Somebody's data is only overwritten when the operator
// says that it was saved and types whose laptop it is.
func allowed(d store.Device, o store.Order, used bool) error {
	switch d.State {
	case store.Ready, store.Failed, store.Deployed:
		if used && o.Name != "" && !strings.EqualFold(o.Name, d.Name) {
			return job.Faultf(job.CodeState, "%s is in use, or may be, and keeps its name when it is imaged again. Renaming it changes that.", d.Label())
		}
		if used && !confirmed(d, o) {
			return job.Faultf(job.CodeUnconfirmed, "%s is in use, or may be: its data is lost. To go on, say that it was saved and confirm with %s.", d.Label(), d.Name)
		}
	case store.Quarantined:
		return job.Faultf(job.CodeQuarantined, "%s", d.Conflict)
	case store.Returned:
		return returnedFault(d)
	case store.Lost:
		return job.Faultf(job.CodeState, "%s is lost: no job reaches it before it was found.", d.Label())
	case store.New:
		return job.Faultf(job.CodeState, "%s was not adopted yet.", d.Label())
	default:
		return job.Faultf(job.CodeState, "%s is %s.", d.Label(), d.State)
	}
	if o.After != "" && o.After != job.Reset && o.After != job.PowerOff {
		return job.Faultf(job.CodeBadRequest, "After the job a laptop does reset or poweroff, not %.20q.", string(o.After))
	}
	if (o.Image == "") == (o.Role == "") && (o.Image != "" || d.Role == "") {
		return job.Faultf(job.CodeBadRequest, "Name either an image or a role.")
	}
	return nil
}

// confirmed reports whether the operator says that the data was saved, and typed the Name or the serial.
func confirmed(d store.Device, o store.Order) bool {
	typed := strings.TrimSpace(o.Confirm)
	return o.DataSaved && typed != "" && (strings.EqualFold(typed, d.Name) || !needsSticker(d) && strings.EqualFold(typed, d.Serial))
}

// returnedFault says why a device that came back gets no image yet.
func returnedFault(d store.Device) error {
	from := "its owner"
	if d.Returned != nil {
		from = d.Returned.From
	}
	return job.Faultf(job.CodeReturned, "%s came back from %s.", d.Label(), from)
}

// wanted finds the version: the one named, or the role's, or that of the role that the device has.
func wanted(tx *store.Tx, d store.Device, o store.Order) (role store.Role, v store.Version, err error) {
	image := o.Image
	name := o.Role
	if name == "" {
		name = d.Role
	}
	if name != "" {
		if role, err = tx.Role(name); err != nil {
			return role, v, err
		}
	}
	if image == "" {
		image = role.Image
	}
	v, err = tx.FindVersion(image)
	return role, v, err
}

// whole refuses an image of which a piece is known to be damaged, before anything on a laptop is overwritten.
func (s *Service) whole(v store.Version) error {
	if s.cfg.Whole == nil {
		return nil
	}
	if err := s.cfg.Whole(context.Background(), v.Manifest); err != nil {
		return fmt.Errorf("deploy %s: %w", v.Ref(), err)
	}
	return nil
}

func orUnknown(s string) string {
	if s == "" {
		return "an unknown system"
	}
	return s
}

// Cancel stops a job: at once when no laptop has taken it, else with the agent's next word. Whoever asked for no consent
// to a half-written disk stamps it so, and is refused when the laptop has begun to write meanwhile.
func (s *Service) Cancel(ctx context.Context, operator string, id job.ID) (store.JobView, error) {
	err := s.update(func(tx *store.Tx) error {
		j, err := tx.Job(id)
		if err != nil {
			return err
		}
		if !j.Kind.MayFollow(j.State, job.Cancelled) {
			return job.Faultf(job.CodeState, "Job %s is %s and cannot be stopped.", id, j.State)
		}
		if store.StampOf(ctx).Untouched && j.Kind.Started(j.Reached) {
			return job.Faultf(job.CodeStale, "Job %s is %s by now: stopped, its laptop does not start until it is imaged again.", id, j.State)
		}
		j.CancelBy = operator
		if err := tx.Audit(operator, "cancel", j.Device, fmt.Sprintf("Job %s in state %s.", id, j.State)); err != nil {
			return err
		}
		if j.AgentKey == "" || s.now().Sub(s.lastHeard(j.AgentKey)) > silence {
			return s.end(tx, j, job.Cancelled, job.Faultf(job.CodeCancelled, "By %s.", operator), nil)
		}
		return tx.PutJob(j)
	})
	if err != nil {
		return store.JobView{}, err
	}
	return s.Job(ctx, id)
}
