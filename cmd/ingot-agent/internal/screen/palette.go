package screen

import (
	"image/color"

	"ingot/imaging/agent"
)

// Scheme is the set of colours of one state: everything is written in Ink on Ground; the band at the bottom has
// them the other way round.
type Scheme struct {
	Ground, Ink, Soft color.RGBA // Soft is for small print and the empty part of the bar
}

// schemes gives each state's colour its tones. Ink on Ground has a contrast of at least 7:1, Soft of at least
// 4.5:1 (WCAG 2.2, 1.4.6 and 1.4.3), which the tests hold.
var schemes = map[agent.Colour]Scheme{
	agent.Grey:   {rgb(0x2e343b), rgb(0xffffff), rgb(0xc3cad2)},
	agent.Yellow: {rgb(0xffc61a), rgb(0x14110a), rgb(0x463a0c)},
	agent.Blue:   {rgb(0x0b4a99), rgb(0xffffff), rgb(0xbcd6f7)},
	agent.Green:  {rgb(0x0b6128), rgb(0xffffff), rgb(0xc2ecd0)},
	agent.Red:    {rgb(0xa30f1f), rgb(0xffffff), rgb(0xffd0d3)},
}

// SchemeOf is the tones of a colour; an unknown one is grey.
func SchemeOf(c agent.Colour) Scheme {
	if s, ok := schemes[c]; ok {
		return s
	}
	return schemes[agent.Grey]
}

func rgb(v uint32) color.RGBA {
	return color.RGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: 255}
}
