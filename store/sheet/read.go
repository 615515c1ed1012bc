package sheet

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Form is how a sheet must look that is read.
type Form struct {
	Columns  map[string][]string // the headings that a column is known by, without case and without anything but letters and digits
	Need     map[string]string   // columns that must be there, with the word for them
	MaxBytes int
	MaxRows  int
	Rows     string // what the rows are, for words: laptops
}

// Row is one line that holds something.
type Row struct {
	Line   int // from 1, the heading's
	fields []string
	places map[string]int
}

// Get gives what stands in a column, with every run of white space as one space; empty when there is no such column.
func (r Row) Get(column string) string {
	if i, ok := r.places[column]; ok && i < len(r.fields) {
		return strings.Join(strings.Fields(r.fields[i]), " ") // a quoted field may have several lines
	}
	return ""
}

// BadLine is one line that cannot be taken.
type BadLine struct {
	Line int    `json:"line"` // from 1, the heading's
	Why  string `json:"why"`
}

// Read reads CSV with commas, semicolons or tabs, with or without a byte order mark, any line ends, and a heading in
// its first line. It gives each line to each, which says what is wrong with it or nothing, and returns the bad lines.
// A sheet that is none is one bad line.
func (f Form) Read(data []byte, each func(Row) string) []BadLine {
	fail := func(line int, format string, args ...any) []BadLine {
		return []BadLine{{line, fmt.Sprintf(format, args...)}}
	}
	switch {
	case len(data) > f.MaxBytes:
		return fail(1, "The list has %d bytes; %d fit.", len(data), f.MaxBytes)
	case !utf8.Valid(data):
		return fail(1, "The list is not UTF-8 text: save it as \"CSV UTF-8\".")
	case bytes.ContainsRune(data, 0):
		return fail(1, "The list holds zero bytes: save it as \"CSV UTF-8\".")
	}
	data = bytes.TrimPrefix(data, []byte(BOM))
	data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	head, _, _ := bytes.Cut(data, []byte("\n"))
	r := csv.NewReader(bytes.NewReader(data))
	r.Comma, r.FieldsPerRecord, r.TrimLeadingSpace = separator(string(head)), -1, true
	heading, err := r.Read()
	if err != nil {
		return fail(1, "The list has no heading.")
	}
	places, why := f.headings(heading)
	if why != "" {
		return fail(1, "%s", why)
	}
	return f.rows(r, places, len(heading), each)
}

// separator is the one that the heading uses most.
func separator(head string) rune {
	best, n := ',', strings.Count(head, ",")
	for _, c := range ";\t" {
		if k := strings.Count(head, string(c)); k > n {
			best, n = c, k
		}
	}
	return best
}

// headings finds which column is what. A column that is not known is left out: suppliers list prices, too.
func (f Form) headings(heading []string) (map[string]int, string) {
	places := map[string]int{}
	for i, h := range heading {
		plain := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, strings.ToLower(h))
		for column, names := range f.Columns {
			for _, n := range names {
				if n != plain {
					continue
				}
				if _, twice := places[column]; twice {
					return nil, fmt.Sprintf("Two columns say the %s.", column)
				}
				places[column] = i
			}
		}
	}
	for column, word := range f.Need {
		if _, ok := places[column]; !ok {
			return nil, fmt.Sprintf("No column is called %q.", word)
		}
	}
	return places, ""
}

func (f Form) rows(r *csv.Reader, places map[string]int, width int, each func(Row) string) (bad []BadLine) {
	for n := 0; ; {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return bad
		}
		if err != nil {
			line := 0
			var p *csv.ParseError
			if errors.As(err, &p) {
				line = p.Line
			}
			return append(bad, BadLine{line, "A quotation mark is missing or stands where none belongs."})
		}
		line, _ := r.FieldPos(0)
		if strings.TrimSpace(strings.Join(fields, "")) == "" {
			continue
		}
		if n++; n > f.MaxRows {
			return append(bad, BadLine{line, fmt.Sprintf("The list has more than %d %s.", f.MaxRows, f.Rows)})
		}
		why := fmt.Sprintf("It has %d fields, the heading has %d.", len(fields), width)
		if len(fields) <= width {
			why = each(Row{line, fields, places})
		}
		if why != "" {
			bad = append(bad, BadLine{line, why})
		}
	}
}
