package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ingot/store"
)

// versionAct makes the command of one act on a Version.
func (a *app) versionAct(use, short, example, path, done string, o *store.VersionOrder) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example, Args: args(cobra.ExactArgs(1)), ValidArgsFunction: a.completing((*app).versionNames),
		RunE: func(c *cobra.Command, given []string) error {
			o.Version = given[0]
			return a.with(false, func(cl *client) error {
				v, err := post[store.VersionView](c.Context(), cl, "images/"+path, o)
				if err != nil {
					return err
				}
				return a.tell(v, v.Ref().String(), a.sayf("%s "+done+"%s", v.Ref(), concerned(v)))
			})
		}}
	return a.outputFlag(c)
}

// concerned counts the devices and jobs that an act on a version leaves with it.
func concerned(v store.VersionView) string {
	out := fmt.Sprintf("; %s", plural(v.Held, "device carries it", "devices carry it"))
	if v.Held > 0 {
		out += fmt.Sprintf(" (\"ingot image devices %s\" lists them)", v.Ref())
	}
	switch {
	case v.Jobs > 0 && v.State == store.Withdrawn:
		out += fmt.Sprintf("; %s refused unless the laptop writes already", plural(v.Jobs, "job for it is", "jobs for it are"))
	case v.Jobs > 0:
		out += fmt.Sprintf("; %s on", plural(v.Jobs, "job for it goes", "jobs for it go"))
	}
	return out
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func reasonFlag(c *cobra.Command, o *store.VersionOrder, needed bool) *cobra.Command {
	c.Flags().StringVar(&o.Reason, "reason", "", "why; goes on record")
	if needed {
		must(c, "reason")
	}
	return c
}

func (a *app) imageRelease() *cobra.Command {
	var o store.VersionOrder
	c := a.versionAct("release NAME@VERSION", "Make a version the one that laptops receive", "ingot image release sales@4", "release", "is released and current", &o)
	c.Long = `Releases a draft, which becomes the current version of its image. A version whose checklist has a red finding is not
released: put it right on the reference machine, or give --override with the reason, which stays with the version.
A retired version is released again with --reason.`
	c.Flags().StringVar(&o.Override, "override", "", "why its red findings do not matter; goes on record")
	return reasonFlag(c, &o, false)
}

func (a *app) imageRetire() *cobra.Command {
	var o store.VersionOrder
	return reasonFlag(a.versionAct("retire NAME@VERSION", "End the use of a version for new deployments", "ingot image retire sales@3", "retire", "is retired; the record of who received it stays", &o), &o, false)
}

func (a *app) imageWithdraw() *cobra.Command {
	var o store.VersionOrder
	return reasonFlag(a.versionAct("withdraw NAME@VERSION", "Forbid a version for good", "ingot image withdraw sales@3 --reason \"holds a customer's data\"", "withdraw", "is withdrawn and will never be deployed again", &o), &o, true)
}

func (a *app) imageRollback() *cobra.Command {
	var o store.VersionOrder
	c := a.versionAct("rollback NAME", "Make an earlier released version current again", "ingot image rollback sales --reason \"printing is broken\"", "rollback", "is current again", &o)
	c.Flags().IntVar(&o.To, "to", 0, "number of the version (default: the one that was current before; needed to go back a second time)")
	return reasonFlag(c, &o, true)
}

func (a *app) imageDelete() *cobra.Command {
	var o store.VersionOrder
	c := a.versionAct("delete NAME@VERSION", "Give up a version's content; its record stays", "ingot image delete sales@1", "delete", "is given up; its record stays. \"ingot gc\" frees its room", &o)
	c.Flags().BoolVar(&o.Force, "force", false, "although laptops still carry it; needs --reason")
	return reasonFlag(c, &o, false)
}

func (a *app) imageCadence() *cobra.Command {
	var o store.VersionOrder
	return a.outputFlag(&cobra.Command{Use: "cadence NAME DAYS", Short: "Say how often an image is to be renewed", Args: args(cobra.ExactArgs(2)),
		Long: `A version that was captured, or got its last updates, longer ago than this is stale: a deploy of it is refused without
--stale-reason. 0 ends it.`,
		Example: "ingot image cadence sales 90d", ValidArgsFunction: a.completing((*app).versionNames),
		RunE: func(c *cobra.Command, given []string) error {
			o.Version = given[0]
			if _, err := fmt.Sscanf(strings.TrimSuffix(given[1], "d")+"\n", "%d\n", &o.Days); err != nil {
				return usage{fmt.Errorf("%q is no number of days", given[1])}
			}
			return a.with(false, func(cl *client) error {
				img, err := post[store.Image](c.Context(), cl, "images/cadence", o)
				if err != nil {
					return err
				}
				if img.CadenceDays == 0 {
					return a.tell(img, img.Name, a.sayf("%s has no cadence", img.Name))
				}
				return a.tell(img, img.Name, a.sayf("%s is to be renewed every %d days", img.Name, img.CadenceDays))
			})
		}})
}

// moment is one line of an image's history.
type moment struct {
	store.VersionAct
	Version string `json:"version"`
	Current bool   `json:"current,omitempty"` // what it says of the current version still holds
}

// moments puts the lives of an image and of its versions into one order of time.
func moments(v store.ImageView) (out []moment) {
	for _, one := range v.Versions {
		out = append(out, moment{VersionAct: store.VersionAct{Time: one.Created, By: one.By, Act: "made", Reason: one.Note}, Version: one.Ref().String()})
		for _, act := range one.Acts {
			out = append(out, moment{VersionAct: act, Version: one.Ref().String()})
		}
	}
	for i, act := range v.Acts {
		out = append(out, moment{VersionAct: act, Version: fmt.Sprintf("%s@%d", v.Name, act.Number), Current: i == len(v.Acts)-1 && v.Current == act.Number})
	}
	slices.SortStableFunc(out, func(a, b moment) int { return a.Time.Compare(b.Time) })
	return out
}

func (a *app) imageHistory() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "history NAME", Short: "Show what was done with an image's versions, when and by whom", Example: "ingot image history sales",
		Args: args(cobra.ExactArgs(1)), ValidArgsFunction: a.completing((*app).versionNames),
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				v, err := get[store.ImageView](c.Context(), cl, "images/"+url.PathEscape(given[0])+"/history")
				if err != nil {
					return err
				}
				return show(a, moments(v), func(m moment) string { return m.Version },
					column[moment]{head: "WHEN", cell: func(m moment) string { return when(m.Time) }},
					column[moment]{head: "VERSION", cell: func(m moment) string { return m.Version }},
					column[moment]{head: "ACT", cell: func(m moment) string { return m.Act }},
					column[moment]{head: "BY", cell: func(m moment) string { return m.By }},
					column[moment]{head: "NOW", cell: func(m moment) string {
						if m.Current {
							return "current"
						}
						return ""
					}},
					column[moment]{head: "REASON", cell: func(m moment) string { return m.Reason }})
			})
		}})
}

func (a *app) imageDevices() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "devices NAME[@VERSION]", Short: "List who received a version, and who still carries it", Example: "ingot image devices sales@3",
		Args: args(cobra.ExactArgs(1)), ValidArgsFunction: a.completing((*app).versionNames),
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				all, err := get[[]store.Recipient](c.Context(), cl, "images/"+url.PathEscape(given[0])+"/devices")
				if err != nil {
					return err
				}
				name, _, _ := strings.Cut(given[0], "@")
				return show(a, all, func(r store.Recipient) string { return r.Device },
					column[store.Recipient]{head: "NAME", cell: func(r store.Recipient) string { return r.Name }},
					column[store.Recipient]{head: "SERIAL", cell: func(r store.Recipient) string { return r.Serial }},
					column[store.Recipient]{head: "VERSION", cell: func(r store.Recipient) string { return fmt.Sprintf("%s@%d", name, r.Number) }},
					column[store.Recipient]{head: "RECEIVED", cell: func(r store.Recipient) string { return when(r.Finished) }},
					column[store.Recipient]{head: "CARRIES IT", cell: func(r store.Recipient) string {
						if r.Holds {
							return "yes"
						}
						return "no"
					}},
					column[store.Recipient]{head: "TRIAL", cell: func(r store.Recipient) string {
						if r.Trial {
							return "trial"
						}
						return ""
					}},
					column[store.Recipient]{head: "BY", wide: true, cell: func(r store.Recipient) string { return r.Operator }},
					column[store.Recipient]{head: "STATE", wide: true, cell: func(r store.Recipient) string { return string(r.State) }})
			})
		}})
}
