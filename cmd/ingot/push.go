package main

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/push"
)

// pushGuard says to which addresses may be sent.
func (c config) pushGuard() (g push.Guard, err error) {
	bad := func(format string, args ...any) (push.Guard, error) {
		return push.Guard{}, job.Faultf(job.CodeBadRequest, format, args...)
	}
	for _, s := range c.Push.Allow {
		p, err := netip.ParsePrefix(s)
		if a, e := netip.ParseAddr(s); e == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return bad("push.allow: %.60q is neither an address nor a network.", s)
		}
		g.Allow = append(g.Allow, p.Masked())
	}
	if c.Push.CSV != "" && !filepath.IsAbs(c.Push.CSV) {
		return bad("push.csv: %.100q is no folder from the root on.", c.Push.CSV)
	}
	if c.Push.CA == "" {
		return g, nil
	}
	b, err := os.ReadFile(c.Push.CA)
	if err != nil {
		return bad("push.ca: %s.", job.Reason(err))
	}
	if g.Roots, err = x509.SystemCertPool(); err != nil {
		g.Roots = x509.NewCertPool()
	}
	if !g.Roots.AppendCertsFromPEM(b) {
		return bad("push.ca: %s holds no certificate (PEM).", c.Push.CA)
	}
	return g, nil
}

func (a *app) pushCommand() *cobra.Command {
	return group("push", "Asset registers and webhooks that are told what happens here", a.pushStatus(), a.pushRegister(), a.pushWebhook(), a.pushSecret(), a.pushTest(),
		a.pushRetry(), a.pushRemove(), a.pushCSV())
}

func (a *app) pushWebhook() *cobra.Command {
	n := store.PushNew{Kind: store.PushHook}
	c := &cobra.Command{Use: "webhook NAME --url URL", Short: "Send a signed message for each event; prints the secret once", Args: args(cobra.ExactArgs(1)),
		Example: "ingot push webhook itsm --url https://itsm.example/hooks/ingot --event device.done --event device.failed",
		Long: "The messages are signed as the convention Standard Webhooks says, with the headers webhook-id, webhook-timestamp and webhook-signature. An event is named by what it is about " +
			"and what was done (device.adopt, device.done, version.release); device.* is all about devices, * is everything. Without --event it is device.* and version.*.",
		RunE: func(c *cobra.Command, given []string) error {
			n.Name = given[0]
			return a.with(true, func(cl *client) error {
				out, err := post[store.PushMade](c.Context(), cl, "push/targets", n)
				if err != nil {
					return err
				}
				return a.tell(out, cmp.Or(out.Secret, out.Name), func() error { return a.sayMade(out) })
			})
		}}
	c.Flags().StringVar(&n.URL, "url", "", "address of the receiver")
	c.Flags().StringSliceVar(&n.Events, "event", nil, "kind of event, as device.done, device.* or *; may be repeated")
	c.Flags().BoolVar(&n.Plain, "plain-http", false, "http without TLS is meant: everybody on the way reads the messages")
	must1(c.MarkFlagRequired("url"))
	return a.outputFlag(c)
}

// sayMade prints a secret alone on stdout, and the words around it on stderr.
func (a *app) sayMade(m store.PushMade) error {
	if m.Secret == "" {
		return a.sayf("%s is kept", m.Name)()
	}
	fmt.Fprintf(a.err, "The secret of %s is shown only now. Give it to whoever runs the receiver:\n", m.Name)
	_, err := fmt.Fprintln(a.out, m.Secret)
	return err
}

func (a *app) pushSecret() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "secret NAME", Short: "Give a webhook a new secret; the old one signs beside it for a day", Args: args(cobra.ExactArgs(1)), Example: "ingot push secret itsm",
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				out, err := post[store.PushMade](c.Context(), cl, "push/targets/"+url.PathEscape(given[0])+"/secret", nil)
				if err != nil {
					return err
				}
				return a.tell(out, out.Secret, func() error { return a.sayMade(out) })
			})
		}})
}

func (a *app) pushTest() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "test NAME", Short: "Ask a register or a receiver once, and list what a register has to choose from", Args: args(cobra.ExactArgs(1)), Example: "ingot push test snipe",
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				out, err := post[store.PushTested](c.Context(), cl, "push/targets/"+url.PathEscape(given[0])+"/test", nil)
				if err != nil {
					return err
				}
				return a.tell(out, out.Target, func() error { return a.sayTested(out) })
			})
		}})
}

func (a *app) sayTested(t store.PushTested) error {
	fmt.Fprintln(a.err, printable(t.Says))
	type row struct{ what, key, name, kind string }
	var rows []row
	for _, part := range []struct {
		what string
		all  []store.PushChoice
	}{{"label", t.Labels}, {"column", t.Columns}, {"model", t.Models}} {
		for _, c := range part.all {
			rows = append(rows, row{part.what, cmp.Or(c.Key, strconv.Itoa(c.ID)), c.Name, c.Type})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return show(a, rows, func(r row) string { return r.key }, column[row]{head: "FOR", cell: func(r row) string { return "--" + r.what }}, column[row]{head: "VALUE", cell: func(r row) string { return r.key }},
		column[row]{head: "NAME", cell: func(r row) string { return r.name }}, column[row]{head: "TYPE", cell: func(r row) string { return r.kind }})
}

func (a *app) pushRetry() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "retry NAME [KEY]", Short: "Send again now what waits or was given up, and start a target that was stopped", Args: args(cobra.RangeArgs(1, 2)),
		Example: "ingot push retry snipe", RunE: func(c *cobra.Command, given []string) error {
			r := store.PushRetry{Target: given[0]}
			if len(given) == 2 {
				r.Key = given[1]
			}
			return a.with(false, func(cl *client) error {
				out, err := post[store.PushRetried](c.Context(), cl, "push/retry", r)
				if err != nil {
					return err
				}
				return a.tell(out, given[0], a.sayf("%d to be sent again to %s", out.Items, given[0]))
			})
		}})
}

func (a *app) pushRemove() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "remove NAME", Short: "Tell a register or receiver nothing any more; what waits for it is forgotten", Args: args(cobra.ExactArgs(1)), Example: "ingot push remove itsm",
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				if _, err := ask[struct{}](c.Context(), cl, http.MethodDelete, "push/targets/"+url.PathEscape(given[0]), nil); err != nil {
					return err
				}
				return a.tell(store.PushName{Target: given[0]}, given[0], a.sayf("%s is told nothing any more", given[0]))
			})
		}})
}

func (a *app) pushCSV() *cobra.Command {
	return &cobra.Command{Use: "csv", Short: "Print every device as CSV, for registers and spreadsheets", Args: args(cobra.NoArgs), Example: "ingot push csv",
		Long: "Each text stands in quotes, times are in UTC, and a text that a spreadsheet would run has an apostrophe before it. The columns keep their names.",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(false, func(cl *client) error {
				body, err := cl.send(c.Context(), http.MethodGet, "push/devices.csv", nil)
				if err != nil {
					return err
				}
				defer body.Close()
				_, err = io.Copy(a.out, body)
				return err
			})
		}}
}
