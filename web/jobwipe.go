package web

import (
	"context"
	"fmt"
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

// endLook is the word and the colour of each end. Only what has its Certificate is wiped.
var endLook = map[store.DriveEnd]stateWord{
	store.DriveWaits:     {Word: "to be wiped", Colour: job.Grey},
	store.DriveBegun:     {Word: "being wiped", Colour: job.Blue},
	store.DriveClosed:    {Word: "wiped", Colour: job.Green},
	store.DriveRefused:   {Word: "not begun", Colour: job.Red},
	store.DriveFailed:    {Word: "failed: not wiped", Colour: job.Red},
	store.DriveUnsettled: {Word: "unproven: nobody knows how it ended", Colour: job.Red},
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
		look, known := endLook[x.End]
		if !known {
			look = stateWord{Word: string(x.End), Colour: job.Red}
		}
		if x.End == store.DriveWaits && d.State == job.WipeBegun {
			look = endLook[store.DriveBegun]
		}
		look.Icon = icons[look.Colour]
		out = append(out, wipeDrive{x, look, wordsOf(x.Fault)})
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

// Goal is where the laptop goes when every drive of it is clean.
func (d jobData) Goal() string {
	switch o := d.Wipe.Order; {
	case o.Dispose:
		return "out of the house: disposed"
	case o.Then != nil && o.Then.Role != "":
		return fmt.Sprintf("it gets the image of the role %s", o.Then.Role)
	case o.Then != nil:
		return fmt.Sprintf("it gets %s", o.Then.Image)
	}
	return "into the pool: ready"
}

// ThenWords are why the image did not follow.
func (d jobData) ThenWords() *faultWords { return wordsOf(d.Wipe.ThenFault) }
