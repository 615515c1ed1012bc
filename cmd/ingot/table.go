package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// column is one column of a table over rows of T.
type column[T any] struct {
	head string
	cell func(T) string
	wide bool // only with -o wide
}

// show prints rows as -o asks. name gives what -o name prints, one a line.
func show[T any](a *app, rows []T, name func(T) string, columns ...column[T]) error {
	switch a.output {
	case "json":
		return a.json(rows)
	case "name":
		for _, r := range rows {
			if _, err := fmt.Fprintln(a.out, name(r)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(a.err, "There are none.")
		return err
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	line := func(cell func(column[T]) string) {
		var cells []string
		for _, c := range columns {
			if !c.wide || a.output == "wide" {
				cells = append(cells, orDash(printable(cell(c))))
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	line(func(c column[T]) string { return c.head })
	for _, r := range rows {
		line(func(c column[T]) string { return c.cell(r) })
	}
	return w.Flush()
}

// json prints a value for programs.
func (a *app) json(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printable keeps what a laptop tells from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// size is bytes in decimal units, as drives are sold.
func size(n uint64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	f, u := float64(n), 0
	for f >= 1000 && u < len(units)-1 {
		f, u = f/1000, u+1
	}
	if u == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[u])
}

// when is a time in the reader's zone.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
