package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"ingot/imaging/job"
	"ingot/store"
)

func (a *app) jobCommand() *cobra.Command {
	return group("job", "What laptops are told to do", a.jobList(), a.jobShow(), a.jobWatch(), a.jobCancel())
}

// imageWord is what the job puts on the drive.
func imageWord(j store.JobView) string {
	if j.Kind == job.Rename {
		return "(name only)"
	}
	if j.Kind == job.Capture && j.State != job.Done {
		return "(captured into " + j.Image.Name + ")"
	}
	return j.ImageWord()
}

func jobColumns() []column[store.JobView] {
	return []column[store.JobView]{
		{head: "JOB", cell: func(j store.JobView) string { return string(j.ID) }},
		{head: "DEVICE", cell: func(j store.JobView) string { return j.DeviceLabel }},
		{head: "IMAGE", cell: imageWord},
		{head: "NAME", cell: func(j store.JobView) string { return j.DeviceName }},
		{head: "STATE", cell: func(j store.JobView) string { return string(j.State) }},
		{head: "PROGRESS", cell: progressWord},
		{head: "BY", cell: func(j store.JobView) string { return j.Operator }},
		{head: "CREATED", wide: true, cell: func(j store.JobView) string { return when(j.Created) }},
		{head: "HEARD", wide: true, cell: func(j store.JobView) string { return when(j.Heard) }},
		{head: "DRIVE", wide: true, cell: func(j store.JobView) string { return j.Target.Serial }},
		{head: "FAULT", wide: true, cell: faultWord},
	}
}

func progressWord(j store.JobView) string {
	p := j.Progress
	if p == nil || p.TotalBytes == 0 {
		if p != nil {
			return p.Say
		}
		return ""
	}
	if j.Kind == job.Wipe {
		return wipeProgress(*p)
	}
	s := fmt.Sprintf("%s %d%% %s/s", p.Phase, p.DoneBytes*100/p.TotalBytes, size(p.BytesPerSec))
	if p.SecondsLeft >= 0 {
		s += fmt.Sprintf(", %d s left", p.SecondsLeft)
	}
	return s
}

func faultWord(j store.JobView) string {
	if j.Fault == nil {
		return ""
	}
	return j.Fault.Error()
}

func (a *app) jobList() *cobra.Command {
	var all bool
	c := &cobra.Command{Use: "list", Short: "List unfinished jobs", Example: "ingot job list --all -o wide", Args: args(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error {
		path := "jobs"
		if all {
			path += "?all=1"
		}
		return a.with(false, func(cl *client) error {
			jobs, err := get[[]store.JobView](c.Context(), cl, path)
			if err != nil {
				return err
			}
			return show(a, jobs, func(j store.JobView) string { return string(j.ID) }, jobColumns()...)
		})
	}}
	c.Flags().BoolVar(&all, "all", false, "finished jobs too")
	return a.outputFlag(c)
}

func (a *app) jobShow() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "show JOB", Short: "Show one job with its steps", Example: "ingot job show 3f2a77c04d1e95b8",
		ValidArgsFunction: a.completing((*app).jobNames), Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				j, err := get[store.JobView](c.Context(), cl, "jobs/"+url.PathEscape(given[0]))
				if err != nil {
					return err
				}
				return a.tell(j, string(j.ID), func() error { return a.showJob(j) })
			})
		}})
}

func (a *app) showJob(j store.JobView) error {
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	row := func(head, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", head, orDash(printable(fmt.Sprintf(format, args...))))
	}
	row("Job", "%s", j.ID)
	row("Device", "%s (%s)", j.DeviceLabel, j.Device)
	if j.Wipe != nil {
		wipeRows(row, j)
	} else if j.Kind == job.Capture {
		row("Capture", "of drive %s (%s) into %s; the drive is only read", j.Target.Serial, size(j.Target.SizeBytes), j.ImageWord())
	} else if j.Kind == job.Rename {
		row("Rename", "%s to %s, on drive %s; everything else stays", j.Former, j.DeviceName, j.Target.Serial)
	} else {
		row("Image", "%s onto drive %s (%s)", j.Image, j.Target.Serial, size(j.Target.SizeBytes))
	}
	row("Name", "%s", j.DeviceName)
	row("By", "%s, %s", j.Operator, when(j.Created))
	row("State", "%s", j.State)
	row("Progress", "%s", progressWord(j))
	row("Fault", "%s", faultWord(j))
	row("Starts", "%d, last heard %s", j.Bindings, when(j.Heard))
	if f := j.Found; f != nil {
		foundRows(row, *f)
	}
	for _, s := range j.Steps {
		row("Step", "%s  %s", when(s.Time), s.State)
	}
	if r := j.Result; r != nil && r.Captured != nil {
		capturedRows(row, j, *r.Captured)
	} else if r != nil && j.Wipe != nil {
		row("Result", "%s in %.0f s", r.State, r.Seconds)
	} else if r != nil {
		row("Result", "%s in %.0f s; fetched %s (%d bytes), wrote %s, kept %s", r.State, r.Seconds, size(r.FetchedBytes), r.FetchedBytes, size(r.WrittenBytes), size(r.KeptBytes))
	}
	return w.Flush()
}

// capturedRows tells what a capture did.
func capturedRows(row func(string, string, ...any), j store.JobView, c job.Captured) {
	row("Result", "%s in %.0f s; read %s, sent %s (%d bytes), the library held %s already", j.Result.State, j.Result.Seconds, size(c.ReadBytes), size(c.SentBytes), c.SentBytes, size(c.HeldBytes))
	if j.Known {
		row("Version", "%s was exactly this already; nothing was added", j.Image)
	}
	if j.Unreleased != nil {
		row("Draft", "not released: %s", j.Unreleased.Error())
	}
	for _, n := range c.Notes {
		row("Note", "%s", n)
	}
}

// foundRows tells what the laptop found before its first write.
func foundRows(row func(string, string, ...any), f job.Found) {
	for _, h := range f.Holds {
		row("Found", "%s", h)
	}
	if len(f.Holds) == 0 {
		row("Found", "nothing on the drive")
	}
	row("Drive health", "%s", f.Health)
	row("Power", "%s", f.Power)
	for _, n := range f.Notes {
		row("Note", "%s", n)
	}
}

func (a *app) jobWatch() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "watch JOB", Short: "Follow a job to its end; the exit code is 0 only when it is done",
		Example: "ingot job watch 3f2a77c04d1e95b8", ValidArgsFunction: a.completing((*app).jobNames), Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				var last string
				j, err := stream[store.JobView, store.JobView](c.Context(), cl, http.MethodGet, "jobs/"+url.PathEscape(given[0])+"/watch", nil, func(j store.JobView) {
					line := strings.TrimSpace(string(j.State) + " " + progressWord(j))
					if line != last && !a.quiet {
						fmt.Fprintln(a.err, printable(line))
						last = line
					}
				})
				if err != nil {
					return err
				}
				if err := show(a, []store.JobView{j}, func(j store.JobView) string { return string(j.ID) }, jobColumns()...); err != nil {
					return err
				}
				if j.Unreleased != nil {
					return partly{j.Unreleased}
				}
				if j.State != job.Done {
					if j.Fault != nil {
						return j.Fault
					}
					return job.Faultf(job.CodeIndeterminate, "The job ended as %s.", j.State)
				}
				return nil
			})
		}})
}

func (a *app) jobCancel() *cobra.Command {
	var agreed consent
	c := &cobra.Command{Use: "cancel JOB", Short: "Stop a job; before the first write the disk stays as it is",
		Long: `A job whose laptop has written already leaves that laptop unusable until it is imaged again. Stopping it asks for the
laptop's serial; without a terminal, give --yes and --serial.`,
		Example: "ingot job cancel 3f2a77c04d1e95b8\ningot job cancel 3f2a77c04d1e95b8 --yes --serial PF3ABCDE",
		Args:    args(cobra.ExactArgs(1)), ValidArgsFunction: a.completing((*app).jobNames),
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				path := "jobs/" + url.PathEscape(given[0]) + "/cancel"
				written, err := a.confirmCancel(c, cl, given[0], agreed)
				if err != nil {
					return err
				}
				if !written {
					path += "?untouched=1" // the laptop may begin to write before this arrives
				}
				j, err := post[store.JobView](c.Context(), cl, path, nil)
				if err != nil {
					return err
				}
				if j.State.Final() {
					return a.tell(j, string(j.ID), a.sayf("job %s is %s", j.ID, j.State))
				}
				return a.tell(j, string(j.ID), a.sayf("job %s stops with the laptop's next word", j.ID))
			})
		}}
	yesFlag(c, &agreed.yes, "stop a job that has written already, without asking; needs --serial")
	c.Flags().StringVar(&agreed.serial, "serial", "", "with --yes: the laptop's serial")
	return a.outputFlag(c)
}

// confirmCancel asks when the laptop's disk no longer is what it was: from invalidating on. written says that it is so,
// and that somebody agreed.
func (a *app) confirmCancel(c *cobra.Command, cl *client, id string, agreed consent) (written bool, err error) {
	j, err := get[store.JobView](c.Context(), cl, "jobs/"+url.PathEscape(id))
	if err != nil || j.State.Final() || !j.Kind.Started(j.Reached) {
		return false, err
	}
	d, err := get[store.DeviceView](c.Context(), cl, "devices/"+url.PathEscape(j.Device))
	if err != nil {
		return false, err
	}
	return true, a.confirm(destruction{name: d.Label(), serial: d.Serial,
		what: fmt.Sprintf("Its drive %s is half written (%s): stopped now, the laptop does not start until it is imaged again.", j.Target.Serial, j.State)}, agreed)
}
