package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ingot/imaging/job"
	"ingot/store"
)

func (a *app) captureCommand() *cobra.Command {
	var o store.Capture
	var grow, keep string
	var restart bool
	c := &cobra.Command{Use: "capture DEVICE", Short: "Make a version of an image from a device's drive; nothing on the device changes",
		Long: `Orders a capture: the laptop takes the order when it asks for it, now or at its next network boot, and sends its drive
into the library. The drive is only read. Of what the library holds already nothing is sent, so a capture that was cut off
goes on where it was.

A reference machine is generalised and shut down first (Windows: sysprep with /shutdown), then started from the network.
When its drive is in the library the laptop switches off, or with --restart starts its own system.

With --backup the version is a copy of this device, for this device: take one before it is imaged again.`,
		Example: `ingot capture REF-01 --image sales --label 2026-12 --note "Firefox 140, updates of November" --release
ingot capture SALES-017 --backup --keep 90d`,
		Args: args(cobra.ExactArgs(1)), ValidArgsFunction: a.completing((*app).deviceNames),
		RunE: func(c *cobra.Command, given []string) (err error) {
			switch {
			case o.Backup == (o.Image != ""):
				return usage{fmt.Errorf("give either --image or --backup; see \"%s --help\"", c.CommandPath())}
			case o.Backup && o.Release || !o.Backup && c.Flags().Changed("keep"):
				return usage{fmt.Errorf("--release is for an image, --keep for a backup")}
			}
			if o.Grow, err = growChoice(grow); err != nil {
				return err
			}
			if o.Backup {
				if o.Days, err = days(keep); err != nil {
					return err
				}
			}
			if restart {
				o.After = job.Reset
			}
			o.Device = given[0]
			return a.with(false, func(cl *client) error {
				j, err := actOn[store.JobView](c.Context(), cl, o.Device, "captures", o)
				if err != nil {
					return err
				}
				return show(a, []store.JobView{j}, func(j store.JobView) string { return string(j.ID) }, jobColumns()...)
			})
		}}
	c.Flags().StringVar(&o.Image, "image", "", "name of the image that gets the version; or")
	c.Flags().BoolVar(&o.Backup, "backup", false, "a copy of this device, for this device only")
	c.Flags().StringVar(&keep, "keep", fmt.Sprintf("%dd", store.BackupDays), "with --backup: how long it is kept, in days")
	c.Flags().StringVar(&o.Label, "label", "", "label of the version, such as 2026-12")
	c.Flags().StringVar(&o.Note, "note", "", "what changed")
	c.Flags().StringVar(&o.Drive, "drive", "", "serial of the drive, where there are several")
	c.Flags().BoolVar(&o.Release, "release", false, "release it at once, when nothing stands against it; needs --note")
	c.Flags().IntVar(&o.Root, "root-partition", 0, "number of the partition that holds the system (default: found by its type or its fstab)")
	c.Flags().StringVar(&grow, "grow-partition", "", "number of the partition that takes the room of a larger drive, or none (default: the root partition)")
	c.Flags().BoolVar(&restart, "restart", false, "start the laptop's own system afterwards, instead of switching it off")
	return a.revisionFlag(a.outputFlag(c))
}

// days reads --keep.
func days(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSuffix(s, "d"))
	if err != nil || n < 1 || n > store.MaxBackupDays {
		return 0, usage{fmt.Errorf("--keep %q is not a number of days such as 90d, at most %dd", s, store.MaxBackupDays)}
	}
	return n, nil
}

// backupCommand is what a person runs to keep a copy of a device before it loses what is on it.
func backupCommand(d store.DeviceView, drive string) string {
	s := "ingot capture " + d.Label() + " --backup"
	if drive != "" {
		s += " --drive " + drive
	}
	return s
}

// madeWord says how a version came into the library.
func madeWord(v store.Version) string {
	if v.Device != "" {
		return "Captured"
	}
	return "Imported"
}
