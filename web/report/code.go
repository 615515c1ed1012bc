package report

import (
	"fmt"
	"strings"

	"github.com/skip2/go-qrcode"
)

// Code is a QR code as squares, row by row, true for a black one. A code wants a white margin of four squares;
// without it, whoever draws the code leaves that room.
func Code(text string, margin bool) ([][]bool, error) {
	q, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		return nil, fmt.Errorf("make QR code of %d characters: %w", len(text), err)
	}
	q.DisableBorder = !margin
	return q.Bitmap(), nil
}

// CodePath draws a QR code as the path of an SVG picture, one unit a square, and gives its width in units. A path has
// only letters and digits that are made here, so it may stand in a page.
func CodePath(text string, margin bool) (d string, units int, err error) {
	code, err := Code(text, margin)
	if err != nil {
		return "", 0, err
	}
	var b strings.Builder
	for y, row := range code {
		for from := 0; from < len(row); from++ {
			to := from
			for to < len(row) && row[to] {
				to++
			}
			if to > from {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", from, y, to-from, to-from)
				from = to
			}
		}
	}
	return b.String(), len(code), nil
}
