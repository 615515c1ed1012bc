package report

import (
	"cmp"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"ingot/store"
)

// Label is what stands on one device's label.
type Label struct {
	Lines []string // the first one is large
	Code  string   // of its QR code; empty: none
}

// labelOf makes a device's label. base is the address of the pages; without one, a code that was to lead there holds
// the serial, which the scan box takes as well.
func labelOf(l store.Labels, d store.Device, version, base string) Label {
	values := map[store.LabelField]string{store.LabelName: d.Name, store.LabelSerial: d.Serial, store.LabelAsset: d.Asset, store.LabelOwner: d.Owner,
		store.LabelModel: strings.TrimSpace(d.Manufacturer + " " + d.Model), store.LabelVersion: version, store.LabelSite: l.Site}
	var out Label
	for _, f := range l.Fields {
		if v := clean(values[f]); v != "" {
			out.Lines = append(out.Lines, v)
		}
	}
	if len(out.Lines) == 0 {
		out.Lines = []string{d.ID}
	}
	serial := cmp.Or(clean(d.Serial), d.ID)
	switch {
	case l.Code == store.CodeOfPage && base != "":
		out.Code = strings.TrimSuffix(base, "/") + devicePage(d.ID)
	case l.Code == store.CodeOfPage, l.Code == store.CodeOfSerial:
		out.Code = serial
	case l.Code == store.CodeOfAsset:
		out.Code = cmp.Or(clean(d.Asset), serial)
	}
	return out
}

// maxLine bounds one line of a label, in characters.
const maxLine = 64

// clean makes one line of text: what steers a printer, a page or the direction of writing is left out.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= maxLine {
		return s
	}
	return string([]rune(s)[:maxLine-1]) + "…"
}

// Placed is a label with the place of everything on it, in millimetres from its upper left corner.
type Placed struct {
	Width, Height float64
	Texts         []Text
	Code          string // empty: none
	CodeX, CodeY  float64
	CodeSide      float64
}

// Text is one line: Y is its base line, Size the height of its letters' box. It is squeezed to Width when it is longer.
type Text struct {
	X, Y, Size, Width float64
	Bold, Squeeze     bool
	Text              string
}

const (
	labelPad   = 2.5
	codeGap    = 3.0  // between code and text: with the pad it is the code's quiet zone
	letterWide = 0.62 // of the size: a capital of a common sans, so that what is estimated to fit does
	minSize    = 1.8  // millimetres: what a person still reads
	maxSize    = 7.0
)

// Place lays a label out: the code at the left, the lines beside it, the first one larger.
func (l Label) Place(width, height float64) Placed {
	p := Placed{Width: width, Height: height, Code: l.Code}
	x := labelPad
	if l.Code != "" {
		p.CodeSide = min(height-2*labelPad, width*0.34)
		p.CodeSide = mm(p.CodeSide)
		p.CodeX, p.CodeY = labelPad, mm((height-p.CodeSide)/2)
		x += p.CodeSide + codeGap
	}
	room := width - x - labelPad
	rows := float64(len(l.Lines)) + 0.5 // the first one takes one and a half
	row := min((height-2*labelPad)/rows, maxSize)
	y := (height - row*rows) / 2
	for i, line := range l.Lines {
		high := row
		if i == 0 {
			high = row * 1.5
		}
		t := Text{X: x, Y: y + high*0.8, Width: room, Bold: i == 0, Text: line}
		t.Size = high * 0.85
		n := float64(utf8.RuneCountInString(line))
		if fits := room / (n * letterWide); fits < t.Size {
			t.Size = max(fits, min(minSize, t.Size))
			t.Squeeze = fits < t.Size
		}
		if i > 0 { // the first line stays the largest
			t.Size = min(t.Size, p.Texts[0].Size*0.9)
		}
		t.X, t.Y, t.Size, t.Width = mm(t.X), mm(t.Y), mm(t.Size), mm(t.Width)
		p.Texts = append(p.Texts, t)
		y += high
	}
	return p
}

// mm rounds to a micrometre: a place is written in a page, and nobody wants its digits.
func mm(x float64) float64 { return math.Round(x*1000) / 1000 }

// Sheet is a sheet of labels as it is bought, in millimetres.
type Sheet struct {
	Name          string
	Title         string
	Paper         string // a4, letter, or label: one label a page
	Width, Height float64
	Columns, Rows int
	Left, Top     float64 // of the first label
	StepX, StepY  float64 // from one label to the next
	LabelW        float64
	LabelH        float64
}

// Sheets lists those that are known, besides single labels.
var Sheets = []Sheet{
	{"a4-14", "A4, 14 labels of 99.1 x 38.1 mm", "a4", 210, 297, 2, 7, 4.65, 15.15, 101.6, 38.1, 99.1, 38.1},
	{"a4-21", "A4, 21 labels of 63.5 x 38.1 mm", "a4", 210, 297, 3, 7, 7.2, 15.15, 66.05, 38.1, 63.5, 38.1},
	{"a4-24", "A4, 24 labels of 70 x 37 mm", "a4", 210, 297, 3, 8, 0, 0.5, 70, 37, 70, 37},
	{"a4-65", "A4, 65 labels of 38.1 x 21.2 mm", "a4", 210, 297, 5, 13, 4.65, 10.7, 40.6, 21.2, 38.1, 21.2},
	{"letter-30", "Letter, 30 labels of 66.7 x 25.4 mm", "letter", 215.9, 279.4, 3, 10, 4.8, 12.7, 69.85, 25.4, 66.7, 25.4},
}

// SheetOf finds a sheet by its name; any other is one label of this size a page.
func SheetOf(l store.Labels) Sheet {
	for _, s := range Sheets {
		if s.Name == l.Sheet {
			return s
		}
	}
	return Sheet{"single", "one label a page", "label", l.Width, l.Height, 1, 1, 0, 0, l.Width, l.Height, l.Width, l.Height}
}

// At is a label with its place on a page.
type At struct {
	X, Y float64
	Placed
}

// Pages puts labels on pages, after skip places that are used already.
func (s Sheet) Pages(labels []Label, skip int) (pages [][]At) {
	each := s.Columns * s.Rows
	skip = max(0, min(skip, each-1))
	for i, l := range labels {
		place := skip + i
		if place/each == len(pages) {
			pages = append(pages, nil)
		}
		n := place % each
		pages[place/each] = append(pages[place/each], At{mm(s.Left + float64(n%s.Columns)*s.StepX), mm(s.Top + float64(n/s.Columns)*s.StepY), l.Place(s.LabelW, s.LabelH)})
	}
	return pages
}
