// Package paper is how Ingot's records look when they are printed: receipts, certificates, records of destruction. A
// page is a picture of a signed file, never the record itself; it must show every name that a person or a device can
// bear, and the same record must always give the same bytes.
package paper

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
)

// Font is the family of every text, regular and bold ("B").
const Font = "go"

// New begins an A4 document, in millimetres. The fonts that PDF knows by itself have no Cyrillic, no Greek, no Polish, so
// it carries its own.
func New(title string, issued time.Time) *fpdf.Fpdf {
	f := fpdf.New("P", "mm", "A4", "")
	f.SetCreationDate(issued)
	f.SetModificationDate(issued)
	f.SetCatalogSort(true)
	f.SetTitle(Text(title, 200), true)
	f.SetCreator("Ingot", true)
	f.AddUTF8FontFromBytes(Font, "", goregular.TTF)
	f.AddUTF8FontFromBytes(Font, "B", gobold.TTF)
	return f
}

// Text makes one that the font can show, of at most so many characters: a letter that it has not becomes its number,
// what steers becomes a question mark.
func Text(s string, most int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > most {
			b.WriteString(" (cut: see the file)")
			break
		}
		switch {
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			b.WriteByte('?')
		case inFont(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "[U+%04X]", r)
		}
	}
	return b.String()
}

// inFont reports whether the Go fonts have a letter: Latin, Greek, Cyrillic, and common signs (WGL4).
func inFont(r rune) bool {
	return r >= 0x20 && r < 0x180 || r >= 0x384 && r < 0x3cf || r >= 0x400 && r < 0x460 || r >= 0x2010 && r < 0x2027 || r == 0x20ac || r == 0x2122
}
