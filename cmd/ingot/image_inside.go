package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"ingot/imaging/job"
	"ingot/store"
)

// bill is a form of output that only the software list has.
const bill = "cyclonedx"

// imagePath is the API's path of what belongs to one version.
func imagePath(ref, what string) string { return "images/" + url.PathEscape(ref) + "/" + what }

// describeInside prints what the look inside found.
func (a *app) describeInside(v store.Version) error {
	rows := [][2]string{}
	if !v.Patched.IsZero() {
		rows = append(rows, [2]string{"Patched", v.Patched.Format("2006-01-02")})
	}
	if v.Note == "" && v.DraftNote != "" {
		rows = append(rows, [2]string{"Draft note", v.DraftNote})
	}
	if len(v.Checklist) == 0 {
		rows = append(rows, [2]string{"Checklist", "nobody has looked inside: \"ingot image look " + v.Ref().String() + "\""})
	}
	for _, r := range rows {
		if _, err := fmt.Fprintf(a.out, "%-12s%s\n", r[0], printable(r[1])); err != nil {
			return err
		}
	}
	return a.checklist(v.Checklist)
}

// checklist prints the findings, what weighs most first.
func (a *app) checklist(all []store.Finding) error {
	if len(all) == 0 {
		return nil
	}
	count := map[store.Severity]int{}
	for _, f := range all {
		count[f.Severity]++
	}
	if _, err := fmt.Fprintf(a.out, "%-12s%d red, %d yellow, %d green\n", "Checklist", count[store.Red], count[store.Yellow], count[store.Green]); err != nil {
		return err
	}
	for _, s := range []store.Severity{store.Red, store.Yellow, store.Green} {
		for _, f := range all {
			if f.Severity != s {
				continue
			}
			if _, err := fmt.Fprintf(a.out, "  %-7s %-22s %s\n", strings.ToUpper(string(s)), printable(f.Check), printable(strings.TrimSpace(f.Fact+" "+f.Next))); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *app) imageSoftware() *cobra.Command {
	c := &cobra.Command{Use: "software NAME[@VERSION]", Short: "List what is installed in a version", Example: "ingot image software sales@3 -o cyclonedx", Annotations: map[string]string{ownOutput: bill},
		ValidArgsFunction: a.completing((*app).versionNames), Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				if a.output == bill {
					got, err := get[json.RawMessage](c.Context(), cl, imagePath(given[0], "software"))
					if err != nil {
						return err
					}
					return a.json(got)
				}
				got, err := get[store.Inside](c.Context(), cl, imagePath(given[0], "content"))
				if err != nil {
					return err
				}
				return a.software(got)
			})
		}}
	a.outputFlag(c)
	c.Flags().Lookup("output").Usage = "table, wide, json, name or cyclonedx"
	return c
}

func (a *app) software(in store.Inside) error {
	if a.output == "json" {
		return a.json(in.Content)
	}
	if err := show(a, in.Content.Packages, func(p store.Package) string { return printable(p.Name) },
		column[store.Package]{head: "NAME", cell: func(p store.Package) string { return p.Name }},
		column[store.Package]{head: "VERSION", cell: func(p store.Package) string { return p.Version }},
		column[store.Package]{head: "ARCH", cell: func(p store.Package) string { return p.Arch }},
		column[store.Package]{head: "KIND", cell: func(p store.Package) string { return p.Kind }},
		column[store.Package]{head: "MAKER", wide: true, cell: func(p store.Package) string { return p.Vendor }}); err != nil {
		return err
	}
	if in.Content.More > 0 {
		fmt.Fprintf(a.err, "%d more are not listed\n", in.Content.More)
	}
	return nil
}

func (a *app) imageDiff() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "diff NAME@A NAME@B", Short: "Tell what changed from one version to another: packages, and files by their bytes", Example: "ingot image diff sales@3 sales@4",
		ValidArgsFunction: a.completing((*app).versionNames), Args: args(cobra.ExactArgs(2)),
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				path := "images/diff?" + url.Values{"a": {given[0]}, "b": {given[1]}}.Encode()
				d, err := stream[store.Work, store.Difference](c.Context(), cl, http.MethodGet, path, nil, a.teller())
				if err != nil {
					return err
				}
				return a.tell(d, d.B.Version.Ref().String(), func() error { return a.difference(d) })
			})
		}})
}

func (a *app) difference(d store.Difference) error {
	say := func(format string, args ...any) { fmt.Fprintf(a.out, "%s\n", printable(fmt.Sprintf(format, args...))) }
	say("%s (%s) -> %s (%s)", d.A.Version.Ref(), orDash(d.A.Content.System.Name), d.B.Version.Ref(), orDash(d.B.Content.System.Name))
	for _, p := range []struct {
		word string
		all  []store.PackageChange
	}{{"upgraded", d.Packages.Upgraded}, {"downgraded", d.Packages.Downgraded}, {"added", d.Packages.Added}, {"removed", d.Packages.Removed}} {
		for _, c := range p.all {
			say("%-11s %s %s", p.word, c.Name, strings.Trim(c.From+" -> "+c.To, "-> "))
		}
	}
	if d.Unread > 0 {
		say("%d files or folders could not be compared: %s", d.Unread, strings.Join(d.Why, "; "))
	}
	return show(a, d.Areas, func(x store.AreaDiff) string { return x.Area },
		column[store.AreaDiff]{head: "AREA", cell: func(x store.AreaDiff) string { return x.Area }},
		column[store.AreaDiff]{head: "ADDED", cell: func(x store.AreaDiff) string { return filesOf(x.Added, x.AddedBytes) }},
		column[store.AreaDiff]{head: "REMOVED", cell: func(x store.AreaDiff) string { return filesOf(x.Removed, x.RemovedBytes) }},
		column[store.AreaDiff]{head: "CHANGED", cell: func(x store.AreaDiff) string { return filesOf(x.Changed, x.ChangedBytes) }})
}

func filesOf(n int, bytes uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d (%s)", n, size(bytes))
}

func (a *app) imageNote() *cobra.Command {
	var draft bool
	c := &cobra.Command{Use: "note NAME@VERSION [TEXT]", Short: "Show the change note of a version, or write that of a draft", Example: "ingot image note sales@4 \"Firefox 128, printer drivers for floor 3\"",
		Long:              "Without TEXT the note is shown; where nobody wrote one yet, the draft that Ingot made out of what changed.",
		ValidArgsFunction: a.completing((*app).versionNames), Args: args(cobra.RangeArgs(1, 2)),
		RunE: func(c *cobra.Command, given []string) error {
			if draft && len(given) == 2 {
				return usage{job.Faultf(job.CodeBadRequest, "Give a text or --draft, not both.")}
			}
			return a.with(len(given) == 2 || draft, func(cl *client) error {
				v, err := a.note(c, cl, given, draft)
				if err != nil {
					return err
				}
				text := v.Note
				if text == "" && v.DraftNote != "" {
					text = v.DraftNote + " (draft)"
				}
				return a.tell(v, v.Ref().String(), a.sayf("%s: %s", v.Ref(), orDash(text)))
			})
		}}
	c.Flags().BoolVar(&draft, "draft", false, "take Ingot's draft as the note")
	return a.outputFlag(c)
}

// note reads a version, or writes its note.
func (a *app) note(c *cobra.Command, cl *client, given []string, draft bool) (store.Version, error) {
	found, err := a.findVersions(c.Context(), cl, given[0])
	if err != nil {
		return store.Version{}, err
	}
	if len(found) > 1 {
		return store.Version{}, usage{job.Faultf(job.CodeBadRequest, "%s has %d versions: name one, as in %s.", given[0], len(found), found[len(found)-1].Ref())}
	}
	v := found[0].Version
	switch {
	case len(given) == 2:
		return post[store.Version](c.Context(), cl, imagePath(v.Ref().String(), "note"), store.Note{Note: given[1]})
	case draft:
		return post[store.Version](c.Context(), cl, imagePath(v.Ref().String(), "note"), store.Note{Note: v.DraftNote})
	}
	return v, nil
}

func (a *app) imageLook() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "look NAME[@VERSION]", Short: "Look into a version once more and renew its checklist and software list", Example: "ingot image look sales@3",
		ValidArgsFunction: a.completing((*app).versionNames), Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(true, func(cl *client) error {
				got, err := stream[store.Work, store.Inside](c.Context(), cl, http.MethodPost, imagePath(given[0], "look"), nil, a.teller())
				if err != nil {
					return err
				}
				return a.tell(got, got.Version.Ref().String(), func() error { return a.checklist(got.Version.Checklist) })
			})
		}})
}
