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
	return a.outputFlag(&cobra.Command{Use: "log [MAC]", Short: "Show who tried to start, or one machine's timeline and where it stopped",
		Example: "ingot boot log\ningot boot log 52:54:00:12:34:56", Args: args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, given []string) error {
			mac := ""
			if len(given) == 1 {
				mac = given[0]
			}
			return a.with(false, func(cl *client) error {
				logs, err := get[[]store.BootLog](c.Context(), cl, "boots?mac="+url.QueryEscape(mac))
				if err != nil {
					return err
				}
				if mac != "" && a.output == "table" {
					return a.timeline(logs[0])
				}
				return show(a, logs, func(l store.BootLog) string { return l.MAC },
					column[store.BootLog]{head: "MAC", cell: func(l store.BootLog) string { return l.MAC }},
					column[store.BootLog]{head: "LAST", cell: func(l store.BootLog) string { return when(l.Last) }},
					column[store.BootLog]{head: "EVENTS", cell: func(l store.BootLog) string { return fmt.Sprint(len(l.Events)) }},
					column[store.BootLog]{head: "CAUSE", cell: func(l store.BootLog) string { return l.Cause }})
			})
		}})
}

// timeline prints every leg of one machine, then the cause.
func (a *app) timeline(l store.BootLog) error {
	for _, e := range l.Events {
		line := fmt.Sprintf("%s  %-14s", when(e.Time), e.Leg)
		for _, s := range []string{e.Loader, e.IP, e.File, bytesWord(e), e.Text, prefixed("error: ", e.Err)} {
			if s != "" {
				line += "  " + s
			}
		}
		if _, err := fmt.Fprintln(a.out, strings.TrimRight(printable(line), " ")); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(a.out, printable(l.Cause))
	return err
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
