package screen

import (
	"image"
	"image/color"
	"image/draw"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// The two cuts of the Go fonts, parsed once; their capitals are capHeight of the size in pixels.
var (
	bold    = sync.OnceValue(func() *sfnt.Font { return mustParse(gobold.TTF) })
	regular = sync.OnceValue(func() *sfnt.Font { return mustParse(goregular.TTF) })
)

const capHeight = 0.723

// mustParse panics only when the fonts that are compiled in are no fonts.
func mustParse(ttf []byte) *sfnt.Font {
	f, err := opentype.Parse(ttf)
	if err != nil {
		panic("parse a built-in font: " + err.Error())
	}
	return f
}

// faceAt makes a face of a font at a size in pixels.
func faceAt(f *sfnt.Font, size float64) font.Face {
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		panic("make a face: " + err.Error()) // only for a size that is not a number
	}
	return face
}

// canvas is an image with the few strokes that the screen needs.
type canvas struct {
	img  *image.RGBA
	w, h int
}

func newCanvas(w, h int, ground color.RGBA) *canvas {
	c := &canvas{img: image.NewRGBA(image.Rect(0, 0, w, h)), w: w, h: h}
	c.fill(c.img.Bounds(), ground)
	return c
}

func (c *canvas) fill(r image.Rectangle, col color.RGBA) {
	draw.Draw(c.img, r, image.NewUniform(col), image.Point{}, draw.Src)
}

// frame draws the edge of r inwards.
func (c *canvas) frame(r image.Rectangle, thick int, col color.RGBA) {
	c.fill(image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y+thick), col)
	c.fill(image.Rect(r.Min.X, r.Max.Y-thick, r.Max.X, r.Max.Y), col)
	c.fill(image.Rect(r.Min.X, r.Min.Y, r.Min.X+thick, r.Max.Y), col)
	c.fill(image.Rect(r.Max.X-thick, r.Min.Y, r.Max.X, r.Max.Y), col)
}

// text writes one line whose capitals fill size*capHeight pixels upward from the baseline y, starting at x.
func (c *canvas) text(f *sfnt.Font, size float64, x, y int, col color.RGBA, s string) {
	d := font.Drawer{Dst: c.img, Src: image.NewUniform(col), Face: faceAt(f, size), Dot: fixed.P(x, y)}
	d.DrawString(s)
}

// width is how wide a line is in pixels.
func width(f *sfnt.Font, size float64, s string) int {
	return font.MeasureString(faceAt(f, size), s).Ceil()
}

// fit is the largest size at most max at which a line is at most w pixels wide.
func fit(f *sfnt.Font, s string, max float64, w int) float64 {
	const probe = 100
	at := width(f, probe, s)
	if at == 0 {
		return max
	}
	return min(max, float64(w)*probe/float64(at)*0.995)
}

// wrap breaks a text into lines of at most w pixels, between words where it can, at most n lines; a last line that
// had to be cut ends in an ellipsis.
func wrap(f *sfnt.Font, size float64, s string, w, n int) []string {
	face := faceAt(f, size)
	fits := func(t string) bool { return font.MeasureString(face, t).Ceil() <= w }
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		for !fits(word) { // one word wider than the line
			cut := len(word)
			for shorter := trimRune(word[:cut]); shorter != "" && !fits(word[:cut]); shorter = trimRune(word[:cut]) {
				cut = len(shorter)
			}
			if line != "" {
				lines, line = append(lines, line), ""
			}
			lines = append(lines, word[:cut])
			if word = word[cut:]; word == "" {
				break
			}
		}
		switch joined := strings.TrimSpace(line + " " + word); {
		case fits(joined):
			line = joined
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	if len(lines) <= n {
		return lines
	}
	lines = lines[:n]
	last := lines[n-1] + "…"
	for len(last) > len("…") && !fits(last) {
		last = trimRune(strings.TrimSuffix(last, "…")) + "…"
	}
	lines[n-1] = last
	return lines
}

// trimRune takes the last character off.
func trimRune(s string) string {
	_, n := utf8.DecodeLastRuneInString(s)
	return s[:len(s)-n]
}
