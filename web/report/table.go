package report

import (
	"io"
	"time"

	"ingot/store/sheet"
)

// Report is the answer to one question.
type Report struct {
	Name  string    `json:"name"`
	Title string    `json:"title"`
	Time  time.Time `json:"time"`            // of the record that it was made from
	Notes []string  `json:"notes,omitempty"` // what the reader must know
	Rows  any       `json:"rows"`            // typed
	Table Table     `json:"-"`
}

// Table is a report as CSV and pages show it.
type Table struct {
	Columns []Column
	Rows    [][]Cell
}

// Column is the head of one column: Name is stable, for programs; Title is for people.
type Column struct {
	Name, Title string
	Bytes       bool // numbers in it are bytes
	Programs    bool // it is for programs: a page leaves it out
}

// Cell is one value: a string, int, uint64, float64, bool or time.Time.
type Cell struct {
	Value any
	Link  string // of a page about it, or ""
	Bad   bool   // it wants a person's eye
}

// CSV writes the table; see package sheet.
func (t Table) CSV(w io.Writer) error {
	var head []string
	for _, c := range t.Columns {
		head = append(head, c.Name)
	}
	rows := make([][]any, len(t.Rows))
	for i, r := range t.Rows {
		for _, c := range r {
			rows[i] = append(rows[i], c.Value)
		}
	}
	return sheet.Write(w, head, rows)
}

// col is a column over rows of T.
type col[T any] struct {
	Column
	value func(T) any
	link  func(T) string
	bad   func(T) bool
}

func column[T any](name, title string, value func(T) any) col[T] {
	return col[T]{Column: Column{Name: name, Title: title}, value: value}
}

// to makes each cell lead to a page.
func (c col[T]) to(link func(T) string) col[T] { c.link = link; return c }

// badIf marks the cells that want a person's eye.
func (c col[T]) badIf(bad func(T) bool) col[T] { c.bad = bad; return c }

// forPrograms leaves the column out of pages.
func (c col[T]) forPrograms() col[T] { c.Programs = true; return c }

func (c col[T]) bytes() col[T] { c.Bytes = true; return c }

func tableOf[T any](rows []T, cols ...col[T]) (t Table) {
	for _, c := range cols {
		t.Columns = append(t.Columns, c.Column)
	}
	for _, r := range rows {
		var line []Cell
		for _, c := range cols {
			cell := Cell{Value: c.value(r)}
			if c.link != nil {
				cell.Link = c.link(r)
			}
			cell.Bad = c.bad != nil && c.bad(r)
			line = append(line, cell)
		}
		t.Rows = append(t.Rows, line)
	}
	return t
}
