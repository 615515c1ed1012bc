package screen

import (
	"fmt"
	"image"
	"image/color"
	"strings"

	"ingot/imaging/agent"
)

// Text is the same screen for a VGA text console of cols by rows characters: escape sequences of the Linux
// console, with the state's own colours put into the palette, the Name in letters of half blocks, and the QR code
// where something failed. It fills the whole console.
func Text(v agent.View, cols, rows int) string {
	cols, rows = min(max(cols, 40), 240), min(max(rows, 12), 100)
	v = cleanView(v)
	lines := textLines(v, cols-4, rows-3)
	s := SchemeOf(v.Colour)
	var b strings.Builder
	fmt.Fprintf(&b, "\x1b]P0%s\x1b]P7%s\x1b[?25l\x1b[0;40;37m\x1b[2J\x1b[H", hex(s.Ground), hex(s.Ink))
	for i := range rows - 3 {
		line := ""
		if i < len(lines) {
			line = lines[i]
		}
		fmt.Fprintf(&b, "\x1b[%d;3H%s", i+2, line)
	}
	fmt.Fprintf(&b, "\x1b[%d;1H\x1b[30;47m%s\x1b[40;37m", rows, centre(v.SafeTo, cols))
	return b.String()
}

// textLines lays out everything above the band.
func textLines(v agent.View, cols, rows int) []string {
	var out []string
	head := strings.ToUpper(v.Word)
	if v.Fault != "" {
		head += "   " + string(v.Fault)
	}
	out = append(out, clipText(head, cols), "")
	for _, s := range []string{v.Name, v.Code} {
		if s != "" {
			out = append(append(out, blocks(s, cols, 7)...), clipText(s, cols), "")
		}
	}
	if v.Bar >= 0 {
		full := int(min(v.Bar, 1) * float64(cols))
		out = append(out, strings.Repeat("█", full)+strings.Repeat("░", cols-full))
	}
	if f := Figures(v); f != "" {
		out = append(out, clipText(f, cols), "")
	}
	for _, s := range append([]string{v.Sentence, v.Next}, v.Lines...) {
		out = append(out, wrapText(s, cols)...)
	}
	if code := HalfBlocks(v.QR); code != nil && len(out)+len(code) <= rows {
		out = append(out, code...)
	} else if v.QR != "" {
		out = append(out, clipText(v.QR, cols))
	}
	return out[:min(len(out), rows)]
}

// blocks writes a text in half blocks, at most cols characters wide and rows lines high.
func blocks(s string, cols, rows int) []string {
	size := fit(bold(), s, float64(2*rows-2)/capHeight, cols)
	high := int(size*capHeight) + 2
	white := color.RGBA{255, 255, 255, 255}
	c := newCanvas(cols, high+high%2, color.RGBA{A: 255})
	c.text(bold(), size, 0, high-1, white, s)
	lit := func(x, y int) bool { return c.img.RGBAAt(x, y).R > 110 && image.Pt(x, y).In(c.img.Bounds()) }
	var out []string
	for y := 0; y < c.h; y += 2 {
		var b strings.Builder
		for x := range cols {
			b.WriteString(half(lit(x, y), lit(x, y+1)))
		}
		out = append(out, strings.TrimRight(b.String(), " "))
	}
	return out
}

// half is the character whose upper and lower half are drawn or not.
func half(upper, lower bool) string {
	switch {
	case upper && lower:
		return "█"
	case upper:
		return "▀"
	case lower:
		return "▄"
	}
	return " "
}

func centre(s string, cols int) string {
	s = clipText(s, cols)
	left := (cols - len([]rune(s))) / 2
	return strings.Repeat(" ", left) + s + strings.Repeat(" ", cols-left-len([]rune(s)))
}

func clipText(s string, cols int) string {
	if r := []rune(s); len(r) > cols {
		return string(r[:cols])
	}
	return s
}

func wrapText(s string, cols int) []string {
	var out []string
	line := ""
	for _, word := range strings.Fields(s) {
		word = clipText(word, cols)
		if line != "" && len([]rune(line))+1+len([]rune(word)) > cols {
			out, line = append(out, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	if line != "" {
		out = append(out, line)
	}
	return out
}

func hex(c color.RGBA) string { return fmt.Sprintf("%02x%02x%02x", c.R, c.G, c.B) }
