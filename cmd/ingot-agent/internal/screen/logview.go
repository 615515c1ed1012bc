package screen

import (
	"fmt"
	"image"
	"image/color"
	"strings"
)

// logInk and logGround are the log view's own colours: it is for support staff at the keyboard.
var logInk, logGround = color.RGBA{0xdd, 0xdd, 0xdd, 255}, color.RGBA{0x10, 0x12, 0x14, 255}

// logHint says how to leave the log view.
const logHint = "Log of this start. Press l or F2 to go back."

// RenderLog draws the last lines of the log that fit on a screen of w by h pixels.
func RenderLog(lines []string, w, h int) *image.RGBA {
	w, h = min(max(w, MinSide), MaxSide), min(max(h, MinSide), MaxSide)
	c := newCanvas(w, h, logGround)
	size := max(float64(h)/48, 11)
	step := int(size * 1.3)
	margin := step
	rows := max(1, (h-2*margin)/step-2)
	c.text(bold(), size, margin, margin+step/2, logInk, logHint)
	y := margin + 2*step
	for _, l := range lines[max(0, len(lines)-rows):] {
		for _, part := range wrap(regular(), size, clean(l), w-2*margin, 1) {
			c.text(regular(), size, margin, y, logInk, part)
		}
		y += step
	}
	return c.img
}

// TextLog is the log view of a text console.
func TextLog(lines []string, cols, rows int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\x1b]P0101214\x1b]P7dddddd\x1b[0;40;37m\x1b[2J\x1b[H%s\r\n\r\n", clipText(logHint, cols))
	for _, l := range lines[max(0, len(lines)-max(1, rows-3)):] {
		b.WriteString(clipText(clean(l), cols-1) + "\r\n")
	}
	return b.String()
}
