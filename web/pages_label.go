package web

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/report"
)

func (a *API) labelPages(rs *routes) {
	rs.handle("GET /labels", store.Viewer, func(w http.ResponseWriter, r *http.Request) {
		l, err := a.Reports.LabelSettings(r.Context())
		a.showLabelSettings(w, r, l, err)
	})
	rs.handle("POST /labels", store.Administrator, func(w http.ResponseWriter, r *http.Request) {
		ctx, f, err := readForm(r)
		l := labelsOf(f)
		if err == nil {
			_, err = a.Reports.SetLabels(ctx, operatorOf(r), l)
		}
		if err != nil {
			a.showLabelSettings(w, r, l, err)
			return
		}
		http.Redirect(w, r, saidAt("/labels", "saved"), http.StatusSeeOther)
	})
	rs.handle("GET /labels/sheet", store.Viewer, a.labelSheet)
	rs.handle("POST /labels/print", store.Technician, func(w http.ResponseWriter, r *http.Request) {
		ctx, _, err := readForm(r)
		var o report.LabelOrder
		if err == nil {
			o, err = labelOrderOf(r)
		}
		var out report.Sent
		if err == nil {
			out, err = a.printLabels(ctx, r, o)
		}
		if err != nil {
			a.showFault(w, r, err)
			return
		}
		a.show(w, r, "labelsent", page{Title: "Labels were sent", Area: "settings", Data: out})
	})
}

func (a *API) printLabels(ctx context.Context, r *http.Request, o report.LabelOrder) (report.Sent, error) {
	return a.Reports.Print(ctx, operatorOf(r), o, a.base(r))
}

// labelsOf reads the form of the settings. What is no number is refused as 0.
func labelsOf(f url.Values) (l store.Labels) {
	l = store.Labels{Site: strings.TrimSpace(f.Get("site")), Code: store.LabelCode(f.Get("code")), Sheet: f.Get("sheet"), Printer: strings.TrimSpace(f.Get("printer"))}
	for _, name := range strings.FieldsFunc(f.Get("fields"), func(c rune) bool { return c == ',' || c == ' ' }) {
		l.Fields = append(l.Fields, store.LabelField(strings.ToLower(name)))
	}
	l.DPI, _ = strconv.Atoi(f.Get("dpi"))
	l.Width, _ = strconv.ParseFloat(f.Get("width"), 64)
	l.Height, _ = strconv.ParseFloat(f.Get("height"), 64)
	return l
}

// labelSettings is the page of the settings.
type labelSettings struct {
	store.Labels
	FieldWords string
	Words      []string // that a field may be
	Sheets     []report.Sheet
	Codes      []store.LabelCode
	DPIs       []int
}

// sheets are those that are known, and the single label.
func sheets() []report.Sheet {
	return append(slices.Clone(report.Sheets), report.SheetOf(store.Labels{}))
}

func (a *API) showLabelSettings(w http.ResponseWriter, r *http.Request, l store.Labels, err error) {
	p := page{Title: "Labels", Area: "settings", Data: labelSettings{Labels: l, FieldWords: strings.Join(words(l.Fields), ", "), Words: words(store.LabelFields),
		Sheets: sheets(), Codes: store.LabelCodes, DPIs: []int{203, 300, 600}}}
	if err != nil {
		p.Fault = a.fault(err)
	}
	a.show(w, r, "labels", p)
}

// labelView is a sheet of labels.
type labelView struct {
	Sheet   report.Sheet
	Sheets  []report.Sheet
	Pages   []labelPage
	Devices []string
	Count   int
	Skip    int
	Printer string
	Query   template.URL // of the file for a label printer, encoded
}

// labelPage is one page of a sheet, in millimetres.
type labelPage struct {
	Width, Height float64
	Labels        []drawn
}

// drawn is a label with its QR code as a path.
type drawn struct {
	report.At
	Path  string
	Scale float64 // millimetres a square of the code
}

// labelSheet shows labels as they are printed; skip=N leaves the first N places of the sheet empty.
func (a *API) labelSheet(w http.ResponseWriter, r *http.Request) {
	o, err := labelOrderOf(r)
	skip := 0
	if err == nil {
		skip, err = number(r.Form, "skip", "The number of used places")
	}
	var labels []report.Label
	var l store.Labels
	if err == nil {
		labels, l, err = a.Reports.Labels(r.Context(), o.Devices, a.base(r))
	}
	if err != nil {
		a.showFault(w, r, err)
		return
	}
	if s := r.Form.Get("sheet"); s != "" {
		l.Sheet = s
	}
	v := labelView{Sheet: report.SheetOf(l), Sheets: sheets(), Devices: o.Devices, Count: len(labels), Skip: skip, Printer: l.Printer, Query: template.URL(url.Values{"device": o.Devices}.Encode())}
	for _, places := range v.Sheet.Pages(labels, skip) {
		p, err := drawPage(v.Sheet, places)
		if err != nil {
			a.showFault(w, r, err)
			return
		}
		v.Pages = append(v.Pages, p)
	}
	a.show(w, r, "labelsheet", page{Title: "Labels", Area: "settings", Data: v})
}

func drawPage(s report.Sheet, places []report.At) (labelPage, error) {
	p := labelPage{Width: s.Width, Height: s.Height}
	for _, at := range places {
		one := drawn{At: at}
		if at.Code != "" {
			path, units, err := report.CodePath(at.Code, false)
			if err != nil {
				return p, job.Faultf(job.CodeLabel, "A QR code cannot hold %d characters.", len(at.Code))
			}
			one.Path, one.Scale = path, at.CodeSide/float64(units)
		}
		p.Labels = append(p.Labels, one)
	}
	return p, nil
}
