package main

import (
	"fmt"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"ingot/imaging/job"
	"ingot/store"
)

func (a *app) deviceCommand() *cobra.Command {
	return group("device", "The laptops that are known", a.deviceList(), a.deviceShow(), a.deviceAdopt(), a.deviceSettle(), a.deviceSet(), a.deviceImport(),
		a.deviceRename(), a.deviceLost(), a.deviceFound(), a.deviceReturn(), a.deviceDrives(), a.deviceDestroyed(),
		a.deviceCleared("ready", "ready", "Send a cleared device back into the pool"), a.deviceCleared("dispose", "dispose", "Send a cleared device out of the house"))
}

func (a *app) deviceList() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "list", Short: "List the devices; waiting laptops with their code come first", Example: "ingot device list -o wide", Args: args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.with(false, func(cl *client) error {
				all, err := get[[]store.DeviceView](c.Context(), cl, "devices")
				if err != nil {
					return err
				}
				return show(a, all, func(d store.DeviceView) string { return d.ID },
					column[store.DeviceView]{head: "DEVICE", cell: func(d store.DeviceView) string { return d.Label() }},
					column[store.DeviceView]{head: "STATE", cell: func(d store.DeviceView) string { return stateWord(d) }},
					column[store.DeviceView]{head: "CODE", cell: func(d store.DeviceView) string { return d.Code }},
					column[store.DeviceView]{head: "SERIAL", cell: func(d store.DeviceView) string { return d.Serial }},
					column[store.DeviceView]{head: "MODEL", cell: func(d store.DeviceView) string { return d.Model }},
					column[store.DeviceView]{head: "HOLDS", cell: func(d store.DeviceView) string { return holdsWord(d) }},
					column[store.DeviceView]{head: "DRIVES", cell: func(d store.DeviceView) string { return drivesWord(d.Drives) }},
					column[store.DeviceView]{head: "ID", wide: true, cell: func(d store.DeviceView) string { return d.ID }},
					column[store.DeviceView]{head: "UUID", wide: true, cell: func(d store.DeviceView) string { return d.UUID }},
					column[store.DeviceView]{head: "MAC", wide: true, cell: func(d store.DeviceView) string { return strings.Join(d.MACs, " ") }},
					column[store.DeviceView]{head: "ASSET", wide: true, cell: func(d store.DeviceView) string { return d.Asset }},
					column[store.DeviceView]{head: "OWNER", wide: true, cell: func(d store.DeviceView) string { return d.Owner }},
					column[store.DeviceView]{head: "NOTE", wide: true, cell: func(d store.DeviceView) string { return d.Note }},
					column[store.DeviceView]{head: "ROLE", wide: true, cell: func(d store.DeviceView) string { return d.Role }},
					column[store.DeviceView]{head: "SEEN", wide: true, cell: func(d store.DeviceView) string { return when(d.Seen) }},
				)
			})
		}})
}

func stateWord(d store.DeviceView) string {
	switch {
	case d.State == store.Lost && !d.Alarm.IsZero():
		return "lost, STARTED HERE " + when(d.Alarm)
	case d.Code != "":
		return "waiting"
	case d.Promised():
		return string(d.State) + ", never seen"
	case d.Job != nil:
		return string(d.State) + ", job " + string(d.Job.State)
	}
	return string(d.State)
}

func holdsWord(d store.DeviceView) string {
	if d.Holds == nil || d.State != store.Deployed {
		return ""
	}
	return d.Holds.Image.String()
}

func drivesWord(drives []job.Drive) string {
	var out []string
	for _, d := range drives {
		if !d.Removable {
			out = append(out, fmt.Sprintf("%s %s", d.Serial, size(d.SizeBytes)))
		}
	}
	return strings.Join(out, ", ")
}

func (a *app) deviceShow() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "show DEVICE", Short: "Show what is on a device, since when, by whom and how it was proven",
		Example: "ingot device show SALES-017", ValidArgsFunction: a.completing((*app).deviceNames),
		Long: "DEVICE is an id, a name, a serial, or the code that a waiting laptop shows.", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				d, err := get[store.DeviceView](c.Context(), cl, "devices/"+url.PathEscape(given[0]))
				if err != nil {
					return err
				}
				return a.tell(d, d.ID, func() error { return a.showDevice(d) })
			})
		}})
}

// showDevice answers the five questions of a record, then tells the rest.
func (a *app) showDevice(d store.DeviceView) error {
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	row := func(head, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", head, orDash(printable(fmt.Sprintf(format, args...))))
	}
	row("Device", "%s (%s)", d.Label(), d.ID)
	row("State", "%s, since %s", stateWord(d), when(d.Changed))
	if d.NextName != "" {
		row("Next name", "%s, reserved for a rename that is not proven yet", d.NextName)
	}
	if d.Conflict != "" {
		row("Conflict", "%s", d.Conflict)
	}
	claimRows(row, d)
	if l := d.Lost; l != nil {
		row("Lost", "reported by %s, %s; whoever has it is told to tell %s. %s", l.By, when(l.Time), l.Whom(), l.Note)
	}
	if r := d.Returned; r != nil {
		row("Returned", "from %s, taken by %s, %s; it was %s. %s", r.From, r.By, when(r.Time), r.Was, r.Note)
	}
	if d.Code != "" {
		row("Code", "%s, until %s", d.Code, when(d.CodeUntil))
	}
	row("Laptop", "%s %s, serial %s%s, UUID %s", d.Manufacturer, d.Model, d.Serial, stickerWord(d.Device), orDash(d.UUID))
	if !d.Seen.IsZero() {
		row("Firmware", "%s, secure boot %s, memory %s", strings.TrimSpace(d.Firmware+" "+d.Arch), onOff(d.SecureBoot), size(d.MemoryBytes))
	}
	if d.Keys != nil {
		row("Keys", "%s; %d revoked", keysWord(*d.Keys), d.Keys.Revoked)
	}
	if d.Power != nil {
		row("Power", "%s", d.Power)
	}
	for _, x := range d.Drives {
		row("Drive", "%s, %s, %s %s%s", x.Serial, size(x.SizeBytes), x.Transport, x.Model, removableWord(x))
		row("  health", "%s", x.Health)
		row("  holds", "%s", strings.Join(x.Holds, "; "))
	}
	row("Asset", "%s", d.Asset)
	row("Owner", "%s", d.Owner)
	row("Note", "%s", d.Note)
	row("Revision", "%d", d.Revision)
	row("Role", "%s", d.Role)
	row("Seen", "%s", seenWord(d))
	if len(d.BuiltIn) > 0 {
		row("Adapters", "%s, built in", strings.Join(d.BuiltIn, " "))
	}
	for _, warn := range d.Warnings {
		row("Warning", "%s", warn)
	}
	for _, h := range d.History {
		row("Corrected", "%s, by %s: %s %q became %q%s", when(h.Time), h.By, h.What, h.Old, h.New, prefixed(": ", h.Why))
	}
	startRows(row, d.Start)
	if d.Job != nil {
		row("Job", "%s: %s, %s, by %s", d.Job.ID, d.Job.What(), d.Job.State, d.Job.Operator)
	}
	if d.Holds == nil {
		row("Holds", "nothing that Ingot put there")
	} else {
		holdsRows(row, d)
	}
	return w.Flush()
}

// startRows: the legs of the last start, where it stopped and why.
func startRows(row func(string, string, ...any), l *store.BootLog) {
	if l == nil {
		return
	}
	for _, e := range lastStart(l.Events) {
		row("Start", "%s", legLine(e))
	}
	row("Last start", "%s", l.Cause)
	for i, c := range l.Checks {
		row("Check", "%d. %s", i+1, c)
	}
}

// holdsRows: what, since when, by whom, proven how, observed as whom.
func holdsRows(row func(string, string, ...any), d store.DeviceView) {
	dep := d.Holds
	if d.State != store.Deployed {
		row("Held", "%s before; it is not known to be there any more", dep.Image)
	} else {
		row("Holds", "%s, content %s", dep.Image, dep.Image.Manifest.Short())
	}
	if dep.Trial {
		row("On trial", "%s was a draft when it was put there", dep.Image)
	}
	if dep.Stale != "" {
		row("Old image", "%s", dep.Stale)
	}
	row("Since", "%s", when(dep.Finished))
	row("Put there by", "%s, approved %s", dep.Operator, when(dep.Approved))
	if dep.NameWritten {
		row("Name", "%s, written", dep.Name)
	} else {
		row("Name", "%s, name reserved, not written", dep.Name)
	}
	for _, r := range dep.Renamings {
		row("Renamed", "%s to %s by %s, %s%s", r.From, r.Name, r.Operator, when(r.Finished), provenWord(r))
	}
	row("Took", "%.0f s; fetched %s, wrote %s, kept %s", dep.Seconds, size(dep.FetchedBytes), size(dep.WrittenBytes), size(dep.KeptBytes))
	if c := dep.Proof.Content; c != nil {
		row("Proof: content", "%d data and %d zero extents read back (%s); %d free extents are no part of the image", c.DataExtents, c.ZeroExtents, size(c.ReadBytes), c.FreeExtents)
	}
	if p := dep.Proof.Personalised; p != nil {
		row("Proof: personalised", "%d files read back after unmounting", len(p.Files))
	} else {
		row("Proof: personalised", "not personalised")
	}
	if c := dep.Proof.Commit; c != nil {
		row("Proof: commit", "partition tables read back (%s)%s", c.Head.Short(), prefixed(", ", c.BootEntry))
	}
	switch o := dep.Observed; {
	case o == nil:
		row("Proof: observed", "not yet: the system has not called home")
	case o.Hostname == dep.Name:
		row("Proof: observed", "runs under its name %s since %s (%s)", o.Hostname, when(o.Time), o.OS)
	default:
		row("Proof: observed", "runs under the name %s instead of %s since %s (%s)", o.Hostname, dep.Name, when(o.Time), o.OS)
	}
}

// provenWord is how a renaming was proven.
func provenWord(r store.Renaming) string {
	switch {
	case r.Unproven:
		return "; not proven: it runs under one of the two"
	case r.Observed == nil:
		return "; read back; the system has not called home"
	case r.Observed.Hostname != r.Name:
		return fmt.Sprintf("; read back, but the system runs under %s", r.Observed.Hostname)
	}
	return "; read back; the system runs under it since " + when(r.Observed.Time)
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// keysWord names what Secure Boot trusts.
func keysWord(k job.Keys) string {
	if len(k.Certs) == 0 {
		return "not told as a list of certificates"
	}
	var names []string
	for _, c := range k.Certs {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

func seenWord(d store.DeviceView) string {
	if d.Seen.IsZero() {
		return "never: a list promised it"
	}
	return when(d.Seen) + prefixed(", ", strings.Join(d.MACs, " "))
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func removableWord(d job.Drive) string {
	if d.Removable {
		return ", removable: never a target"
	}
	return ""
}

func (a *app) deviceAdopt() *cobra.Command {
	var in store.Adoption
	c := &cobra.Command{Use: "adopt CODE", Short: "Approve the laptop that shows this code",
		Example: "ingot device adopt ABCD-EFGH --name SALES-017 --asset 00815", ValidArgsFunction: a.completing((*app).codes), Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			in.Code = given[0]
			return a.with(false, func(cl *client) error {
				d, err := actOn[store.DeviceView](c.Context(), cl, in.Code, "devices/adopt", in)
				if err != nil {
					return err
				}
				return show(a, []store.DeviceView{d}, func(d store.DeviceView) string { return d.ID },
					column[store.DeviceView]{head: "DEVICE", cell: func(d store.DeviceView) string { return d.Label() }},
					column[store.DeviceView]{head: "STATE", cell: func(d store.DeviceView) string { return stateWord(d) }},
					column[store.DeviceView]{head: "SERIAL", cell: func(d store.DeviceView) string { return d.Serial }},
					column[store.DeviceView]{head: "ID", cell: func(d store.DeviceView) string { return d.ID }})
			})
		}}
	c.Flags().StringVar(&in.Sticker, "sticker", "", "serial on its sticker, scanned; needed when its firmware tells none")
	c.Flags().StringVar(&in.Name, "name", "", "name to reserve for it")
	c.Flags().StringVar(&in.Role, "role", "", "role that it gets; its pattern makes the name")
	c.Flags().StringVar(&in.Asset, "asset", "", "asset tag")
	a.completes(c, "role", (*app).roleNames)
	return a.outputFlag(c)
}
