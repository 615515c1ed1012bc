package main

import (
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"ingot/imaging/job"
	"ingot/imaging/wipe"
	"ingot/store"
	"ingot/web"
)

func (a *app) wipeCommand() *cobra.Command {
	var o store.WipeOrder
	var then store.Order
	var psids []string
	var yes bool
	c := &cobra.Command{Use: "wipe DEVICE...", Short: "Make what is on returned devices unreadable, with a certificate for each drive",
		Long: `Orders a wipe of every internal drive of a device that came back. The laptop takes the order when it asks for it, now or at
its next network boot, counts down, and then erases all its drives at the same time. Each gets a signed certificate; with all
of them the device is ready for somebody else, or disposed with --dispose.

At a terminal the serial is asked for. Without one, name the device by its serial and give --yes. Nothing wipes by itself.`,
		Example: `ingot wipe SALES-017
ingot wipe SALES-017 --then-image sales
ingot wipe PF3ABCDE --dispose --yes`,
		Args: args(cobra.MinimumNArgs(1)), ValidArgsFunction: a.completing((*app).deviceNames),
		RunE: func(c *cobra.Command, devices []string) (err error) {
			if then.Image != "" || then.Role != "" {
				o.Then = &then
			}
			if o.PSIDs, err = psidsOf(psids); err != nil {
				return err
			}
			return a.with(false, func(cl *client) error {
				return a.orderEach(devices, func(device string) (store.JobView, error) { return a.wipeOne(c, cl, o, device, yes) })
			})
		}}
	c.Flags().BoolVar(&o.Dispose, "dispose", false, "it leaves the house when it is clean")
	c.Flags().StringVar(&then.Image, "then-image", "", "put this image on it when it is clean: NAME, NAME@VERSION or NAME@LABEL; or")
	c.Flags().StringVar(&then.Role, "then-role", "", "role that says image, name pattern and drive")
	c.Flags().StringVar(&then.Name, "then-name", "", "name that it gets then")
	c.Flags().BoolVar(&then.NoPersonalise, "then-no-personalise", false, "reserve that name without writing it")
	c.Flags().StringVar(&o.Place, "place", "", "where it is done, for the certificate")
	c.Flags().BoolVar(&o.Allow, "allow-unknown", false, "overwrite drives of an unknown kind and behind a RAID controller too; the certificate says so")
	c.Flags().StringSliceVar(&psids, "psid", nil, "SERIAL=PSID of a locked drive, from its label")
	yesFlag(c, &yes, "do not ask; the device is named by its serial")
	c.MarkFlagsMutuallyExclusive("dispose", "then-image")
	c.MarkFlagsMutuallyExclusive("dispose", "then-role")
	a.completes(c, "then-image", (*app).versionNames)
	a.completes(c, "then-role", (*app).roleNames)
	c.AddCommand(a.wipeAgree(), a.wipePolicy())
	return a.revisionFlag(a.outputFlag(c))
}

// psidsOf reads SERIAL=PSID.
func psidsOf(given []string) (map[string]string, error) {
	out := map[string]string{}
	for _, g := range given {
		serial, psid, ok := strings.Cut(g, "=")
		if !ok || serial == "" || len(psid) != 32 {
			return nil, usage{fmt.Errorf("--psid %q is not SERIAL=PSID; a PSID has 32 characters", g)}
		}
		out[serial] = psid
	}
	return out, nil
}

// wipeOne shows what will be destroyed, has the serial typed, and orders.
func (a *app) wipeOne(c *cobra.Command, cl *client, o store.WipeOrder, device string, yes bool) (store.JobView, error) {
	path := "devices/" + url.PathEscape(device)
	d, err := get[store.DeviceView](c.Context(), cl, path)
	if err != nil {
		return store.JobView{}, err
	}
	drives, err := get[[]store.DriveView](c.Context(), cl, path+"/drives")
	if err != nil {
		return store.JobView{}, err
	}
	if err := a.confirm(destruction{name: d.Label(), serial: d.WipeWord(), what: wipeLoss(drives)}, consent{yes: yes, serial: device}); err != nil {
		return store.JobView{}, err
	}
	o.Device, o.Confirm = d.ID, d.WipeWord()
	return actAt[store.JobView](c.Context(), cl, d.Revision, "wipes", o) // what the person saw is what is acted on
}

// wipeLoss says what a wipe destroys.
func wipeLoss(drives []store.DriveView) string {
	var words []string
	for _, d := range drives {
		if d.Here && d.Present && d.Owes() {
			words = append(words, d.Word()+" ("+strings.TrimPrefix(d.Model+", ", ", ")+size(d.SizeBytes)+")")
		}
	}
	if len(words) == 0 {
		return "Everything on its drives is destroyed for good."
	}
	return "Everything on " + strings.Join(words, ", ") + " is destroyed for good."
}

func (a *app) wipeAgree() *cobra.Command {
	c := &cobra.Command{Use: "agree JOB SERIAL", Short: "Agree, as the second person, to a wipe that somebody else ordered",
		Long: "SERIAL is the one on the laptop's sticker. The wipe begins only then.", Example: "ingot wipe agree abcdefgh12345678 PF3ABCDE",
		Args: args(cobra.ExactArgs(2)), RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				j, err := actAt[store.JobView](c.Context(), cl, 0, "wipes/"+url.PathEscape(given[0])+"/agree", web.Agreement{Confirm: given[1]})
				if err != nil {
					return err
				}
				return show(a, []store.JobView{j}, func(j store.JobView) string { return string(j.ID) }, jobColumns()...)
			})
		}}
	return a.outputFlag(c)
}

func (a *app) wipePolicy() *cobra.Command {
	var name, depth string
	var want, fallbacks, raise []string
	var unknown bool
	c := &cobra.Command{Use: "policy", Short: "Show what this site wants of a wipe, or change it",
		Long: `Shows the policy. With a flag it is changed, under the next version: a certificate names policy and version. Wipes that were
ordered before follow the version before.

Classes are nvme, sata-ssd, sata-hdd, emmc, ufs and unknown; levels are clear and purge. A fallback is a technique that may
stand in for the first choice; --raise says of which this site claims a purge where Ingot would claim a clear.`,
		Example: "ingot wipe policy\ningot wipe policy --name \"IT 7\" --want sata-hdd=purge --fallback overwrite,nvme-format-user",
		Args:    args(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error {
			return a.with(false, func(cl *client) error {
				p, err := get[store.KeptPolicy](c.Context(), cl, "wipe-policy")
				if err != nil {
					return err
				}
				changed := false
				set := func(flag string, do func() error) {
					if c.Flags().Changed(flag) && err == nil {
						changed, err = true, do()
					}
				}
				set("name", func() error { p.Name = name; return nil })
				set("depth", func() error { p.Depth = wipe.Depth(depth); return nil })
				set("want", func() error { return wanted(&p.Policy, want) })
				set("fallback", func() error { p.Fallbacks = techniques(fallbacks); return nil })
				set("raise", func() error { p.Raise = techniques(raise); return nil })
				set("unknown", func() error { p.Unknown = unknown; return nil })
				if err == nil && changed {
					p, err = actAt[store.KeptPolicy](c.Context(), cl, 0, "wipe-policy", p.Policy) // of the version that was read: another's change meanwhile is not undone
				}
				if err != nil {
					return err
				}
				return a.tell(p, fmt.Sprintf("%s %d", p.Name, p.Version), func() error { return a.showPolicy(p) })
			})
		}}
	c.Flags().StringVar(&name, "name", "", "what this site calls it")
	c.Flags().StringSliceVar(&want, "want", nil, "CLASS=LEVEL")
	c.Flags().StringSliceVar(&fallbacks, "fallback", nil, "techniques that may stand in; an empty text allows none")
	c.Flags().StringSliceVar(&raise, "raise", nil, "techniques of which a purge is claimed")
	c.Flags().StringVar(&depth, "depth", "", "how much is read back after an erase: samples or wide")
	c.Flags().BoolVar(&unknown, "unknown", false, "overwrite unknown media without asking each time")
	return a.outputFlag(c)
}

func wanted(p *wipe.Policy, given []string) error {
	all := map[wipe.Class]wipe.Level{}
	for c, l := range p.Want {
		all[c] = l
	}
	for _, g := range given {
		class, level, ok := strings.Cut(g, "=")
		if !ok {
			return usage{fmt.Errorf("--want %q is not CLASS=LEVEL", g)}
		}
		all[wipe.Class(class)] = wipe.Level(level)
	}
	p.Want = all
	return nil
}

func techniques(given []string) (out []wipe.Technique) {
	for _, g := range given {
		if g = strings.TrimSpace(g); g != "" {
			out = append(out, wipe.Technique(g))
		}
	}
	return out
}

func (a *app) showPolicy(p store.KeptPolicy) error {
	fmt.Fprintf(a.out, "Policy %s, version %d, %s; depth of reading back: %s\n", printable(p.Name), p.Version, printable(p.Decided()), p.Depth)
	for _, c := range wipe.Classes {
		fmt.Fprintf(a.out, "  %-9s wants %s\n", c, p.Wants(c))
	}
	for _, t := range p.Fallbacks {
		fmt.Fprintf(a.out, "  may stand in: %s (%s)\n", t, t.Does())
	}
	for _, t := range p.Raise {
		fmt.Fprintf(a.out, "  claimed as purge: %s\n", t)
	}
	if p.Unknown {
		fmt.Fprintln(a.out, "  unknown media are overwritten without asking")
	}
	return nil
}

func (a *app) deviceDrives() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "drives DEVICE", Short: "Show the drives of a device, and what became of each", Args: args(cobra.ExactArgs(1)),
		ValidArgsFunction: a.completing((*app).deviceNames), Example: "ingot device drives SALES-017",
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				all, err := get[[]store.DriveView](c.Context(), cl, "devices/"+url.PathEscape(given[0])+"/drives")
				if err != nil {
					return err
				}
				return show(a, all, func(d store.DriveView) string { return d.Serial },
					column[store.DriveView]{head: "DRIVE", cell: func(d store.DriveView) string { return d.Serial }},
					column[store.DriveView]{head: "MODEL", cell: func(d store.DriveView) string { return d.Model }},
					column[store.DriveView]{head: "SIZE", cell: func(d store.DriveView) string { return size(d.SizeBytes) }},
					column[store.DriveView]{head: "STANDS", cell: func(d store.DriveView) string { return d.Standing() }},
					column[store.DriveView]{head: "RECORDS", cell: recordsWord},
				)
			})
		}})
}

func recordsWord(d store.DriveView) string {
	var out []string
	for _, r := range d.Records {
		out = append(out, r.ID)
	}
	return strings.Join(out, " ")
}

func (a *app) deviceDestroyed() *cobra.Command {
	var d store.Destruction
	var photo string
	var yes bool
	c := &cobra.Command{Use: "destroyed DEVICE", Short: "Record the end of a drive that was not wiped; two people stand for it", Args: args(cobra.ExactArgs(1)),
		ValidArgsFunction: a.completing((*app).deviceNames),
		Long: `For a drive that cannot be wiped, was taken out, or whose laptop does not start. Its serial is read from its label. The record
is signed, names two people and the vendor's reference or a photo, and says destroyed, never wiped.`,
		Example: "ingot device destroyed SALES-017 --drive S4EV0001 --method shredded --why \"no answer\" --place \"Hall 2\" --by \"K. Ott\" --witness \"E. Lang\" --reference R-118 --yes",
		RunE: func(c *cobra.Command, given []string) (err error) {
			if photo != "" {
				if d.PhotoSHA256, err = fileSHA256(photo); err != nil {
					return err
				}
			}
			what := destruction{name: "Drive " + d.Drive, serial: d.Drive, what: "It goes on record for good that this drive is no more."}
			if err := a.confirm(what, consent{yes: yes, serial: d.Drive}); err != nil {
				return err
			}
			d.Device, d.Confirm = given[0], d.Drive
			return a.with(false, func(cl *client) error {
				e, err := actOn[store.EvidenceView](c.Context(), cl, d.Device, "drives/destroyed", d)
				if err != nil {
					return err
				}
				return a.tell(e, e.ID, a.sayf("%s: %s, %s", e.ID, e.DriveWord, e.Technique))
			})
		}}
	f := c.Flags()
	f.StringVar(&d.Drive, "drive", "", "the drive's serial, scanned from its label")
	f.StringVar(&d.Model, "model", "", "its model, where no laptop told of it")
	f.StringVar(&d.Method, "method", "", "shredded, drilled, crushed, degaussed, handed over, lost")
	f.StringVar(&d.Why, "why", "", "why it was not wiped")
	f.StringVar(&d.Place, "place", "", "where it was done")
	f.StringVar(&d.By, "by", "", "who did it")
	f.StringVar(&d.Witness, "witness", "", "who saw it")
	f.StringVar(&d.Reference, "reference", "", "the vendor's reference; or")
	f.StringVar(&photo, "photo", "", "a photo: its SHA-256 goes on record, the file stays with you")
	f.BoolVar(&d.Dispose, "dispose", false, "the device leaves the house, when this was its last drive")
	yesFlag(c, &yes, "do not ask")
	must(c, "drive", "method", "why", "place", "by", "witness")
	return a.revisionFlag(a.outputFlag(c))
}

// deviceCleared makes the commands that send a cleared device on.
func (a *app) deviceCleared(use, path, short string) *cobra.Command {
	var in store.Disposal
	var yes bool
	c := &cobra.Command{Use: use + " DEVICE", Short: short, Args: args(cobra.ExactArgs(1)), ValidArgsFunction: a.completing((*app).deviceNames),
		Example: "ingot device " + use + " SALES-017", Long: "Only when every drive of it has a certificate or a destruction record; \"ingot device drives\" shows them.",
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				d, err := get[store.DeviceView](c.Context(), cl, "devices/"+url.PathEscape(given[0]))
				if err != nil {
					return err
				}
				if err := a.confirm(destruction{name: d.Label(), serial: d.WipeWord(), what: "It becomes " + string(map[string]store.DeviceState{"ready": store.Ready, "dispose": store.Disposed}[path]) + "."},
					consent{yes: yes, serial: given[0]}); err != nil {
					return err
				}
				in.Confirm = d.WipeWord()
				d, err = actAt[store.DeviceView](c.Context(), cl, d.Revision, "devices/"+url.PathEscape(d.ID)+"/"+path, in) // what the person saw is what is acted on
				if err != nil {
					return err
				}
				return a.tell(d, d.ID, a.sayf("%s is %s", d.Label(), d.State))
			})
		}}
	c.Flags().StringVar(&in.Note, "note", "", "what is known")
	yesFlag(c, &yes, "do not ask; the device is named by its serial")
	return a.revisionFlag(a.outputFlag(c))
}

// fileSHA256 sums a file that stays where it is.
func fileSHA256(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the photo: %w", err)
	}
	if len(b) == 0 {
		return "", job.Faultf(job.CodeFile, "%s is empty.", path)
	}
	return sha256Hex(b), nil
}
