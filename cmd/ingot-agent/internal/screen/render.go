package screen

import (
	"image"
	"image/color"
	"strings"

	"golang.org/x/image/font/sfnt"

	"ingot/imaging/agent"
	"ingot/imaging/job"
)

// The bounds of a screen in pixels that Render draws; anything else is brought within them.
const (
	MinSide = 200
	MaxSide = 8192
)

// MaxText is how many bytes of any one text are drawn.
const MaxText = 400

// Render draws v on a screen of w by h pixels. The same View gives the same picture.
func Render(v agent.View, w, h int) *image.RGBA {
	w, h = min(max(w, MinSide), MaxSide), min(max(h, MinSide), MaxSide)
	v = cleanView(v)
	s := SchemeOf(v.Colour)
	p := &page{canvas: newCanvas(w, h, s.Ground), Scheme: s, margin: min(w, h) / 22}
	p.left, p.right = p.margin, w-p.margin
	p.top, p.bottom = p.margin, h-p.margin
	p.band(v.SafeTo)
	p.word(v)
	if v.Fault != "" || v.QR != "" {
		p.failure(v)
		return p.img
	}
	p.name(v)
	p.bar(v)
	p.say(v)
	return p.img
}

// page is a canvas with the room that is still free: it shrinks as parts are placed from both ends.
type page struct {
	*canvas
	Scheme
	margin                   int
	left, right, top, bottom int
}

func (p *page) room() int { return p.right - p.left }

// part is n thousandths of the screen's height, in pixels.
func (p *page) part(n int) int { return p.h * n / 1000 }

// line writes one line at the top of the free room, as large as max allows, and returns its size.
func (p *page) line(f *sfnt.Font, max float64, col color.RGBA, s string) float64 {
	size := fit(f, s, max, p.room())
	p.top += int(size * capHeight)
	p.text(f, size, p.left, p.top, col, s)
	return size
}

// band says at the bottom what may be unplugged, with the colours turned round.
func (p *page) band(s string) {
	if s == "" {
		return
	}
	high := p.part(115)
	r := image.Rect(0, p.h-high, p.w, p.h)
	p.fill(r, p.Ink)
	size := fit(bold(), s, float64(high)*0.62, p.room())
	x := (p.w - width(bold(), size, s)) / 2
	p.text(bold(), size, x, p.h-high/2+int(size*capHeight/2), p.Ground, s)
	p.bottom = r.Min.Y - p.margin*2/3
}

// word is the state, the first thing that is read; a failure's code stands at its right.
func (p *page) word(v agent.View) {
	word := strings.ToUpper(v.Word)
	if word == "" && v.Fault == "" {
		return
	}
	high := 150
	if v.Name != "" || v.Code != "" || v.Fault != "" {
		high = 125
	}
	size := float64(p.part(high)) / capHeight
	right := p.right
	if v.Fault != "" {
		code := string(v.Fault)
		size := fit(bold(), code, size, p.room()/3)
		at := p.right - width(bold(), size, code)
		p.text(bold(), size, at, p.top+int(size*capHeight), p.Ink, code)
		p.right = at - p.margin
	}
	p.line(bold(), size, p.Ink, word)
	p.right = right
	p.top += p.part(45)
}

// name writes the Name, and the code where there is one, in letters of an eighth of the height and more.
func (p *page) name(v agent.View) {
	for _, s := range []string{v.Name, v.Code} {
		if s == "" {
			continue
		}
		high := 215 // thousandths; an eighth is 125
		if v.Name != "" && v.Code != "" {
			high = 140
		}
		p.line(bold(), float64(p.part(high))/capHeight, p.Ink, s)
		p.top += p.part(50)
	}
}

// bar shows how far it is, how fast, and for how long still.
func (p *page) bar(v agent.View) {
	if v.Bar >= 0 {
		high := p.part(70)
		r := image.Rect(p.left, p.top, p.right, p.top+high)
		edge := max(2, high/14)
		p.frame(r, edge, p.Ink)
		inner := r.Inset(2 * edge)
		inner.Max.X = inner.Min.X + int(float64(inner.Dx())*min(v.Bar, 1))
		p.fill(inner, p.Ink)
		p.top = r.Max.Y + p.part(25)
	}
	if s := Figures(v); s != "" {
		p.line(regular(), float64(p.part(52))/capHeight, p.Ink, s)
		p.top += p.part(40)
	}
}

// say writes what is happening, what to do now, and the small print above the band.
func (p *page) say(v agent.View) {
	p.para(regular(), 40, 3, v.Sentence)
	p.para(bold(), 40, 3, v.Next)
	p.small(v.Lines)
}

// para writes a text over several lines, as far as the room goes; part is the capitals' height in thousandths.
func (p *page) para(f *sfnt.Font, part, lines int, s string) {
	if s == "" {
		return
	}
	size := float64(p.part(part)) / capHeight
	step := int(size * 1.25)
	lines = min(lines, (p.bottom-p.top)/step)
	if lines < 1 {
		return
	}
	for _, l := range wrap(f, size, s, p.room(), lines) {
		p.text(f, size, p.left, p.top+int(size*capHeight), p.Ink, l)
		p.top += step
	}
	p.top += step / 4
}

// small writes the small print upward from the band; at most six lines and never over what stands above.
func (p *page) small(lines []string) {
	size := max(float64(p.part(24))/capHeight, 11)
	step := int(size * 1.35)
	n := min(len(lines), 6, max(0, (p.bottom-p.top)/step))
	lines = lines[:n]
	y := p.bottom - (n-1)*step
	for _, s := range lines {
		for _, l := range wrap(regular(), size, s, p.room(), 1) {
			p.text(regular(), size, p.left, y, p.Soft, l)
		}
		y += step
	}
}

// failure writes which laptop it is, what went wrong and what to do now, beside the QR code of the device's page.
// The code to say over the phone stands beside the state's word.
func (p *page) failure(v agent.View) {
	who := v.Name
	if who == "" {
		who = v.Code
	}
	if who != "" {
		p.line(bold(), float64(p.part(125))/capHeight, p.Ink, who)
		p.top += p.part(45)
	}
	if v.QR != "" {
		side := min(p.bottom-p.top, p.room()*2/5)
		if drawn := p.qr(v.QR, image.Rect(p.right-side, p.bottom-side, p.right, p.bottom)); drawn {
			p.right -= side + p.margin
		}
	}
	p.para(regular(), 36, 6, v.Sentence)
	p.para(bold(), 36, 6, v.Next)
	p.small(v.Lines)
}

// cleanView bounds every text and takes control characters out: serials and models come from strangers.
func cleanView(v agent.View) agent.View {
	for _, s := range []*string{&v.Word, &v.Name, &v.Code, &v.SafeTo, &v.Sentence, &v.Next} {
		*s = clean(*s)
	}
	v.Fault = job.Code(clean(string(v.Fault)))
	lines := make([]string, 0, len(v.Lines))
	for _, l := range v.Lines[:min(len(v.Lines), 32)] {
		if l = clean(l); l != "" {
			lines = append(lines, l)
		}
	}
	v.Lines = lines
	return v
}

func clean(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), MaxText)], "")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return -1
		}
		return r
	}, s))
}
