package web

import (
	"cmp"
	"context"
	"strings"
	"time"

	"ingot/imaging/job"
	"ingot/store"
)

// wipeDrive is one drive of a wipe, as the page of its job shows it.
type wipeDrive struct {
	store.WipeDrive
	Look  stateWord
	Words *faultWords // why it is not wiped, and what now
}

// endColours are the colours of each end.
var endColours = map[store.DriveEnd]job.Colour{store.DriveWaits: job.Grey, store.DriveBegun: job.Blue, store.DriveClosed: job.Green}

func lookOfEnd(e store.DriveEnd) stateWord {
	c := cmp.Or(endColours[e], job.Red)
	return stateWord{Word: e.Word(), Colour: c, Icon: icons[c]}
}

// wipedOf says what a wipe destroys on a device, and whether it would be wiped at all.
func (a *API) wipedOf(ctx context.Context, v store.DeviceView) (string, bool, error) {
	switch {
	case a.Wiper == nil:
		return "", false, nil
	case v.State != store.Returned && v.State != store.Wiping:
		return "nothing: it did not come back", false, nil
	}
	kept, err := a.Wiper.DrivesOf(ctx, v.ID)
	if err != nil {
		return "", false, err
	}
	d := deviceData{DeviceView: v, Kept: kept}
	var words []string
	for _, x := range d.Wiped() {
		words = append(words, strings.TrimSpace(x.Model+" "+x.Serial))
	}
	for _, x := range d.Absent() {
		words = append(words, "not "+strings.TrimSpace(x.Model+" "+x.Serial)+", which was not in it")
	}
	if len(d.Wiped()) == 0 {
		words = append([]string{"nothing: no drive in it owes a record"}, words...)
	}
	return strings.Join(words, "; "), len(d.Wiped()) > 0, nil
}

// WipeDrives are the drives of a wipe.
func (d jobData) WipeDrives() (out []wipeDrive) {
	if d.Wipe == nil {
		return nil
	}
	for _, x := range d.Wipe.Drives {
		end := x.End
		if end == store.DriveWaits && d.State == job.WipeBegun {
			end = store.DriveBegun
		}
		out = append(out, wipeDrive{x, lookOfEnd(end), wordsOf(x.Fault)})
	}
	return out
}

// Left is how long something takes still, in people's words; nothing where nobody knows.
func (d jobData) Left(seconds int) string {
	if seconds <= 0 {
		return ""
	}
	return job.LeftWord(time.Duration(seconds) * time.Second)
}

// ThenWords are why the image did not follow.
func (d jobData) ThenWords() *faultWords { return wordsOf(d.Wipe.ThenFault) }
