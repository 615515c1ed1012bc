package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ingot/imaging/job"
	"ingot/store"
)

func (a *app) pushStatus() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "status [NAME]", Short: "Who is told, what waits, and why; with a name, each thing that waits", Args: args(cobra.MaximumNArgs(1)),
		Example: "ingot push status\ningot push status snipe", Long: "Exit code 3 says that somebody must look: a target was stopped, something could not be sent, or what waits is older than an hour.",
		RunE: func(c *cobra.Command, given []string) error {
			return a.with(false, func(cl *client) error {
				s, err := get[store.PushStatus](c.Context(), cl, "push")
				if err != nil {
					return err
				}
				if len(given) == 1 {
					v, err := targetNamed(s, given[0])
					if err != nil {
						return err
					}
					return show(a, v.Items, func(i store.PushItem) string { return i.Key }, itemColumns...)
				}
				if err := a.showTargets(s); err != nil {
					return err
				}
				if len(s.Trouble) > 0 {
					return partly{errors.New(strings.Join(s.Trouble, "\n"))}
				}
				return nil
			})
		}})
}

func targetNamed(s store.PushStatus, name string) (store.PushView, error) {
	for _, v := range s.Targets {
		if v.Name == name {
			return v, nil
		}
	}
	return store.PushView{}, job.Faultf(job.CodeNotFound, "No push target %.60q.", name)
}

func (a *app) showTargets(s store.PushStatus) error {
	if a.output == "json" {
		return a.json(s)
	}
	return show(a, s.Targets, func(v store.PushView) string { return v.Name },
		column[store.PushView]{head: "TARGET", cell: func(v store.PushView) string { return v.Name }},
		column[store.PushView]{head: "KIND", cell: func(v store.PushView) string { return string(v.Kind) }},
		column[store.PushView]{head: "WAITING", cell: func(v store.PushView) string { return strconv.Itoa(v.Waiting) }},
		column[store.PushView]{head: "GIVEN UP", cell: func(v store.PushView) string { return strconv.Itoa(v.Dead) }},
		column[store.PushView]{head: "ARRIVED", cell: func(v store.PushView) string { return when(v.Success) }},
		column[store.PushView]{head: "NEXT", cell: func(v store.PushView) string { return when(v.Next) }},
		column[store.PushView]{head: "REASON", cell: pushReason},
		column[store.PushView]{head: "UNREAD", wide: true, cell: func(v store.PushView) string { return strconv.FormatUint(v.Unread, 10) }},
		column[store.PushView]{head: "OLDEST", wide: true, cell: func(v store.PushView) string { return when(v.Oldest) }},
		column[store.PushView]{head: "URL", wide: true, cell: func(v store.PushView) string { return v.URL }},
		column[store.PushView]{head: "BY", wide: true, cell: func(v store.PushView) string { return v.By }})
}

func pushReason(v store.PushView) string {
	switch {
	case v.Stopped != nil:
		return "stopped: " + v.Stopped.Error()
	case v.Fault != nil:
		return v.Fault.Error()
	}
	return ""
}

var itemColumns = []column[store.PushItem]{
	{head: "KEY", cell: func(i store.PushItem) string { return i.Key }},
	{head: "WHAT", cell: func(i store.PushItem) string { return i.Label }},
	{head: "STATE", cell: func(i store.PushItem) string { return map[bool]string{true: "given up", false: "waiting"}[i.Dead] }},
	{head: "SINCE", cell: func(i store.PushItem) string { return when(i.Created) }},
	{head: "ATTEMPTS", cell: func(i store.PushItem) string { return strconv.Itoa(i.Tries) }},
	{head: "NEXT", cell: func(i store.PushItem) string { return when(i.Next) }},
	{head: "REASON", cell: func(i store.PushItem) string {
		if i.Fault == nil {
			return ""
		}
		return i.Fault.Error()
	}},
}
