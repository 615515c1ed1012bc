package sheet

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// BOM is the byte order mark by which a spreadsheet knows UTF-8; other programs do not want it.
const BOM = "\ufeff"

// Write writes a heading and rows. A cell is a string, an int, a uint64, a float64, a bool or a time.Time, of which the
// zero value is an empty cell.
func Write(w io.Writer, head []string, rows [][]any) error {
	b := bufio.NewWriter(w)
	for i, h := range head {
		comma(b, i)
		b.WriteString(quote(h))
	}
	b.WriteString("\r\n")
	for _, row := range rows {
		if len(row) != len(head) {
			return fmt.Errorf("write sheet: %d cells under %d headings", len(row), len(head))
		}
		for i, cell := range row {
			comma(b, i)
			text, err := format(cell)
			if err != nil {
				return err
			}
			b.WriteString(text)
		}
		b.WriteString("\r\n")
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write sheet: %w", err)
	}
	return nil
}

func comma(b *bufio.Writer, i int) {
	if i > 0 {
		b.WriteByte(',')
	}
}

func format(cell any) (string, error) {
	switch c := cell.(type) {
	case string:
		return quote(c), nil
	case int:
		return strconv.Itoa(c), nil
	case uint64:
		return strconv.FormatUint(c, 10), nil
	case float64:
		return strconv.FormatFloat(c, 'f', -1, 64), nil
	case bool:
		if c {
			return "yes", nil
		}
		return "no", nil
	case time.Time:
		if c.IsZero() {
			return "", nil
		}
		return c.UTC().Format(time.RFC3339), nil
	}
	return "", fmt.Errorf("write sheet: no cell can hold a %T", cell)
}

// quote makes a text harmless and quotes it. It is quoted even when RFC 4180 does not ask for it: a spreadsheet whose
// separator is the semicolon would else begin a new cell, and a formula in it, in the middle of a text.
func quote(s string) string {
	s = Neutral(s)
	if s == "" {
		return ""
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// Neutral makes a text that no spreadsheet takes for a formula, and that no character in it steers.
func Neutral(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
	first := strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == unicode.ReplacementChar || string(r) == BOM })
	if strings.IndexFunc(first, formula) == 0 {
		return "'" + s
	}
	return s
}

// formula reports whether a spreadsheet takes a text that begins with r for a formula or, as with | and %, for a command;
// some take the wide forms too.
func formula(r rune) bool { return strings.ContainsRune("=+-@|%\uff1d\uff0b\uff0d\uff20", r) }
