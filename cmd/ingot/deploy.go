package main

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"ingot/imaging/job"
	"ingot/store"
)

func (a *app) deployCommand() *cobra.Command {
	var o store.Order
	var powerOff, yes bool
	c := &cobra.Command{Use: "deploy DEVICE...", Short: "Put an image on devices",
		Long: `Orders one image for each device. The laptop takes the order when it asks for it, now or at its next network boot.

A device that is in use loses its data. At a terminal its drive is shown and its serial asked for. Without one, name it by
its serial and give --yes and --data-saved; or give --data-saved and --confirm with its name, one device at a time. A
laptop that was adopted and never imaged needs no further word: whoever adopted it compared its serial.`,
		Example: `ingot deploy SALES-017 --image sales
ingot deploy LT-ABC1234 LT-ABC1235 --role sales
ingot deploy PF3ABCDE --image sales --data-saved --yes`,
		Args: args(cobra.MinimumNArgs(1)), ValidArgsFunction: a.completing((*app).deviceNames),
		RunE: func(c *cobra.Command, devices []string) error {
			switch {
			case (o.Image == "") == (o.Role == ""):
				return usage{fmt.Errorf("give either --image or --role; see \"%s --help\"", c.CommandPath())}
			case len(devices) > 1 && (o.Name != "" || o.Drive != "" || o.Confirm != "" || a.revision != 0):
				return usage{fmt.Errorf("--name, --drive, --confirm and --revision are for one device")}
			}
			if powerOff {
				o.After = job.PowerOff
			}
			return a.with(false, func(cl *client) error { return a.deploy(c, cl, o, devices, yes) })
		}}
	c.Flags().StringVar(&o.Image, "image", "", "NAME, NAME@VERSION or NAME@LABEL")
	c.Flags().StringVar(&o.Role, "role", "", "role that says image, name pattern and drive")
	c.Flags().StringVar(&o.Name, "name", "", "name that the device gets")
	c.Flags().StringVar(&o.Drive, "drive", "", "serial of the target drive, where there are several")
	c.Flags().BoolVar(&o.NoPersonalise, "no-personalise", false, "reserve the name without writing it")
	c.Flags().BoolVar(&o.DataSaved, "data-saved", false, "the data on a device in use was saved")
	c.Flags().StringVar(&o.Confirm, "confirm", "", "the name or serial of a device in use, typed out")
	yesFlag(c, &yes, "image a device in use without asking; it is named by its serial, and --data-saved given")
	c.Flags().BoolVar(&o.DespiteHealth, "despite-health", false, "use the drive although it reports that it is failing; goes on record")
	c.Flags().BoolVar(&o.Trial, "trial", false, "a draft may be named, to try it; goes on record")
	c.Flags().StringVar(&o.StaleReason, "stale-reason", "", "why a version is used that is older than its image's cadence allows; goes on record")
	c.Flags().BoolVar(&powerOff, "power-off", false, "switch the laptop off when done")
	a.completes(c, "image", (*app).versionNames)
	a.completes(c, "role", (*app).roleNames)
	return a.revisionFlag(a.outputFlag(c))
}

// deploy orders for each device.
func (a *app) deploy(c *cobra.Command, cl *client, o store.Order, devices []string, yes bool) error {
	return a.orderEach(devices, func(device string) (store.JobView, error) {
		o.Device = device
		return a.orderOne(c, cl, o, yes)
	})
}

// orderEach gives an order for each device; what was refused is told, and the rest goes on.
func (a *app) orderEach(devices []string, order func(device string) (store.JobView, error)) error {
	var done []store.JobView
	var last error
	for _, d := range devices {
		j, err := order(d)
		if err != nil {
			if last = err; len(devices) > 1 {
				fmt.Fprintf(a.err, "%s: %s\n", printable(d), words(err))
			}
			continue
		}
		done = append(done, j)
	}
	if len(done) > 0 {
		if err := show(a, done, func(j store.JobView) string { return string(j.ID) }, jobColumns()...); err != nil {
			return err
		}
	}
	switch {
	case last != nil && len(done) > 0:
		return partly{fmt.Errorf("%d of %d devices were refused", len(devices)-len(done), len(devices))}
	case last != nil && len(devices) > 1:
		return told{fmt.Errorf("none of the %d devices has an order; see above", len(devices))}
	}
	return last
}

// orderOne orders for one device. Whether it is in use the daemon knows; when it asks for a confirmation that was not
// given, the person is asked here.
func (a *app) orderOne(c *cobra.Command, cl *client, o store.Order, yes bool) (store.JobView, error) {
	j, err := actOn[store.JobView](c.Context(), cl, o.Device, "deploys", o)
	var f *job.Fault
	if !errors.As(err, &f) || f.Code != job.CodeUnconfirmed || o.Confirm != "" || !yes && !a.atTerminal() {
		return j, err
	}
	d, err := get[store.DeviceView](c.Context(), cl, "devices/"+url.PathEscape(o.Device))
	if err != nil {
		return j, err
	}
	if err := a.confirm(destruction{name: d.Label(), serial: d.Serial, what: lossOf(d, o)}, consent{yes: yes, serial: o.Device}); err != nil {
		return j, err
	}
	o.Confirm = d.Serial
	o.DataSaved = o.DataSaved || !yes                                      // whoever typed the serial was told that all data is lost
	return actAt[store.JobView](c.Context(), cl, d.Revision, "deploys", o) // what the person saw is what is acted on
}

// lossOf says what a device's owner loses.
func lossOf(d store.DeviceView, o store.Order) string {
	drives := "its drive"
	if o.Drive != "" {
		drives = "its drive " + o.Drive
	} else if w := drivesWord(d.Drives); w != "" {
		drives = "its drive " + w
	}
	holds := "may be in use"
	if d.Holds != nil {
		holds = fmt.Sprintf("holds %s since %s and may be in use", d.Holds.Image, when(d.Holds.Finished))
	}
	return fmt.Sprintf("Everything on %s is destroyed. It %s: go on only when its data is saved. To keep a copy first: %s", drives, holds, backupCommand(d, o.Drive))
}
