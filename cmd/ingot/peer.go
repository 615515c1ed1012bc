package main

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"ingot/store"
)

func (a *app) peerCommand() *cobra.Command {
	return group("peer", "Other Ingot servers that fetch images here, or from which they are fetched", a.peerAllow(), a.peerAdd(), a.peerList(), a.peerRemove())
}

func (a *app) peerAllow() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "allow NAME", Short: "Let another server fetch images here and send some; prints its token once", Args: args(cobra.ExactArgs(1)),
		Example: "ingot peer allow branch", Long: "The token lets one server in: the first that shows it. It may read every golden version but withdrawn ones, and what it sends arrives as a draft. Allowing it again makes a new token; \"ingot peer remove\" ends it.",
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(true, func(cl *client) error {
				got, err := post[store.PeerToken](c.Context(), cl, "peers/allow", store.PeerAllow{Name: given[0]})
				if err != nil {
					return err
				}
				return a.tell(got, got.Token, func() error {
					fmt.Fprintf(a.err, "On that server run (the name is what it will call this one; the token is shown only now):\n")
					_, err := fmt.Fprintf(a.out, "ingot peer add HERE %s %s\n", got.URL, got.Token)
					return err
				})
			})
		}})
}

func (a *app) peerAdd() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "add NAME URL TOKEN", Short: "Make a server known that allowed this one", Args: args(cobra.ExactArgs(3)),
		Example: "ingot peer add main https://192.168.10.5:8443 TOKEN", Long: "URL and TOKEN are what \"ingot peer allow\" printed there. The server is asked at once; its images are trusted from then on.",
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(true, func(cl *client) error {
				got, err := post[store.PeerView](c.Context(), cl, "peers", store.PeerAdd{Name: given[0], URL: given[1], Token: given[2]})
				if err != nil {
					return err
				}
				return a.tell(got, got.Name, a.sayf("%s answers at %s and signs with %s", got.Name, got.URL, got.Key))
			})
		}})
}

func (a *app) peerList() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "list", Short: "List the other servers", Example: "ingot peer list", Args: args(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error {
		return a.with(false, func(cl *client) error {
			all, err := get[[]store.PeerView](c.Context(), cl, "peers")
			if err != nil {
				return err
			}
			return show(a, all, func(p store.PeerView) string { return p.Name },
				column[store.PeerView]{head: "PEER", cell: func(p store.PeerView) string { return p.Name }},
				column[store.PeerView]{head: "MAY ASK", cell: func(p store.PeerView) string { return map[bool]string{true: "yes", false: "no"}[p.May] }},
				column[store.PeerView]{head: "ASKED AT", cell: func(p store.PeerView) string { return p.URL }},
				column[store.PeerView]{head: "SEEN", cell: func(p store.PeerView) string { return when(p.Seen) }},
				column[store.PeerView]{head: "KEY", wide: true, cell: func(p store.PeerView) string { return p.Key }},
				column[store.PeerView]{head: "BY", wide: true, cell: func(p store.PeerView) string { return p.By }})
		})
	}})
}

func (a *app) peerRemove() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "remove NAME", Short: "Let a server in no more, ask it no more and trust its images no more", Args: args(cobra.ExactArgs(1)),
		Example: "ingot peer remove branch", RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				if _, err := ask[struct{}](c.Context(), cl, http.MethodDelete, "peers/"+url.PathEscape(given[0]), nil); err != nil {
					return err
				}
				return a.tell(store.PeerView{Name: given[0]}, given[0], a.sayf("%s is no peer any more", given[0]))
			})
		}})
}

func (a *app) imagePush() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "push NAME[@VERSION] PEER", Short: "Send a version to another server; only what it lacks travels", Args: args(cobra.ExactArgs(2)),
		Example: "ingot image push sales@3 branch", ValidArgsFunction: a.completing((*app).versionNames),
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				got, err := stream[store.Work, store.Transferred](c.Context(), cl, http.MethodPost, "images/push", store.Transfer{Image: given[0], Peer: given[1]}, a.teller())
				if err != nil {
					return err
				}
				if got.Known {
					return a.tell(got, got.There, a.sayf("%s holds this already, as %s", given[1], got.There))
				}
				return a.tell(got, got.There, a.sayf("%s is %s on %s, a draft; %s travelled", got.Version.Ref(), got.There, given[1], size(got.Sent)))
			})
		}})
}

func (a *app) imagePull() *cobra.Command {
	var t store.Transfer
	c := &cobra.Command{Use: "pull NAME[@VERSION] PEER", Short: "Take a version from another server; only what is lacking here travels", Args: args(cobra.ExactArgs(2)),
		Example: "ingot image pull sales@3 main",
		RunE: func(c *cobra.Command, given []string) error {
			t.Image, t.Peer = given[0], given[1]
			return a.with(false, func(cl *client) error {
				got, err := stream[store.Work, store.Imported](c.Context(), cl, http.MethodPost, "images/pull", t, a.teller())
				if err != nil {
					return err
				}
				return a.showImported(got)
			})
		}}
	c.Flags().BoolVar(&t.Release, "release", false, "release it at once, when nothing red is found in it")
	return a.outputFlag(c)
}
