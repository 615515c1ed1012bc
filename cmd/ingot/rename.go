package main

import (
	"github.com/spf13/cobra"

	"ingot/store"
)

func (a *app) deviceRename() *cobra.Command {
	var o store.Rename
	c := &cobra.Command{Use: "rename DEVICE", Short: "Give a deployed device another name; everything else on it stays",
		Long: `Orders a job that rewrites the name in the laptop's system, and its boot entry. The laptop takes the order at its next
network boot. The new name is reserved at once; the one before is free when the laptop has proven that it carries the new one.`,
		Args: args(cobra.ExactArgs(1)), ValidArgsFunction: a.completing((*app).deviceNames), Example: "ingot device rename SALES-017 --name SALES-018",
		RunE: func(c *cobra.Command, given []string) error {
			o.Device = given[0]
			return a.with(false, func(cl *client) error {
				j, err := actOn[store.JobView](c.Context(), cl, o.Device, "renames", o)
				if err != nil {
					return err
				}
				return show(a, []store.JobView{j}, func(j store.JobView) string { return string(j.ID) }, jobColumns()...)
			})
		}}
	c.Flags().StringVar(&o.Name, "name", "", "the new name; or")
	c.Flags().StringVar(&o.Role, "role", "", "role whose pattern makes it")
	c.MarkFlagsOneRequired("name", "role")
	c.MarkFlagsMutuallyExclusive("name", "role")
	return a.outputFlag(c)
}
