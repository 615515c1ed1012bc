package main

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"ingot/store"
)

func (a *app) auditCommand() *cobra.Command {
	var limit int
	var check bool
	c := &cobra.Command{Use: "audit [SUBJECT]", Short: "Show who did what, oldest first", Example: "ingot audit SALES-017\ningot audit --check", Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			if check {
				return a.with(false, func(cl *client) error { return a.checkAudit(c, cl) })
			}
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
	c.Flags().BoolVar(&check, "check", false, "prove that no event was changed or removed; exit code 3 names the first")
	c.Flags().IntVar(&limit, "limit", 100, "how many of the newest")
	c.AddCommand(a.auditVerify())
	return a.outputFlag(c)
}

// checkAudit tells the chain's newest hash: whoever notes it can prove later that nothing before it was cut off.
func (a *app) checkAudit(c *cobra.Command, cl *client) error {
	chain, err := get[store.Chain](c.Context(), cl, "audit/chain")
	if err != nil {
		return err
	}
	err = a.tell(chain, chain.Head.String(), a.sayf("%d events hold, head %s", chain.Events, chain.Head))
	if err == nil && chain.Broken > 0 {
		err = partly{fmt.Errorf("event %d of the audit trail was changed, removed or put elsewhere", chain.Broken)}
	}
	return err
}
