package deploy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/wipe/cert"
	"ingot/store"
)

// listed is what of a signed record stands beside it, for lists, pages and counts.
func listed(r cert.Record, signed []byte) store.Evidence {
	e := store.Evidence{Number: r.Number, ID: r.ID, Kind: store.Wiped, Device: r.Device.ID, Label: r.Device.Name, Serial: r.Device.Serial,
		DriveWord: store.Drive{Serial: r.Drive.Serial, Model: r.Drive.Model}.Word(), Time: r.Issued, Hash: cert.Hash(signed), Signed: signed}
	if r.Sanitised != nil {
		e.Job, e.Technique, e.Claim = job.ID(r.Sanitised.Job), r.Sanitised.Does, r.Sanitised.Claim
		e.Operator = inRole(r.Sanitised.People, cert.RoleOrdered)
	} else {
		e.Kind, e.Technique, e.Operator = store.Destroyed, r.Destroyed.Method, inRole(r.Destroyed.People, cert.RoleRecorded)
	}
	return e
}

func inRole(people []cert.Person, role string) string {
	if i := slices.IndexFunc(people, func(p cert.Person) bool { return p.Role == role }); i >= 0 {
		return people[i].Name
	}
	return ""
}

// otherThanSigned says in which word a record in the lists is not what was signed; "" when it is the same. A device without
// a name was listed by its serial or its id; a drive that tells no serial was signed for, and listed, by its model.
func otherThanSigned(e store.Evidence, r cert.Record) string {
	want := listed(r, e.Signed)
	key, _, _ := strings.Cut(store.DriveKey(r.Drive.Serial, ""), "\x00")
	mute := r.Kind == cert.Destruction && strings.EqualFold(r.Drive.Serial, r.Drive.Model)
	label := e.Label == want.Label
	if want.Label == "" {
		label = e.Label == r.Device.Serial || e.Label == r.Device.ID
	}
	for _, x := range []struct {
		what         string
		same         bool
		listed, want any
	}{
		{"number", e.Number == want.Number, e.Number, want.Number},
		{"record", e.ID == want.ID, e.ID, want.ID},
		{"kind", e.Kind == want.Kind, e.Kind, want.Kind},
		{"device", e.Device == want.Device, e.Device, want.Device},
		{"name", label, e.Label, want.Label},
		{"serial", e.Serial == want.Serial, e.Serial, want.Serial},
		{"drive", driveSerial(e) == key || driveSerial(e) == "" && (key == "" || e.Kind == store.Destroyed), driveSerial(e), key},
		{"drive", folded(e.DriveWord) == folded(want.DriveWord) || mute && e.DriveWord == (store.Drive{Model: r.Drive.Model}).Word(), e.DriveWord, want.DriveWord},
		{"job", e.Job == want.Job, e.Job, want.Job},
		{"time", e.Time.Truncate(time.Second).Equal(want.Time), e.Time, want.Time},
		{"operator", e.Operator == want.Operator, e.Operator, want.Operator},
		{"technique", e.Technique == want.Technique, e.Technique, want.Technique},
		{"claim", e.Claim == want.Claim, e.Claim, want.Claim},
		{"hash", e.Hash == want.Hash, e.Hash, want.Hash},
	} {
		if !x.same {
			return fmt.Sprintf("The lists name the %s %q, signed was %q.", x.what, fmt.Sprint(x.listed), fmt.Sprint(x.want))
		}
	}
	return ""
}

// folded is a text with single blanks, as a key has it: drives fill their serials with blanks.
func folded(s string) string { return strings.Join(strings.Fields(s), " ") }
