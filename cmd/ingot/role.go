package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"ingot/store"
)

func (a *app) roleCommand() *cobra.Command {
	return group("role", "What devices are for: image, name pattern, drive rule", a.roleAdd(), a.roleList())
}

func (a *app) roleAdd() *cobra.Command {
	var r store.Role
	var drive string
	c := &cobra.Command{Use: "add NAME", Short: "Add a role, or change it",
		Example: "ingot role add sales --image sales --names \"LT-{serial:-7}\"",
		Long:    "The pattern makes device names from text and {serial} {serial:-7} {asset} {model} {seq:4}.", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			r.Name, r.Drive = given[0], store.DriveRule(drive)
			return a.with(false, func(cl *client) error {
				got, err := post[store.Role](c.Context(), cl, "roles", r)
				if err != nil {
					return err
				}
				return a.tell(got, got.Name, a.sayf("role %s, revision %d", got.Name, got.Revision))
			})
		}}
	c.Flags().StringVar(&r.Image, "image", "", "NAME, or NAME@VERSION to pin one")
	c.Flags().StringVar(&r.Pattern, "names", "", "pattern of names, such as \"LT-{serial:-7}\"")
	c.Flags().StringVar(&drive, "drive", "", "target among several drives: largest, smallest or nvme")
	must(c, "image")
	a.completes(c, "image", (*app).imageNames)
	return a.outputFlag(c)
}

func (a *app) roleList() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "list", Short: "List the roles", Example: "ingot role list", Args: args(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error {
		return a.with(false, func(cl *client) error {
			all, err := get[[]store.Role](c.Context(), cl, "roles")
			if err != nil {
				return err
			}
			return show(a, all, func(r store.Role) string { return r.Name },
				column[store.Role]{head: "ROLE", cell: func(r store.Role) string { return r.Name }},
				column[store.Role]{head: "REVISION", cell: func(r store.Role) string { return fmt.Sprint(r.Revision) }},
				column[store.Role]{head: "IMAGE", cell: func(r store.Role) string { return r.Image }},
				column[store.Role]{head: "NAMES", cell: func(r store.Role) string { return r.Pattern }},
				column[store.Role]{head: "DRIVE", cell: func(r store.Role) string { return string(r.Drive) }},
				column[store.Role]{head: "BY", wide: true, cell: func(r store.Role) string { return r.By }},
				column[store.Role]{head: "CHANGED", wide: true, cell: func(r store.Role) string { return when(r.Changed) }})
		})
	}})
}

// must makes a flag required, as a usage error.
func must(c *cobra.Command, flags ...string) {
	run := c.RunE
	c.RunE = func(c *cobra.Command, given []string) error {
		for _, f := range flags {
			if !c.Flags().Changed(f) {
				return usage{fmt.Errorf("--%s is missing; see \"%s --help\"", f, c.CommandPath())}
			}
		}
		return run(c, given)
	}
}
