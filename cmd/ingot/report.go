package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"ingot/imaging/job"
)

func (a *app) reportCommand() *cobra.Command {
	var since, until string
	var ever bool
	holders := a.report("holders [IMAGE[@VERSION]]", "holders", "List the devices that hold a version, retired ones too", "ingot report holders sales@3\ningot report holders sales --ever -o csv", args(cobra.MaximumNArgs(1)),
		func(given []string) url.Values {
			q := url.Values{}
			if len(given) == 1 {
				q.Set("version", given[0])
			}
			if ever {
				q.Set("ever", "1")
			}
			return q
		})
	holders.Flags().BoolVar(&ever, "ever", false, "also those that received it and hold it no more")
	received := a.report("received DEVICE", "received", "Say what a device received, when, from whom, proven how", "ingot report received SALES-017", args(cobra.ExactArgs(1)),
		func(given []string) url.Values { return url.Values{"device": given} })
	span := func([]string) url.Values { return url.Values{"since": {since}, "until": {until}} }
	failures := a.report("failures", "failures", "Count failures by model and cause", "ingot report failures --since 2026-11-01", args(cobra.NoArgs), span)
	days := a.report("days", "days", "Say what was done on each day", "ingot report days --since 2026-11-01 --until 2026-11-30", args(cobra.NoArgs), span)
	for _, c := range []*cobra.Command{failures, days} {
		c.Flags().StringVar(&since, "since", "", "first day, such as 2026-11-01")
		c.Flags().StringVar(&until, "until", "", "last day; it is in the report")
	}
	none := func([]string) url.Values { return nil }
	return group("report", "Answer questions about the record", holders, received,
		a.report("stale", "stale", "List the devices on stale, retired or withdrawn versions", "ingot report stale -o csv", args(cobra.NoArgs), none),
		a.report("licences", "licences", "Count software against entitlements; what is unmapped comes first", "ingot report licences -o json", args(cobra.NoArgs), none),
		failures, days)
}

// report makes the command of one report. Its table is the report's CSV, in columns.
func (a *app) report(use, name, short, example string, check cobra.PositionalArgs, asked func([]string) url.Values) *cobra.Command {
	c := a.outputFlag(&cobra.Command{Use: use, Short: short, Example: example, Args: check, Annotations: map[string]string{ownOutput: "csv"},
		RunE: func(c *cobra.Command, given []string) error {
			q := url.Values{}
			for k, v := range asked(given) {
				if len(v) > 0 && v[0] != "" {
					q[k] = v
				}
			}
			return a.with(false, func(cl *client) error { return a.printReport(c, cl, name, q) })
		}})
	c.Flag("output").Usage = "table, wide, json, name or csv"
	return c
}

func (a *app) printReport(c *cobra.Command, cl *client, name string, q url.Values) error {
	if a.output == "json" {
		out, err := get[json.RawMessage](c.Context(), cl, "reports/"+name+"?"+q.Encode())
		if err != nil {
			return err
		}
		return a.json(out)
	}
	q.Set("format", "csv")
	body, err := cl.send(c.Context(), http.MethodGet, "reports/"+name+"?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	if a.output == "csv" {
		_, err := io.Copy(a.out, body)
		return err
	}
	return a.printCSV(csv.NewReader(body))
}

// narrow is how wide a cell may be in a table; -o wide shows it whole.
const narrow = 40

// printCSV prints a sheet in columns.
func (a *app) printCSV(r *csv.Reader) error {
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	for n := 0; ; n++ {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return w.Flush()
		}
		if err != nil {
			return job.Faultf(job.CodeDaemon, "The report did not arrive whole.")
		}
		for i, cell := range row {
			if row[i] = orDash(printable(cell)); n == 0 {
				row[i] = strings.ToUpper(strings.ReplaceAll(row[i], "_", " "))
			} else if runes := []rune(row[i]); len(runes) > narrow && a.output != "wide" {
				row[i] = string(runes[:narrow-1]) + "…"
			}
		}
		if a.output == "name" {
			if n > 0 {
				fmt.Fprintln(a.out, row[0])
			}
			continue
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
}
