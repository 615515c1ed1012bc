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

func jobColumns() []column[store.JobView] {
	return []column[store.JobView]{
		{head: "JOB", cell: func(j store.JobView) string { return string(j.ID) }},
		{head: "DEVICE", cell: func(j store.JobView) string { return j.DeviceLabel }},
		{head: "IMAGE", cell: func(j store.JobView) string { return j.Image.String() }},
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
		return ""
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
	c := &cobra.Command{Use: "list", Short: "List unfinished jobs", Args: args(cobra.NoArgs), RunE: func(c *cobra.Command, _ []string) error {
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
	return a.outputFlag(&cobra.Command{Use: "show JOB", Short: "Show one job with its steps", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				j, err := get[store.JobView](c.Context(), cl, "jobs/"+url.PathEscape(given[0]))
				if err != nil {
					return err
				}
				if a.output == "json" {
					return a.json(j)
				}
				return a.showJob(j)
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
	row("Image", "%s onto drive %s (%s)", j.Image, j.Target.Serial, size(j.Target.SizeBytes))
	row("Name", "%s", j.DeviceName)
	row("By", "%s, %s", j.Operator, when(j.Created))
	row("State", "%s", j.State)
	row("Progress", "%s", progressWord(j))
	row("Fault", "%s", faultWord(j))
	row("Starts", "%d, last heard %s", j.Bindings, when(j.Heard))
	for _, s := range j.Steps {
		row("Step", "%s  %s", when(s.Time), s.State)
	}
	if r := j.Result; r != nil {
		row("Result", "%s in %.0f s; fetched %s (%d bytes), wrote %s, kept %s", r.State, r.Seconds, size(r.FetchedBytes), r.FetchedBytes, size(r.WrittenBytes), size(r.KeptBytes))
	}
	return w.Flush()
}

func (a *app) jobWatch() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "watch JOB", Short: "Follow a job to its end; the exit code is 0 only when it is done", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				var last string
				j, err := stream[store.JobView, store.JobView](c.Context(), cl, http.MethodGet, "jobs/"+url.PathEscape(given[0])+"/watch", nil, func(j store.JobView) {
					line := strings.TrimSpace(string(j.State) + " " + progressWord(j))
					if line != last {
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
				if j.State != job.Done {
					if j.Fault != nil {
						return j.Fault
					}
					return fmt.Errorf("the job ended as %s", j.State)
				}
				return nil
			})
		}})
}

func (a *app) jobCancel() *cobra.Command {
	return &cobra.Command{Use: "cancel JOB", Short: "Stop a job; before the first write the disk stays as it is", Args: args(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				j, err := post[store.JobView](c.Context(), cl, "jobs/"+url.PathEscape(given[0])+"/cancel", nil)
				if err != nil {
					return err
				}
				if j.State.Final() {
					_, err = fmt.Fprintf(a.out, "job %s is %s\n", j.ID, j.State)
					return err
				}
				_, err = fmt.Fprintf(a.out, "job %s stops with the laptop's next word\n", j.ID)
				return err
			})
		}}
}
