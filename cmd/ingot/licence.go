package main

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"ingot/store"
	"ingot/web/report"
)

func (a *app) licenceCommand() *cobra.Command {
	return group("licence", "What was bought, and which software it covers", a.licenceList(), a.licenceSet(), a.licenceRemove(), a.licenceImport(),
		a.licenceRules(), a.licenceMap(), a.licenceUnmap())
}

func (a *app) licenceList() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "list", Short: "List the entitlements; \"ingot report licences\" counts against them", Example: "ingot licence list", Args: args(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error {
		return a.with(false, func(cl *client) error {
			all, err := get[[]store.Entitlement](c.Context(), cl, "licences/entitlements")
			if err != nil {
				return err
			}
			return show(a, all, func(e store.Entitlement) string { return e.Product },
				column[store.Entitlement]{head: "PRODUCT", cell: func(e store.Entitlement) string { return e.Product }},
				column[store.Entitlement]{head: "SEATS", cell: func(e store.Entitlement) string { return fmt.Sprint(e.Seats) }},
				column[store.Entitlement]{head: "VENDOR", cell: func(e store.Entitlement) string { return e.Vendor }},
				column[store.Entitlement]{head: "CONTRACT", cell: func(e store.Entitlement) string { return e.Reference }},
				column[store.Entitlement]{head: "LAST DAY", cell: func(e store.Entitlement) string { return dayOf(e.Expires) }},
				column[store.Entitlement]{head: "NOTE", wide: true, cell: func(e store.Entitlement) string { return e.Note }},
				column[store.Entitlement]{head: "BY", wide: true, cell: func(e store.Entitlement) string { return e.By + " " + when(e.Changed) }})
		})
	}})
}

func dayOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}

func (a *app) licenceSet() *cobra.Command {
	var e store.Entitlement
	var expires string
	c := &cobra.Command{Use: "set PRODUCT", Short: "Enter an entitlement, or replace the one for the same product", Example: "ingot licence set \"Office 2024\" --seats 120 --vendor Microsoft --contract C-4711 --expires 2027-12-31", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) (err error) {
			if e.Product = given[0]; expires != "" {
				if e.Expires, err = report.ParseDay(expires); err != nil {
					return err
				}
			}
			return a.with(false, func(cl *client) error {
				out, err := post[store.Entitlement](c.Context(), cl, "licences/entitlements", e)
				if err != nil {
					return err
				}
				return a.tell(out, out.Product, a.sayf("%s: %d seats", out.Product, out.Seats))
			})
		}}
	c.Flags().IntVar(&e.Seats, "seats", 0, "on how many devices it may be")
	c.Flags().StringVar(&e.Vendor, "vendor", "", "who sells it")
	c.Flags().StringVar(&e.Reference, "contract", "", "number of the contract or order")
	c.Flags().StringVar(&expires, "expires", "", "the last day, such as 2027-12-31")
	c.Flags().StringVar(&e.Note, "note", "", "one line")
	must(c, "seats")
	return a.outputFlag(c)
}

func (a *app) licenceRemove() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "remove PRODUCT", Short: "Remove an entitlement to which no rule leads", Example: "ingot licence remove \"Office 2024\"", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				if _, err := ask[struct{}](c.Context(), cl, http.MethodDelete, "licences/entitlements/"+url.PathEscape(given[0]), nil); err != nil {
					return err
				}
				return a.tell(given[0], given[0], a.sayf("removed %s", given[0]))
			})
		}})
}

func (a *app) licenceImport() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "import FILE.csv", Short: "Enter a list of entitlements, whole or not at all", Example: "ingot licence import contracts.csv",
		Long: `FILE is a CSV file in UTF-8 with a heading; commas, semicolons and tabs separate. "-" reads standard input. Columns, in any
order and case: product and seats are needed; vendor, contract, expires and note may be there; others are left out. An
entitlement for the same product is replaced. The same list again changes nothing.`,
		Args: args(cobra.ExactArgs(1)), RunE: func(c *cobra.Command, given []string) error {
			list, err := a.readList(given[0])
			if err != nil {
				return err
			}
			return a.with(false, func(cl *client) error {
				out, err := post[store.Listed](c.Context(), cl, "licences/import", store.List{CSV: list})
				if err != nil {
					return err
				}
				return a.listed(out)
			})
		}})
}

func (a *app) licenceRules() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "rules", Short: "List the rules that map software, in the order in which they are tried", Example: "ingot licence rules", Args: args(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error {
		return a.with(false, func(cl *client) error {
			all, err := get[[]store.LicenceRule](c.Context(), cl, "licences/rules")
			if err != nil {
				return err
			}
			return show(a, all, func(r store.LicenceRule) string { return fmt.Sprint(r.ID) },
				column[store.LicenceRule]{head: "RULE", cell: func(r store.LicenceRule) string { return fmt.Sprint(r.ID) }},
				column[store.LicenceRule]{head: "SOFTWARE", cell: func(r store.LicenceRule) string { return r.Software }},
				column[store.LicenceRule]{head: "KIND", cell: func(r store.LicenceRule) string { return r.Kind }},
				column[store.LicenceRule]{head: "VENDOR", cell: func(r store.LicenceRule) string { return r.Vendor }},
				column[store.LicenceRule]{head: "BELONGS TO", cell: func(r store.LicenceRule) string {
					if r.Product == "" {
						return "no licence needed"
					}
					return r.Product
				}},
				column[store.LicenceRule]{head: "BY", wide: true, cell: func(r store.LicenceRule) string { return r.By + " " + when(r.Changed) }})
		})
	}})
}

func (a *app) licenceMap() *cobra.Command {
	var r report.NewRule
	var free, last bool
	c := &cobra.Command{Use: "map SOFTWARE", Short: "Say to which product software belongs, or that it needs no licence",
		Example: "ingot licence map \"Microsoft Office*\" --to \"Office 2024\"\ningot licence map \"*\" --kind deb --free --last",
		Long: `SOFTWARE is a name as "ingot report licences" lists it; * stands for any text, ? for one character, and case does not
matter. The first rule that fits decides. A new rule stands before the others, unless --after or --last says otherwise.`,
		Args: args(cobra.ExactArgs(1)), RunE: func(c *cobra.Command, given []string) error {
			if (r.Product == "") != free {
				return usage{fmt.Errorf("say --to PRODUCT, or --free")}
			}
			if r.Software = given[0]; last {
				r.After = -1
			}
			return a.with(false, func(cl *client) error {
				out, err := post[store.LicenceRule](c.Context(), cl, "licences/rules", r)
				if err != nil {
					return err
				}
				return a.tell(out, fmt.Sprint(out.ID), a.sayf("rule %d: %s", out.ID, out.Words()))
			})
		}}
	c.Flags().StringVar(&r.Product, "to", "", "the product of an entitlement")
	c.Flags().BoolVar(&free, "free", false, "it needs no licence")
	c.Flags().StringVar(&r.Kind, "kind", "", "only software of this kind: system, windows, appx, deb or rpm")
	c.Flags().StringVar(&r.Vendor, "vendor", "", "only software by this vendor; * and ? as above")
	c.Flags().IntVar(&r.After, "after", 0, "stand behind the rule of this number")
	c.Flags().BoolVar(&last, "last", false, "stand behind all others")
	must1(c.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(store.LicenceKinds, cobra.ShellCompDirectiveNoFileComp)))
	return a.outputFlag(c)
}

func (a *app) licenceUnmap() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "unmap RULE", Short: "Remove a rule, by the number that \"ingot licence rules\" shows", Example: "ingot licence unmap 3", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				if _, err := ask[struct{}](c.Context(), cl, http.MethodDelete, "licences/rules/"+url.PathEscape(given[0]), nil); err != nil {
					return err
				}
				return a.tell(given[0], given[0], a.sayf("removed rule %s", given[0]))
			})
		}})
}
