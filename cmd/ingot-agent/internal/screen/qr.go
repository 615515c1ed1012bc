package screen

import (
	"image"
	"image/color"
	"strings"

	"github.com/skip2/go-qrcode"
)

// MaxQR is the longest URL in bytes of which a QR code is drawn; longer ones would be too fine to scan.
const MaxQR = 300

// modules is the QR code of a text as rows of dark and light, with its quiet zone; nil when there is none.
func modules(s string) [][]bool {
	if s == "" || len(s) > MaxQR {
		return nil
	}
	q, err := qrcode.New(s, qrcode.Medium)
	if err != nil {
		return nil
	}
	return q.Bitmap()
}

// qr draws the code of a text into r, dark on white with whole pixels, and reports whether it could.
func (p *page) qr(s string, r image.Rectangle) bool {
	rows := modules(s)
	if rows == nil || r.Dx() < 2*len(rows) {
		return false
	}
	scale := r.Dx() / len(rows)
	p.fill(r, color.RGBA{255, 255, 255, 255})
	off := r.Min.Add(image.Pt((r.Dx()-scale*len(rows))/2, (r.Dy()-scale*len(rows))/2))
	for y, row := range rows {
		for x, dark := range row {
			if dark {
				at := off.Add(image.Pt(x*scale, y*scale))
				p.fill(image.Rectangle{at, at.Add(image.Pt(scale, scale))}, color.RGBA{0, 0, 0, 255})
			}
		}
	}
	return true
}

// HalfBlocks is the QR code of a text for a console: two rows to a line, by the blocks that every VGA font has.
// Light is drawn and dark left out, since consoles are dark. It is nil for a text that has no code.
func HalfBlocks(s string) []string {
	rows := modules(s)
	var out []string
	for y := 0; y < len(rows); y += 2 {
		var b strings.Builder
		for x := range rows[y] {
			upper := !rows[y][x]
			lower := y+1 < len(rows) && !rows[y+1][x]
			b.WriteString(half(upper, lower))
		}
		out = append(out, b.String())
	}
	return out
}
