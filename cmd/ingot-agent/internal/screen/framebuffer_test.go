package screen_test

import (
	"image"
	"image/color"
	"strings"
	"testing"

	"ingot/cmd/ingot-agent/internal/screen"
	"ingot/imaging/agent"
)

func TestPixelsAreLaidAsTheScreenWantsThem(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 2, 2))
	img.SetRGBA(1, 1, color.RGBA{0xff, 0x80, 0x08, 0xff})
	f := func(r, g, b, bits int) [3]screen.Field {
		return [3]screen.Field{{Shift: r, Bits: bits}, {Shift: g, Bits: bits}, {Shift: b, Bits: bits}}
	}
	cases := map[string]struct {
		bytes  int
		fields [3]screen.Field
		want   string
	}{
		"32 bit BGRX": {4, f(16, 8, 0, 8), "\x08\x80\xff\x00"},
		"32 bit RGBX": {4, f(0, 8, 16, 8), "\xff\x80\x08\x00"},
		"24 bit BGR":  {3, f(16, 8, 0, 8), "\x08\x80\xff"},
		"16 bit 565":  {2, [3]screen.Field{{Shift: 11, Bits: 5}, {Shift: 5, Bits: 6}, {Shift: 0, Bits: 5}}, "\x01\xfc"},
	}
	for name, c := range cases {
		l := screen.Layout{Width: 2, Height: 2, Stride: 16, Bytes: c.bytes, Red: c.fields[0], Green: c.fields[1], Blue: c.fields[2]}
		mem := make([]byte, 32)
		l.Put(mem, img)
		if got := string(mem[16+c.bytes : 16+2*c.bytes]); got != c.want {
			t.Errorf("%s: pixel %x; want %x", name, got, c.want)
		}
	}
}

func TestNoFramebufferIsAnError(t *testing.T) {
	for _, path := range []string{"/dev/null", t.TempDir() + "/fb0"} {
		if fb, err := screen.OpenFramebuffer(path); err == nil {
			t.Errorf("OpenFramebuffer(%s) = %+v", path, fb)
		}
	}
}

func TestTheTextScreenSaysTheSame(t *testing.T) {
	for name, v := range views() {
		got := screen.Text(v, 80, 25)
		if strings.Contains(got, "\n") || strings.Count(got, "\x1b[2J") != 1 {
			t.Errorf("%s: the text screen would scroll, or a stranger's text clears it", name)
		}
		if name == "hostile" {
			continue
		}
		for _, want := range []string{strings.ToUpper(v.Word), v.Name, v.Code, v.SafeTo, string(v.Fault)} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: the text screen lacks %q", name, want)
			}
		}
	}
}

func TestALogOfAnyLengthIsDrawn(t *testing.T) {
	lines := strings.Split(strings.Repeat("ingot: a line of the log \x1b[2J that goes on and on and on and on and on and on and on\n", 300), "\n")
	for _, n := range []int{0, 1, 300} {
		if img := screen.RenderLog(lines[:n], 640, 480); img.Bounds().Dx() != 640 {
			t.Errorf("RenderLog of %d lines = %v", n, img.Bounds())
		}
		if got := screen.TextLog(lines[:n], 80, 25); strings.Count(got, "\n") > 24 || strings.Count(got, "\x1b[2J") != 1 {
			t.Errorf("TextLog of %d lines scrolls", n)
		}
	}
}

func FuzzRender(f *testing.F) {
	f.Add("writing", "LAP-1", "x", "https://a/b", "E305", 0.5, 300, 300)
	f.Fuzz(func(t *testing.T, word, name, sentence, qr, fault string, bar float64, w, h int) {
		v := agent.View{Word: word, Name: name, Sentence: sentence, Next: sentence, QR: qr, Bar: bar, Lines: []string{sentence, name}}
		screen.Render(v, w%700, h%700)
		screen.Text(v, w%300, h%100)
	})
}
