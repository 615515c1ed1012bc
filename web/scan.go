package web

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"ingot/imaging/job"
	"ingot/store"
)

// Scan is one label that was held before the scanner, or typed.
type Scan struct {
	What  string `json:"what"`            // a serial, an asset tag, a name, the code on a laptop's screen, or the address in our own QR code
	Role  string `json:"role,omitempty"`  // what a new laptop becomes; empty keeps what a list said
	Start bool   `json:"start,omitempty"` // order the role's image as well
}

// Scanned is what came of it.
type Scanned struct {
	Device   string     `json:"device"`
	Label    string     `json:"label"`
	Word     string     `json:"word"`     // adopted, ordered, found, ...
	Colour   job.Colour `json:"colour"`   // yellow wants a person, red was refused
	Sentence string     `json:"sentence"` // what happened, or what to do now
	Open     bool       `json:"open,omitempty"`
	Job      job.ID     `json:"job,omitempty"`
}

// maxScan bounds what a scanner types, in bytes.
const maxScan = 300

// scanRefs gives what a label may mean, the likeliest first. Our own QR code holds the address of a device's page; makers
// put a prefix before the serial ("S", or "1S" with the type), and scanners add blanks and control characters.
func scanRefs(what string) []string {
	s := strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, what))
	if s == "" || len(s) > maxScan {
		return nil
	}
	if u, err := url.Parse(s); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		if _, id, ok := strings.Cut(u.Path, "/devices/"); ok && id != "" && !strings.Contains(id, "/") {
			return []string{id}
		}
		return nil
	}
	out := []string{s}
	switch {
	case len(s) >= 18 && strings.HasPrefix(strings.ToUpper(s), "1S"): // Lenovo: 1S, type of 10, serial of 8
		out = append(out, s[len(s)-8:])
	case len(s) >= 8 && (s[0] == 'S' || s[0] == 's'):
		out = append(out, s[1:])
	}
	return out
}

// scanAct is what a scan leads to.
type scanAct int

const (
	scanFind scanAct = iota
	scanAdopt
	scanDeploy
	scanTell // only say how it stands
)

// scanPlan decides what a scan does with the device that it found. A code was read off the laptop itself. A serial stands
// on a sticker and says nothing about who shows the code, so it adopts only while a person has the bench open. Nothing
// that may be in use is overwritten by a scan.
func scanPlan(d store.DeviceView, in Scan, byCode, benchOpen bool, operator string) (scanAct, Scanned) {
	out := Scanned{Device: d.ID, Label: cmp.Or(d.Label(), d.Serial), Colour: job.Yellow}
	tell := func(word, format string, args ...any) (scanAct, Scanned) {
		out.Word, out.Sentence = word, fmt.Sprintf(format, args...)
		return scanTell, out
	}
	switch {
	case d.State == store.Lost:
		out.Colour = job.Red
		return tell("lost", "It was reported lost. If it is here, take it back on its page.")
	case d.State == store.Quarantined:
		return tell(job.WordWhich, "%s", d.Conflict)
	case d.State == store.New && d.Code == "":
		return tell(job.WordWaiting, "It was here before and is not now. Start it from the network.")
	case d.State == store.New && d.SerialKey == "" && d.Sticker == "":
		return tell(job.WordWhich, "Its firmware tells no serial of its own. Open its page and scan its sticker there.")
	case d.State == store.New && !byCode && !benchOpen:
		return tell(job.WordWaiting, "The bench is closed: type the code that its screen shows, or open the bench.")
	case d.State == store.New:
		return scanAdopt, out
	case !in.Start:
		return scanFind, out
	case d.Job != nil && d.Job.Operator == operator:
		out.Colour, out.Job = job.Blue, d.Job.ID
		return tell("ordered", "You ordered %s already.", d.Job.What())
	case d.Job != nil:
		return tell("at work", "%s ordered %s before.", d.Job.Operator, d.Job.What())
	case d.State == store.Ready && d.Promised():
		return tell("not here", "It has not started here yet. Start it from the network, then scan it again or press Start on the board.")
	case d.State == store.Ready, d.State == store.Failed:
		return scanDeploy, out
	case d.State == store.Deployed:
		return tell("in use", "It holds data. To image it again, open its page and type its serial.")
	}
	return tell(string(d.State), "It is %s: open its page.", d.State)
}

// scan finds what was scanned and does what it leads to.
func (a *API) scan(ctx context.Context, operator string, in Scan) (Scanned, error) {
	d, err := a.scanned(ctx, in.What)
	if err != nil {
		return Scanned{}, err
	}
	b, err := a.Bench.Bench(ctx)
	if err != nil {
		return Scanned{}, err
	}
	act, out := scanPlan(d, in, d.Code != "" && sameCode(d.Code, strings.TrimSpace(in.What)), b.Open(timeNow()), operator)
	switch act {
	case scanTell:
		return out, nil
	case scanFind:
		out.Word, out.Colour, out.Open = "found", job.Green, true
		return out, nil
	case scanAdopt:
		if d, err = a.Bench.Adopt(stampFor(ctx, "adopt", d.Revision), operator, store.Adoption{Code: d.Code, Role: cmp.Or(in.Role, d.Role)}); err != nil {
			return out, err
		}
		out.Label, out.Word, out.Colour, out.Sentence = d.Label(), "adopted", job.Green, "Adopted; it waits for an order."
		if !in.Start {
			return out, nil
		}
	}
	j, err := a.Bench.Deploy(stampFor(ctx, "deploy", 0), operator, store.Order{Device: d.ID, Role: cmp.Or(in.Role, d.Role)})
	if err != nil {
		return out, err
	}
	out.Label, out.Word, out.Colour, out.Job, out.Sentence = j.DeviceLabel, "ordered", job.Blue, j.ID, "It gets "+j.What()+"."
	return out, nil
}

// scanned finds the device of a label: by id, name, serial or code, else by its asset tag.
func (a *API) scanned(ctx context.Context, what string) (store.DeviceView, error) {
	refs := scanRefs(what)
	for _, ref := range refs {
		d, err := a.Bench.Device(ctx, ref)
		if err == nil || job.FaultOf(err).Code != job.CodeNotFound {
			return d, err
		}
	}
	if len(refs) > 0 {
		all, err := a.Bench.Devices(ctx)
		if err != nil {
			return store.DeviceView{}, err
		}
		for _, d := range all {
			if d.Asset != "" && strings.EqualFold(d.Asset, refs[0]) {
				return d, nil
			}
		}
	}
	return store.DeviceView{}, job.Faultf(job.CodeScanned, "%.60q is no serial, tag, name or code that is known here.", strings.TrimSpace(what))
}
