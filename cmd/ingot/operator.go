package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ingot/store"
	"ingot/web"
)

func (a *app) operatorCommand() *cobra.Command {
	return group("operator", "Who may sign in at the pages, and what each may do", a.operatorAdd(), a.operatorList(), a.operatorSet(), a.operatorDisable(), a.operatorRecover(), a.operatorPolicy())
}

func (a *app) operatorAdd() *cobra.Command {
	var in store.OperatorAdd
	c := &cobra.Command{Use: "add NAME", Short: "Let somebody in; prints the link by which a password is set, once", Args: args(cobra.ExactArgs(1)),
		Example: "ingot operator add anna --right technician",
		Long: `The name stands in the record with every act. Give the link to that person only: it works once, within a day.
Rights, each with those before it: viewer (sees everything), technician (adopts, images, renames, captures, takes back,
wipes), image-manager (decides which versions laptops receive), administrator (operators, keys, other servers).`,
		RunE: func(c *cobra.Command, given []string) error {
			in.Name = given[0]
			return a.with(true, func(cl *client) error {
				got, err := post[store.OperatorLink](c.Context(), cl, "operators", in)
				if err != nil {
					return err
				}
				if err := a.tellLink(got); err != nil {
					return err
				}
				return a.warnOfNoAdministrator(c.Context(), cl)
			})
		}}
	c.Flags().StringVar((*string)(&in.Right), "right", string(store.Technician), "viewer, technician, image-manager or administrator")
	must1(c.RegisterFlagCompletionFunc("right", cobra.FixedCompletions(rightNames(), cobra.ShellCompDirectiveNoFileComp)))
	return a.outputFlag(c)
}

// warnOfNoAdministrator says so when others were let in before there is an administrator: the first one's link, which the
// daemon printed, ended with that.
func (a *app) warnOfNoAdministrator(ctx context.Context, cl *client) error {
	all, err := get[[]store.OperatorView](ctx, cl, "operators")
	if err != nil || slices.ContainsFunc(all, func(o store.OperatorView) bool { return o.Right == store.Administrator }) {
		return err
	}
	a.step("nobody is administrator yet, and the link for the first one ended with this: \"sudo ingot operator add NAME --right administrator\"")
	return nil
}

func rightNames() (out []string) {
	for _, r := range store.Rights {
		out = append(out, string(r))
	}
	return out
}

// tellLink prints a link on stdout and what it is for on stderr.
func (a *app) tellLink(l store.OperatorLink) error {
	return a.tell(l, l.Link, func() error {
		whom := l.Name + " sets a password with it"
		if l.Name == "" {
			whom = "whoever opens it becomes the first administrator"
		}
		fmt.Fprintf(a.err, "This link works once, until %s; %s:\n", when(l.Until), whom)
		_, err := fmt.Fprintln(a.out, l.Link)
		return err
	})
}

func (a *app) operatorList() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "list", Short: "List who may sign in", Example: "ingot operator list -o wide", Args: args(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error {
		return a.with(false, func(cl *client) error {
			all, err := get[[]store.OperatorView](c.Context(), cl, "operators")
			if err != nil {
				return err
			}
			return show(a, all, func(o store.OperatorView) string { return o.Name },
				column[store.OperatorView]{head: "NAME", cell: func(o store.OperatorView) string { return o.Name }},
				column[store.OperatorView]{head: "RIGHT", cell: func(o store.OperatorView) string { return string(o.Right) }},
				column[store.OperatorView]{head: "SIGNS IN", cell: howSignsIn},
				column[store.OperatorView]{head: "LAST", cell: func(o store.OperatorView) string { return when(o.SignedIn) }},
				column[store.OperatorView]{head: "SESSIONS", cell: func(o store.OperatorView) string { return strconv.Itoa(o.Sessions) }},
				column[store.OperatorView]{head: "SINCE", wide: true, cell: func(o store.OperatorView) string { return when(o.Since) }},
				column[store.OperatorView]{head: "BY", wide: true, cell: func(o store.OperatorView) string { return o.By }})
		})
	}})
}

// howSignsIn is one word or two about how an operator comes in.
func howSignsIn(o store.OperatorView) string {
	switch {
	case o.Disabled:
		return "not any more"
	case !o.LockedUntil.IsZero():
		return "locked until " + when(o.LockedUntil)
	case o.Issuer != "":
		return "through " + o.Issuer
	case o.Password:
		return "by password"
	}
	return "not yet"
}

func (a *app) operatorSet() *cobra.Command {
	var right string
	var enable, unlock, signOut bool
	c := &cobra.Command{Use: "set NAME", Short: "Change what an operator may do, unlock it, or sign it out everywhere", Args: args(cobra.ExactArgs(1)),
		Example: "ingot operator set anna --right image-manager\ningot operator set anna --unlock",
		RunE: func(c *cobra.Command, given []string) error {
			set := store.OperatorSet{Unlock: unlock, SignOut: signOut}
			if right != "" {
				set.Right = (*store.Right)(&right)
			}
			if enable {
				set.Disabled = new(bool)
			}
			if right == "" && !enable && !unlock && !signOut {
				return usage{fmt.Errorf("nothing to set: give --right, --enable, --unlock or --sign-out")}
			}
			return a.setOperator(c, given[0], set)
		}}
	c.Flags().StringVar(&right, "right", "", "viewer, technician, image-manager or administrator")
	c.Flags().BoolVar(&enable, "enable", false, "may sign in again")
	c.Flags().BoolVar(&unlock, "unlock", false, "forget the wrong passwords")
	c.Flags().BoolVar(&signOut, "sign-out", false, "end its sessions")
	must1(c.RegisterFlagCompletionFunc("right", cobra.FixedCompletions(rightNames(), cobra.ShellCompDirectiveNoFileComp)))
	return a.outputFlag(c)
}

func (a *app) setOperator(c *cobra.Command, name string, set store.OperatorSet) error {
	return a.with(false, func(cl *client) error {
		got, err := post[store.OperatorView](c.Context(), cl, "operators/"+url.PathEscape(name), set)
		if err != nil {
			return err
		}
		return a.tell(got, got.Name, a.sayf("%s: %s, signs in %s", got.Name, got.Right, howSignsIn(got)))
	})
}

func (a *app) operatorDisable() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "disable NAME", Short: "Let an operator in no more; sessions and tokens end at once", Args: args(cobra.ExactArgs(1)),
		Example: "ingot operator disable anna", Long: "The record keeps the name with all its acts. \"ingot operator set NAME --enable\" lets it in again.",
		RunE: func(c *cobra.Command, given []string) error {
			yes := true
			return a.setOperator(c, given[0], store.OperatorSet{Disabled: &yes})
		}})
}

func (a *app) operatorRecover() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "recover [NAME]", Short: "Print a new link that sets an operator's password, when nobody can sign in any more", Args: args(cobra.MaximumNArgs(1)),
		Example: "sudo ingot operator recover\nsudo ingot operator recover anna",
		Long: `Without a name it is for the only administrator, or makes the first one where there is no operator. The link works once,
within a day, and lets in again whoever was locked out or disabled. That it was made is in the audit trail, and stands on
the board until somebody there has seen it.`,
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(true, func(cl *client) error {
				all, err := get[[]store.OperatorView](c.Context(), cl, "operators")
				if err != nil {
					return err
				}
				name, err := recovered(all, given)
				if err != nil {
					return err
				}
				path := "operators/" + url.PathEscape(name) + "/link"
				if name == "" {
					path = "operator-link"
				}
				got, err := post[store.OperatorLink](c.Context(), cl, path, struct{}{})
				if err != nil {
					return err
				}
				return a.tellLink(got)
			})
		}})
}

// recovered is whose password the link sets: the one that was named, or the only administrator; "" when there is nobody.
func recovered(all []store.OperatorView, given []string) (string, error) {
	if len(given) == 1 {
		return given[0], nil
	}
	var names []string
	for _, o := range all {
		if o.Right == store.Administrator && o.Issuer == "" {
			names = append(names, o.Name)
		}
	}
	switch {
	case len(all) == 0:
		return "", nil
	case len(names) == 1:
		return names[0], nil
	case len(names) == 0:
		return "", usage{fmt.Errorf("no administrator has a password here: name an operator, and give it the right with \"ingot operator set NAME --right administrator\"")}
	}
	return "", usage{fmt.Errorf("name one of %s", strings.Join(names, ", "))}
}

func (a *app) operatorPolicy() *cobra.Command {
	var second string
	c := &cobra.Command{Use: "policy", Short: "What the site wants of its operators beyond their rights: a second person for wipes", Args: args(cobra.NoArgs),
		Example: "ingot operator policy\ningot operator policy --second-person on",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(true, func(cl *client) (err error) {
				var p store.AccessPolicy
				switch second {
				case "":
					p, err = get[store.AccessPolicy](c.Context(), cl, "access-policy")
				case "on", "off":
					p, err = post[store.AccessPolicy](c.Context(), cl, "access-policy", web.PolicySet{SecondPerson: second == "on"})
				default:
					err = usage{fmt.Errorf("--second-person is on or off, not %q", second)}
				}
				if err != nil {
					return err
				}
				word := map[bool]string{true: "on", false: "off"}[p.SecondPerson]
				return a.tell(p, word, a.sayf("a second person for wipes: %s", word))
			})
		}}
	c.Flags().StringVar(&second, "second-person", "", "on or off: a wipe needs another technician who agrees to it")
	must1(c.RegisterFlagCompletionFunc("second-person", cobra.FixedCompletions([]string{"on", "off"}, cobra.ShellCompDirectiveNoFileComp)))
	return a.outputFlag(c)
}

func (a *app) tokenCommand() *cobra.Command {
	return group("token", "Programs that act in somebody's name over the API", a.tokenAdd(), a.tokenList(), a.tokenRemove())
}

func (a *app) tokenAdd() *cobra.Command {
	var in store.TokenAdd
	c := &cobra.Command{Use: "add NAME", Short: "Make a token for a program; prints it once", Args: args(cobra.ExactArgs(1)),
		Example: "ingot token add monitoring --right viewer --only metrics --days 366",
		Long: `The program sends it as "Authorization: Bearer TOKEN". Its acts are recorded as YOU/NAME. --only bounds it to areas of the
API, such as devices or jobs; it may be repeated. No token makes operators, links or tokens.`,
		RunE: func(c *cobra.Command, given []string) error {
			in.Name = given[0]
			return a.with(true, func(cl *client) error {
				got, err := post[store.TokenMade](c.Context(), cl, "tokens", in)
				if err != nil {
					return err
				}
				return a.tell(got, got.Token, func() error {
					fmt.Fprintf(a.err, "The token %s holds until %s. It is shown only now:\n", got.Name, when(got.Until))
					_, err := fmt.Fprintln(a.out, got.Token)
					return err
				})
			})
		}}
	c.Flags().StringVar((*string)(&in.Right), "right", string(store.Viewer), "viewer, technician, image-manager or administrator; at most yours")
	c.Flags().StringSliceVar(&in.Only, "only", nil, "area of the API that it may use; default: all")
	c.Flags().IntVar(&in.Days, "days", 90, "how long it holds, at most 366")
	must1(c.RegisterFlagCompletionFunc("right", cobra.FixedCompletions(rightNames(), cobra.ShellCompDirectiveNoFileComp)))
	return a.outputFlag(c)
}

func (a *app) tokenList() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "list", Short: "List the tokens", Example: "ingot token list", Args: args(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error {
		return a.with(false, func(cl *client) error {
			all, err := get[[]store.TokenView](c.Context(), cl, "tokens")
			if err != nil {
				return err
			}
			return show(a, all, func(t store.TokenView) string { return t.Name },
				column[store.TokenView]{head: "TOKEN", cell: func(t store.TokenView) string { return t.Name }},
				column[store.TokenView]{head: "OF", cell: func(t store.TokenView) string { return t.Owner }},
				column[store.TokenView]{head: "RIGHT", cell: func(t store.TokenView) string { return string(t.Right) }},
				column[store.TokenView]{head: "ONLY", cell: func(t store.TokenView) string { return strings.Join(t.Only, ",") }},
				column[store.TokenView]{head: "UNTIL", cell: func(t store.TokenView) string { return when(t.Until) }},
				column[store.TokenView]{head: "LAST", cell: func(t store.TokenView) string { return when(t.Seen) }})
		})
	}})
}

func (a *app) tokenRemove() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "remove NAME", Short: "End a token at once", Args: args(cobra.ExactArgs(1)), Example: "ingot token remove monitoring",
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				if _, err := ask[struct{}](c.Context(), cl, http.MethodDelete, "tokens/"+url.PathEscape(given[0]), nil); err != nil {
					return err
				}
				return a.tell(store.TokenView{Name: given[0]}, given[0], a.sayf("%s opens nothing any more", given[0]))
			})
		}})
}
