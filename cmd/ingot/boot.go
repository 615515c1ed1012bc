package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"ingot/store"
)

func (a *app) bootCommand() *cobra.Command {
	return group("boot", "How machines start", a.bootLog())
}

func (a *app) bootLog() *cobra.Command {
	return a.outputFlag(&cobra.Command{Use: "log [MAC|DEVICE]", Short: "Show who tried to start, or one machine's timeline, where it stopped and why",
		Long:    "A machine is named by its MAC, or, once it is known, by its device's name, serial or id. Where nothing was heard of it, what to check is listed in order, with what the server itself can see.",
		Example: "ingot boot log\ningot boot log 52:54:00:12:34:56\ningot boot log SALES-017", Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			ref := ""
			if len(given) == 1 {
				ref = given[0]
			}
			return a.with(false, func(cl *client) error {
				logs, err := get[[]store.BootLog](c.Context(), cl, "boots?mac="+url.QueryEscape(ref))
				if err != nil {
					return err
				}
				if ref != "" && a.output == "table" {
					return a.timelines(logs)
				}
				return show(a, logs, func(l store.BootLog) string { return l.MAC },
					column[store.BootLog]{head: "MAC", cell: func(l store.BootLog) string { return l.MAC }},
					column[store.BootLog]{head: "LAST", cell: func(l store.BootLog) string { return when(l.Last) }},
					column[store.BootLog]{head: "EVENTS", cell: func(l store.BootLog) string { return fmt.Sprint(len(l.Events)) }},
					column[store.BootLog]{head: "CODE", cell: func(l store.BootLog) string { return string(l.Code) }},
					column[store.BootLog]{head: "CAUSE", cell: func(l store.BootLog) string { return l.Cause }})
			})
		}})
}

// timelines prints what each of a device's MACs did; of those that did nothing only the first.
func (a *app) timelines(logs []store.BootLog) error {
	for i, l := range logs {
		if i > 0 && len(l.Events) == 0 {
			break
		}
		if len(logs) > 1 && l.MAC != "" {
			if _, err := fmt.Fprintln(a.out, printable(l.MAC)); err != nil {
				return err
			}
		}
		if err := a.timeline(l); err != nil {
			return err
		}
	}
	return nil
}

// timeline prints every leg of one machine, then the cause and what to check.
func (a *app) timeline(l store.BootLog) error {
	var lines []string
	for _, e := range l.Events {
		lines = append(lines, legLine(e))
	}
	lines = append(lines, l.Cause)
	for i, c := range l.Checks {
		lines = append(lines, fmt.Sprintf("%3d. %s", i+1, c))
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(a.out, printable(line)); err != nil {
			return err
		}
	}
	return nil
}

// legLine is one leg of a start as people read it.
func legLine(e store.BootEvent) string {
	line := fmt.Sprintf("%s  %-14s", when(e.Time), e.Leg)
	for _, s := range []string{e.Loader, e.IP, e.File, bytesWord(e), e.Text, prefixed("error: ", e.Err)} {
		if s != "" {
			line += "  " + s
		}
	}
	return strings.TrimRight(line, " ")
}

func bytesWord(e store.BootEvent) string {
	switch {
	case e.Total > 0 && e.Bytes < e.Total:
		return fmt.Sprintf("%d of %d bytes", e.Bytes, e.Total)
	case e.Bytes > 0:
		return fmt.Sprintf("%d bytes", e.Bytes)
	}
	return ""
}
