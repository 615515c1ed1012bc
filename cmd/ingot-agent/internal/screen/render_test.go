package screen_test

import (
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/cmd/ingot-agent/internal/screen"
	"ingot/imaging/agent"
	"ingot/imaging/job"
)

var keep = flag.String("png", "", "folder in which the pictures are kept to look at")

var sizes = []image.Point{{640, 480}, {1024, 768}, {1280, 800}, {1920, 1080}}

// views are the screens of one deploy and of what may go wrong in it.
func views() map[string]agent.View {
	small := []string{"LENOVO ThinkPad T14 Gen 4, serial PF4XKZ7Q", "Drive: SAMSUNG MZVL2512HCJQ, 512 GB, S64KNX0T812345", "No cable in enp0s31f6 (e1000e)."}
	f := job.CodeReadBack.Words()
	return map[string]agent.View{
		"starting": {Word: "starting", Colour: agent.Grey, Bar: -1, Left: -1, Sentence: "Looking for the network.", Lines: small[:1]},
		"which":    {Word: "which laptop is this?", Colour: agent.Yellow, Code: "KDXV-7PQM", Bar: -1, Left: -1, Sentence: "Adopt this laptop by the code above.", SafeTo: agent.UnplugAllowed, Lines: small},
		"writing": {Word: "writing", Colour: agent.Blue, Name: "SALES-PF4XKZ7Q", Bar: 0.43, Rate: 412_300_000, Left: 3*time.Minute + 20*time.Second,
			SafeTo: agent.KeepPlugged, Sentence: "Image sales@12.", Lines: small},
		"checking": {Word: "checking", Colour: agent.Blue, Name: "LAP-0042", Bar: 0.97, Rate: 1_200_000_000, Left: 4 * time.Second, SafeTo: agent.NetworkFree, Lines: small[:2]},
		"done":     {Word: "done", Colour: agent.Green, Name: "LAP-0042", Bar: -1, Left: -1, SafeTo: agent.UnplugAllowed, Sentence: "Image sales@12 is on this laptop, read back and proven.", Next: "It starts by itself in 10 minutes, or when the cable is pulled.", Lines: small[:2]},
		"failed": {Word: "failed", Colour: agent.Red, Name: "SALES-PF4XKZ7Q", Bar: -1, Left: -1, SafeTo: agent.UnplugAllowed, Sentence: f.Sentence + " At byte 214748364800.", Next: f.Next,
			Fault: job.CodeReadBack, QR: "https://ingot.example.org/devices/3f9k2m8x7q1w", Lines: small},
		"failed without a network": {Word: "failed", Colour: agent.Red, Bar: -1, Left: -1, SafeTo: agent.UnplugAllowed, Sentence: job.CodeNoLink.Words().Sentence, Next: job.CodeNoLink.Words().Next,
			Fault: job.CodeNoLink, Lines: small[2:]},
		"unproven": {Word: "unproven: start it again", Colour: agent.Red, Name: "LAP-0042", Bar: -1, Left: -1, Sentence: job.CodeIndeterminate.Words().Sentence, Fault: job.CodeIndeterminate},
		"hostile": {Word: strings.Repeat("W", 500), Colour: "pink", Name: "W" + strings.Repeat("\x1b[2J", 50), Code: "\xff\xfe", Bar: math.Inf(1), Rate: math.MaxUint64, Left: 1 << 62,
			SafeTo: strings.Repeat("unplug ", 100), Sentence: strings.Repeat("endless", 100), Next: strings.Repeat("a b ", 300), Lines: make([]string, 1000)},
	}
}

func TestEveryStateIsDrawnOnEverySize(t *testing.T) {
	for name, v := range views() {
		for _, s := range sizes {
			img := screen.Render(v, s.X, s.Y)
			if img.Bounds().Dx() != s.X || img.Bounds().Dy() != s.Y {
				t.Errorf("%s at %v: a picture of %v", name, s, img.Bounds())
			}
			if *keep != "" {
				save(t, filepath.Join(*keep, fmt.Sprintf("%s-%dx%d.png", name, s.X, s.Y)), img)
			}
		}
	}
}

func save(t *testing.T, path string, img image.Image) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

func TestTheWholeScreenCarriesTheStatesColour(t *testing.T) {
	for name, v := range views() {
		img := screen.Render(v, 1024, 768)
		s := screen.SchemeOf(v.Colour)
		share := count(img, img.Bounds(), s.Ground) * 100 / (1024 * 768)
		if share < 45 {
			t.Errorf("%s: %d %% of the screen in its colour; want at least 45", name, share)
		}
		for _, at := range []image.Point{{0, 0}, {1023, 0}, {2, 300}, {1021, 300}} {
			if img.RGBAAt(at.X, at.Y) != s.Ground {
				t.Errorf("%s: the edge at %v is %v", name, at, img.RGBAAt(at.X, at.Y))
			}
		}
	}
}

func count(img *image.RGBA, r image.Rectangle, c color.RGBA) int {
	n := 0
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			if img.RGBAAt(x, y) == c {
				n++
			}
		}
	}
	return n
}

// TestAShortNameHasLettersOfAnEighth finds the rows that the Name adds to an otherwise equal screen.
func TestAShortNameHasLettersOfAnEighth(t *testing.T) {
	for _, s := range sizes {
		v := agent.View{Word: "", Colour: agent.Blue, Name: "LAP-0042", Bar: -1, Left: -1}
		img := screen.Render(v, s.X, s.Y)
		ink := screen.SchemeOf(agent.Blue).Ink
		first, last := -1, -1
		for y := range s.Y {
			if count(img, image.Rect(0, y, s.X, y+1), ink) > 0 {
				if first < 0 {
					first = y
				}
				last = y
			}
		}
		if got := last - first + 1; got < s.Y/8 {
			t.Errorf("at %v the Name is %d pixels high; want at least %d", s, got, s.Y/8)
		}
	}
}

// TestNothingIsWrittenOverTheEdge holds every text within the margins, however long it is.
func TestNothingIsWrittenOverTheEdge(t *testing.T) {
	for name, v := range views() {
		v.SafeTo = ""
		for _, s := range sizes {
			img := screen.Render(v, s.X, s.Y)
			ground := screen.SchemeOf(v.Colour).Ground
			for _, edge := range []image.Rectangle{image.Rect(0, 0, 4, s.Y), image.Rect(s.X-4, 0, s.X, s.Y), image.Rect(0, 0, s.X, 4), image.Rect(0, s.Y-4, s.X, s.Y)} {
				if n := edge.Dx()*edge.Dy() - count(img, edge, ground); n > 0 {
					t.Errorf("%s at %v: %d pixels drawn on the edge %v", name, s, n, edge)
				}
			}
		}
	}
}

func TestColoursCanBeTold(t *testing.T) {
	for _, c := range []agent.Colour{agent.Grey, agent.Yellow, agent.Blue, agent.Green, agent.Red} {
		s := screen.SchemeOf(c)
		if got := contrast(s.Ink, s.Ground); got < 7 {
			t.Errorf("%s: ink on ground has a contrast of %.1f; want 7", c, got)
		}
		if got := contrast(s.Soft, s.Ground); got < 4.5 {
			t.Errorf("%s: small print has a contrast of %.1f; want 4.5", c, got)
		}
	}
}

// contrast is WCAG's ratio of relative luminances.
func contrast(a, b color.RGBA) float64 {
	lum := func(c color.RGBA) float64 {
		f := func(v uint8) float64 {
			x := float64(v) / 255
			if x <= 0.04045 {
				return x / 12.92
			}
			return math.Pow((x+0.055)/1.055, 2.4)
		}
		return 0.2126*f(c.R) + 0.7152*f(c.G) + 0.0722*f(c.B)
	}
	x, y := lum(a), lum(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestFiguresAreSaidAloud(t *testing.T) {
	cases := map[string]agent.View{
		"43 %     412 MB/s     3 min 20 s left": {Bar: 0.43, Rate: 412_300_000, Left: 200 * time.Second},
		"0 %     2.5 MB/s     2 h 05 min left":  {Bar: 0, Rate: 2_500_000, Left: 2*time.Hour + 5*time.Minute},
		"100 %":                                 {Bar: 7, Left: -1},
		"":                                      {Bar: -1, Left: -1},
	}
	for want, v := range cases {
		if got := screen.Figures(v); got != want {
			t.Errorf("Figures(%+v) = %q; want %q", v, got, want)
		}
	}
}

func TestAHalfBlockCodeIsSquare(t *testing.T) {
	rows := screen.HalfBlocks("https://ingot.example.org/devices/3f9k2m8x7q1w")
	if len(rows) == 0 || len(rows) != (len([]rune(rows[0]))+1)/2 {
		t.Errorf("HalfBlocks = %d lines of %d", len(rows), len([]rune(rows[0])))
	}
	if screen.HalfBlocks(strings.Repeat("x", screen.MaxQR+1)) != nil {
		t.Error("a code that is too fine to scan is drawn")
	}
}
