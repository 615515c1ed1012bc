package main

import (
	"net/url"

	"github.com/spf13/cobra"

	"ingot/store"
)

func (a *app) deviceLost() *cobra.Command {
	var l store.Loss
	c := &cobra.Command{Use: "lost DEVICE", Short: "Report a device as lost: it gets no job, and its next start alarms", Args: args(cobra.ExactArgs(1)),
		ValidArgsFunction: a.completing((*app).deviceNames), Example: "ingot device lost SALES-017 --tell \"the helpdesk, room 12\"",
		Long: "An order that waits for it is stopped. When it starts here again it stands first in \"ingot device list\", and its screen says\nwhom to tell.",
		RunE: func(c *cobra.Command, given []string) error { return a.whereabouts(c, given[0], "lost", l) }}
	c.Flags().StringVar(&l.Tell, "tell", "", "whom its screen asks to tell (default: you)")
	c.Flags().StringVar(&l.Note, "note", "", "what is known")
	return a.outputFlag(c)
}

func (a *app) deviceFound() *cobra.Command {
	r := store.Return{Found: true}
	c := &cobra.Command{Use: "found DEVICE", Short: "Take a lost device back", Args: args(cobra.ExactArgs(1)),
		ValidArgsFunction: a.completing((*app).deviceNames), Example: "ingot device found SALES-017 --from \"the porter\"",
		RunE: func(c *cobra.Command, given []string) error { return a.whereabouts(c, given[0], "return", r) }}
	c.Flags().StringVar(&r.From, "from", "", "who brought it")
	c.Flags().StringVar(&r.Note, "note", "", "what is known")
	must(c, "from")
	return a.outputFlag(c)
}

func (a *app) deviceReturn() *cobra.Command {
	var r store.Return
	c := &cobra.Command{Use: "return DEVICE", Short: "Take a device back from its owner", Args: args(cobra.ExactArgs(1)),
		ValidArgsFunction: a.completing((*app).deviceNames), Example: "ingot device return SALES-017 --from \"Bo Berg\"",
		Long: "Its owner is cleared and its name stays reserved. It gets no image for somebody else before its drives are cleared.",
		RunE: func(c *cobra.Command, given []string) error { return a.whereabouts(c, given[0], "return", r) }}
	c.Flags().StringVar(&r.From, "from", "", "who brought it")
	c.Flags().StringVar(&r.Note, "note", "", "what is known")
	must(c, "from")
	return a.outputFlag(c)
}

// whereabouts says where a device is, and tells what it is now.
func (a *app) whereabouts(c *cobra.Command, device, act string, in any) error {
	return a.with(false, func(cl *client) error {
		d, err := actOn[store.DeviceView](c.Context(), cl, device, "devices/"+url.PathEscape(device)+"/"+act, in)
		if err != nil {
			return err
		}
		return a.tell(d, d.ID, a.sayf("%s is %s", d.Label(), d.State))
	})
}
