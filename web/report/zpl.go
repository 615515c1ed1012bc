package report

import (
	"fmt"
	"math"
	"strings"
)

// ZPL is the label in the language of label printers (Zebra's ZPL II, which others speak too).
func (p Placed) ZPL(dpi, copies int) (string, error) {
	dots := func(mm float64) int { return int(math.Round(mm * float64(dpi) / 25.4)) }
	var b strings.Builder
	fmt.Fprintf(&b, "^XA^CI28^PW%d^LL%d^LH0,0\n", dots(p.Width), dots(p.Height)) // CI28: texts are UTF-8
	if p.Code != "" {
		size, err := magnification(p.Code, dots(p.CodeSide))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "^FO%d,%d^BQN,2,%d^FH_^FDMA,%s^FS\n", dots(p.CodeX), dots(p.CodeY), size, zplText(p.Code))
	}
	for _, t := range p.Texts {
		high, wide := dots(t.Size), dots(t.Size)
		if t.Squeeze {
			wide = max(1, int(float64(dots(t.Width))/(float64(len([]rune(t.Text)))*letterWide)))
		}
		fmt.Fprintf(&b, "^FO%d,%d^A0N,%d,%d^FH_^FD%s^FS\n", dots(t.X), dots(t.Y-t.Size*0.8), high, wide, zplText(t.Text))
	}
	fmt.Fprintf(&b, "^PQ%d\n^XZ\n", copies)
	return b.String(), nil
}

// magnification is how many dots a square of the QR code gets, 1 to 10, so that it fits.
func magnification(text string, side int) (int, error) {
	code, err := Code(text, false)
	if err != nil {
		return 0, err
	}
	return max(1, min(10, side/len(code))), nil
}

// zplText writes a text for a field in which _ starts two hex digits: whatever could begin a command (^ and ~), the sign
// itself, and every byte that is no printable ASCII goes as digits.
func zplText(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c < 0x20 || c >= 0x7f || c == '^' || c == '~' || c == '_' {
			fmt.Fprintf(&b, "_%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
