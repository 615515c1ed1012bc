package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ingot/imaging/job"
	"ingot/store"
)

func (a *app) deployCommand() *cobra.Command {
	var o store.Order
	var powerOff bool
	c := &cobra.Command{Use: "deploy DEVICE...", Short: "Put an image on devices",
		Long: `Orders one image for each device. The laptop takes the order when it asks for it, now or at its next network boot.
A device that is in use needs --data-saved and --confirm with its name, one device at a time.`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, devices []string) error {
			switch {
			case (o.Image == "") == (o.Role == ""):
				return usage{fmt.Errorf("give either --image or --role; see \"%s --help\"", c.CommandPath())}
			case len(devices) > 1 && (o.Name != "" || o.Drive != "" || o.Confirm != ""):
				return usage{fmt.Errorf("--name, --drive and --confirm are for one device")}
			}
			if powerOff {
				o.After = job.PowerOff
			}
			return a.with(false, func(cl *client) error { return a.deploy(c, cl, o, devices) })
		}}
	c.Flags().StringVar(&o.Image, "image", "", "NAME, NAME@VERSION or NAME@LABEL")
	c.Flags().StringVar(&o.Role, "role", "", "role that says image, name pattern and drive")
	c.Flags().StringVar(&o.Name, "name", "", "name that the device gets")
	c.Flags().StringVar(&o.Drive, "drive", "", "serial of the target drive, where there are several")
	c.Flags().BoolVar(&o.NoPersonalise, "no-personalise", false, "reserve the name without writing it")
	c.Flags().BoolVar(&o.DataSaved, "data-saved", false, "the data on a device in use was saved")
	c.Flags().StringVar(&o.Confirm, "confirm", "", "the name of a device in use, typed out")
	c.Flags().BoolVar(&powerOff, "power-off", false, "switch the laptop off when done")
	return a.outputFlag(c)
}

// deploy orders for each device; what was refused is told, and the rest goes on.
func (a *app) deploy(c *cobra.Command, cl *client, o store.Order, devices []string) error {
	var done []store.JobView
	var last error
	for _, d := range devices {
		o.Device = d
		j, err := actOn[store.JobView](c.Context(), cl, d, "deploys", o)
		if err != nil {
			if len(devices) > 1 {
				fmt.Fprintf(a.err, "%s: %s\n", printable(d), words(err))
			}
			last = err
			continue
		}
		done = append(done, j)
	}
	if len(done) > 0 {
		if err := show(a, done, func(j store.JobView) string { return string(j.ID) }, jobColumns()...); err != nil {
			return err
		}
	}
	if last != nil && len(done) > 0 {
		return partly{fmt.Errorf("%d of %d devices were refused", len(devices)-len(done), len(devices))}
	}
	return last
}
