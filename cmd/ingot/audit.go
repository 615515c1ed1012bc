package main

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"ingot/store"
)

func (a *app) auditCommand() *cobra.Command {
	var limit int
	c := &cobra.Command{Use: "audit [SUBJECT]", Short: "Show who did what, oldest first", Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			q := url.Values{"limit": {fmt.Sprint(limit)}}
			if len(given) == 1 {
				q.Set("subject", given[0])
			}
			return a.with(false, func(cl *client) error {
				all, err := get[[]store.Event](c.Context(), cl, "audit?"+q.Encode())
				if err != nil {
					return err
				}
				return show(a, all, func(e store.Event) string { return fmt.Sprint(e.Number) },
					column[store.Event]{head: "NUMBER", cell: func(e store.Event) string { return fmt.Sprint(e.Number) }},
					column[store.Event]{head: "TIME", cell: func(e store.Event) string { return when(e.Time) }},
					column[store.Event]{head: "BY", cell: func(e store.Event) string { return e.Operator }},
					column[store.Event]{head: "ACT", cell: func(e store.Event) string { return e.Act }},
					column[store.Event]{head: "SUBJECT", cell: func(e store.Event) string { return e.Subject }},
					column[store.Event]{head: "TEXT", cell: func(e store.Event) string { return e.Text }},
					column[store.Event]{head: "HASH", wide: true, cell: func(e store.Event) string { return e.Hash.Short() }})
			})
		}}
	c.Flags().IntVar(&limit, "limit", 100, "how many of the newest")
	return a.outputFlag(c)
}
