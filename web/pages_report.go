package web

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"ingot/imaging/job"
	"ingot/web/report"
)

// maxShown bounds the rows of a report on its page; the CSV and the JSON have all.
const maxShown = 1000

// reportView is a report as its page shows it.
type reportView struct {
	Kind    report.Kind
	Report  report.Report
	Asked   url.Values
	Heads   []reportHead
	Rows    [][]reportCell
	More    int          // rows that are not shown
	Query   template.URL // what was asked, encoded, for the links to CSV and JSON
	Images  []string
	Unasked bool // it needs an answer before there is a report
}

type reportHead struct {
	Title  string
	Number bool
}

type reportCell struct {
	Text, Link, Title string
	Number, Bad       bool
	Short             bool // it is not broken over lines
}

// shortCell is how many characters stand on one line in any case.
const shortCell = 20

// Asks reports whether the report takes a parameter.
func (v reportView) Asks(name string) bool {
	for _, a := range v.Kind.Asks {
		if a == name {
			return true
		}
	}
	return false
}

// reportPage shows a report, with the form that asks for it.
func (a *API) reportPage(w http.ResponseWriter, r *http.Request) {
	k, ok := report.KindOf(r.PathValue("name"))
	if !ok {
		a.showFault(w, r, job.Faultf(job.CodeNotFound, "No report %.40q.", r.PathValue("name")))
		return
	}
	q := r.URL.Query()
	v := reportView{Kind: k, Asked: q, Query: template.URL(q.Encode())}
	p := page{Title: k.Title, Area: "reports"}
	images, err := a.Reports.Images(r.Context())
	v.Images = images
	if v.Unasked = v.Asks("device") && q.Get("device") == ""; err == nil && !v.Unasked {
		var out report.Report
		if out, err = a.Reports.Report(r.Context(), k.Name, q); err == nil {
			p.Title = out.Title
			v.fill(out)
		}
	}
	if err != nil {
		p.Fault = a.fault(err)
	}
	p.Data = v
	a.show(w, r, "report", p)
}

// fill takes a report's table onto the page: not the columns that are for programs, nor those in which nothing stands.
func (v *reportView) fill(out report.Report) {
	v.Report = out
	shown := out.Table.Rows[:min(len(out.Table.Rows), maxShown)]
	v.More = len(out.Table.Rows) - len(shown)
	v.Rows = make([][]reportCell, len(shown))
	for i, c := range out.Table.Columns {
		head := reportHead{Title: c.Title}
		something := len(shown) == 0
		for _, row := range shown {
			head.Number = head.Number || numeric(row[i].Value)
			something = something || row[i].Value != ""
		}
		if c.Programs || !something {
			continue
		}
		v.Heads = append(v.Heads, head)
		for n, row := range shown {
			v.Rows[n] = append(v.Rows[n], cellOf(row[i], c, head))
		}
	}
}

func numeric(v any) bool {
	switch v.(type) {
	case int, uint64, float64:
		return true
	}
	return false
}

func cellOf(c report.Cell, of report.Column, head reportHead) reportCell {
	out := reportCell{Link: c.Link, Bad: c.Bad, Number: head.Number, Title: of.Title}
	switch x := c.Value.(type) {
	case string:
		out.Text = x
	case uint64:
		if out.Text = fmt.Sprint(x); of.Bytes {
			out.Text = sizeWord(x)
		}
	case float64:
		out.Text = fmt.Sprintf("%.0f", x)
	case bool:
		if out.Text = "no"; x {
			out.Text = "yes"
		}
	case time.Time:
		out.Text = whenWord(x)
	default:
		out.Text = fmt.Sprint(x)
	}
	out.Short = utf8.RuneCountInString(out.Text) <= shortCell
	if out.Link != "" && out.Text == "" {
		out.Text = "open"
	}
	return out
}
