package report_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/push"
	"ingot/web/report"
)

// printer is a stand-in for a label printer: it answers the host status and keeps what it is given.
type printer struct {
	net.Listener
	status string
	mu     sync.Mutex
	got    []byte
	done   chan struct{}
}

func newPrinter(t *testing.T, status string) *printer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &printer{Listener: l, status: status, done: make(chan struct{}, 10)}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.serve(c)
		}
	}()
	return p
}

func (p *printer) serve(c net.Conn) {
	defer c.Close()
	defer func() { p.done <- struct{}{} }()
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		p.mu.Lock()
		asked := strings.Contains(string(buf[:n]), "~HS")
		p.got = append(p.got, buf[:n]...)
		p.mu.Unlock()
		if asked && p.status != "" {
			io.WriteString(c, p.status)
		}
		if err != nil {
			return
		}
	}
}

// labels is what it was given besides questions.
func (p *printer) labels(t *testing.T) string {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		t.Fatal("the printer was given nothing")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.ReplaceAll(string(p.got), "~HS\r\n", "")
}

// The answers of a printer: ready, without labels, with an open head, paused.
const (
	ready  = "\x02030,0,0,1245,000,0,0,0,000,0,0,0\x03\r\n\x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n"
	out    = "\x02030,1,0,1245,000,0,0,0,000,0,0,0\x03\r\n\x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n"
	open   = "\x02030,0,0,1245,000,0,0,0,000,0,0,0\x03\r\n\x02000,0,1,0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n"
	paused = "\x02030,0,1,1245,000,0,0,0,000,0,0,0\x03\r\n\x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n\x021234,0\x03\r\n"
)

func (b *bench) printAt(t *testing.T, address string, change func(*store.Labels)) {
	t.Helper()
	l := store.DefaultLabels()
	l.Printer = address
	if change != nil {
		change(&l)
	}
	_, err := b.SetLabels(context.Background(), "root", l)
	must(t, err)
}

func TestLabelsGoToThePrinter(t *testing.T) {
	b := newBench(t)
	p := newPrinter(t, ready)
	b.printAt(t, p.Addr().String(), nil)
	sent, err := b.Print(context.Background(), "anna", report.LabelOrder{Devices: []string{"SALES-017"}, Copies: 2}, "https://ingot.example")
	if err != nil || sent.Labels != 2 || sent.Printer != p.Addr().String() {
		t.Fatalf("Print = %+v, %v", sent, err)
	}
	got := p.labels(t)
	for _, want := range []string{"^XA^CI28^PW456^LL256", "^FDSALES-017^FS", "^FDPF3ABCDE^FS", "^FD00815^FS", "^FDMA,https://ingot.example/devices/dev000000001^FS", "^PQ2", "^XZ"} {
		if !strings.Contains(got, want) {
			t.Errorf("the printer was given\n%s\nwithout %s", got, want)
		}
	}
	must(t, b.DB.View(func(tx *store.Tx) error {
		head, _, err := tx.AuditHead()
		if head.Act != "label" || head.Operator != "anna" {
			t.Errorf("audit %+v", head)
		}
		return err
	}))
}

// TestAPrinterIsNoPlaceOfTheServersOwn: what is never asked for a push is never asked to print, by its address or by a name
// that leads there; what push.allow names may be.
func TestAPrinterIsNoPlaceOfTheServersOwn(t *testing.T) {
	p := newPrinter(t, ready)
	_, port, err := net.SplitHostPort(p.Addr().String())
	must(t, err)
	b := newBench(t)
	order := report.LabelOrder{Devices: []string{"SALES-017"}}
	b.printAt(t, p.Addr().String(), nil) // an address from before there was a rule
	b.Printers = push.Guard{}.Check
	for _, at := range []string{"127.0.0.1:" + port, "169.254.169.254", "100.100.100.200:9100", "0.0.0.0:" + port} {
		l := store.DefaultLabels()
		l.Printer = at
		_, err := b.SetLabels(t.Context(), "root", l)
		wantCode(t, "set "+at, err, job.CodePrinter)
	}
	_, err = b.Print(t.Context(), "anna", order, "")
	wantCode(t, "print at the address that is set", err, job.CodePrinter)
	b.printAt(t, "localhost:"+port, nil)
	_, err = b.Print(t.Context(), "anna", order, "")
	wantCode(t, "print at a name that leads here", err, job.CodePrinter)
	if !strings.Contains(job.FaultOf(err).Fact, "this server itself, which push.allow does not name") {
		t.Errorf("refused with %v", err)
	}
	b.Printers = push.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}.Check
	b.printAt(t, p.Addr().String(), nil)
	if _, err := b.Print(t.Context(), "anna", order, ""); err != nil || !strings.Contains(p.labels(t), "^XZ") {
		t.Errorf("print where it is allowed: %v", err)
	}
}

func TestAPrinterThatCannotPrintIsSaid(t *testing.T) {
	for name, c := range map[string]struct{ status, want string }{"no labels": {out, "no labels"}, "open head": {open, "head is open"}, "paused": {paused, "pauses"}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			p := newPrinter(t, c.status)
			b.printAt(t, p.Addr().String(), nil)
			_, err := b.Print(context.Background(), "anna", report.LabelOrder{Devices: []string{"SALES-017"}}, "")
			wantCode(t, "Print", err, job.CodePrinter)
			if !strings.Contains(job.FaultOf(err).Fact, c.want) {
				t.Errorf("Print = %v; want %q", err, c.want)
			}
			if got := p.labels(t); got != "" {
				t.Errorf("it was given %q all the same", got)
			}
		})
	}
	t.Run("one that does not answer gets them", func(t *testing.T) {
		b := newBench(t)
		p := newPrinter(t, "")
		b.printAt(t, p.Addr().String(), nil)
		_, err := b.Print(context.Background(), "anna", report.LabelOrder{Devices: []string{"SALES-017"}}, "")
		if got := p.labels(t); err != nil || !strings.Contains(got, "^XZ") {
			t.Errorf("Print = %v, %q", err, got)
		}
	})
	t.Run("none is set, or it is off", func(t *testing.T) {
		b := newBench(t)
		_, err := b.Print(context.Background(), "anna", report.LabelOrder{Devices: []string{"SALES-017"}}, "")
		wantCode(t, "Print without a printer", err, job.CodePrinter)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		l.Close()
		b.printAt(t, l.Addr().String(), nil)
		_, err = b.Print(context.Background(), "anna", report.LabelOrder{Devices: []string{"SALES-017"}}, "")
		wantCode(t, "Print on a printer that is off", err, job.CodePrinter)
		zpl, _, err := b.ZPL(context.Background(), report.LabelOrder{Devices: []string{"SALES-017"}}, "")
		if err != nil || !strings.Contains(string(zpl), "^FDMA,PF3ABCDE^FS") {
			t.Errorf("as a file = %q, %v; want the serial as the code's content", zpl, err)
		}
	})
}

// field is a field of ZPL: everything else in a label is made of our own letters and digits.
var field = regexp.MustCompile(`\^FD(?:MA,)?([^\^]*)\^FS`)

// unhex reads a field as a printer does.
func unhex(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '_' {
			n, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			b.WriteByte(byte(n))
			i += 2
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// TestNothingThatADeviceTellsSteersThePrinter: whatever stands in a field, the label has the same commands, and the field
// reads as what it is.
func TestNothingThatADeviceTellsSteersThePrinter(t *testing.T) {
	for _, s := range []string{"^XA^JUF^XZ", "~JR", "~DGR:X.GRF", "a_5Eb", "^FS^FO0,0", "\x02\x03", "^", "~", "_", "Müller 電", "\\&", strings.Repeat("W", 500), "\u202etxt.exe"} {
		l := report.Label{Lines: []string{s, "x"}, Code: "C" + s}
		if len(s) > 300 {
			l.Code = "C" // more than a code on a label is meant to hold
		}
		zpl, err := l.Place(57, 32).ZPL(203, 1)
		must(t, err)
		if n, m := strings.Count(zpl, "^"), strings.Count(zpl, "~"); n != 5+3*5+2 || m != 0 {
			t.Errorf("%q: %d commands in\n%s", s, n, zpl)
		}
		fields := field.FindAllStringSubmatch(zpl, -1)
		if len(fields) != 3 || unhex(fields[1][1]) != s {
			t.Errorf("%q reads as %q", s, fields)
		}
		if !utf8.ValidString(zpl) || strings.ContainsAny(zpl, "\x02\x03") {
			t.Errorf("%q: raw bytes in %q", s, zpl)
		}
	}
}

func TestLabelSettingsAreChecked(t *testing.T) {
	good := store.DefaultLabels()
	must(t, good.Check())
	for name, spoil := range map[string]func(*store.Labels){
		"no fields":             func(l *store.Labels) { l.Fields = nil },
		"an unknown field":      func(l *store.Labels) { l.Fields = []store.LabelField{"password"} },
		"a field twice":         func(l *store.Labels) { l.Fields = []store.LabelField{"name", "name"} },
		"an unknown code":       func(l *store.Labels) { l.Code = "x" },
		"strange dots":          func(l *store.Labels) { l.DPI = 100 },
		"too narrow":            func(l *store.Labels) { l.Width = 1 },
		"not a number":          func(l *store.Labels) { l.Height = nan() },
		"a long line":           func(l *store.Labels) { l.Site = strings.Repeat("x", 61) },
		"a path as printer":     func(l *store.Labels) { l.Printer = "http://x/" },
		"port 0":                func(l *store.Labels) { l.Printer = "printer:0" },
		"a port that is a word": func(l *store.Labels) { l.Printer = "printer:http" },
	} {
		l := store.DefaultLabels()
		spoil(&l)
		wantCode(t, name, l.Check(), job.CodeLabel)
	}
	for in, want := range map[string]string{"labels.example": "labels.example:9100", "192.168.10.9": "192.168.10.9:9100", "192.168.10.9:6101": "192.168.10.9:6101", "[2001:db8::1]:9100": "[2001:db8::1]:9100", "2001:db8::1": "[2001:db8::1]:9100"} {
		if got, err := (store.Labels{Printer: in}).Address(); err != nil || got != want {
			t.Errorf("the printer %s = %s, %v; want %s", in, got, err, want)
		}
	}
}

func nan() float64 { zero := 0.0; return zero / zero }

func TestALabelHoldsWhatWasSet(t *testing.T) {
	b := newBench(t)
	b.printAt(t, "", func(l *store.Labels) {
		l.Fields, l.Site, l.Code = []store.LabelField{store.LabelAsset, store.LabelSite, store.LabelVersion, store.LabelModel, store.LabelOwner, store.LabelName}, "Helpdesk 4711", store.CodeOfAsset
	})
	labels, _, err := b.Labels(context.Background(), []string{"PF3ABCDE"}, "https://x")
	must(t, err)
	if got := strings.Join(labels[0].Lines, "|"); got != "00815|Helpdesk 4711|sales@1|LENOVO 21HM|Łukasz Нов|SALES-017" || labels[0].Code != "00815" {
		t.Errorf("label %+v", labels[0])
	}
	_, _, err = b.Labels(context.Background(), []string{"PF3ABCDE", "nothing"}, "")
	wantCode(t, "a label of nothing", err, job.CodeNotFound)
	_, _, err = b.Labels(context.Background(), nil, "")
	wantCode(t, "labels of no device", err, job.CodeBadRequest)
	must(t, b.DB.Update(func(tx *store.Tx) error {
		d := store.Device{ID: "dev000000002", State: store.New, Serial: "\x1b[31m\u202e" + strings.Repeat("long", 50) + "\r\n^XA"}
		return errors.Join(tx.PutDevice(d))
	}))
	b.printAt(t, "", nil)
	labels, _, err = b.Labels(context.Background(), []string{"dev000000002"}, "")
	must(t, err)
	if s := labels[0].Lines[0]; utf8.RuneCountInString(s) > 64 || strings.ContainsAny(s, "\x1b\u202e\r\n") {
		t.Errorf("line %q", s)
	}
}

// TestLabelsStayOnTheirPlace: on each sheet and size everything is inside its label, and no label on another or off the page.
func TestLabelsStayOnTheirPlace(t *testing.T) {
	labels := make([]report.Label, 70)
	for i := range labels {
		labels[i] = report.Label{Lines: []string{"SALES-017", strings.Repeat("W", 1+i%64), "00815", "x", "y", "z"}[:1+i%6], Code: strings.Repeat("https://", i%2*4)}
	}
	sheets := append([]report.Sheet{report.SheetOf(store.DefaultLabels()), report.SheetOf(store.Labels{Width: 20, Height: 10}), report.SheetOf(store.Labels{Width: 200, Height: 200})}, report.Sheets...)
	for _, s := range sheets {
		pages, n := s.Pages(labels, 5), 0
		for _, page := range pages {
			for i, at := range page {
				n++
				if at.X < 0 || at.Y < 0 || at.X+at.Width > s.Width+0.01 || at.Y+at.Height > s.Height+0.01 {
					t.Errorf("%s: a label at %v, %v", s.Name, at.X, at.Y)
				}
				for _, o := range page[:i] {
					if at.X < o.X+o.Width-0.01 && o.X < at.X+at.Width-0.01 && at.Y < o.Y+o.Height-0.01 && o.Y < at.Y+at.Height-0.01 {
						t.Errorf("%s: two labels lie on one another", s.Name)
					}
				}
				inside(t, s.Name, at.Placed)
			}
		}
		if n != len(labels) {
			t.Errorf("%s: %d labels on its pages; want %d", s.Name, n, len(labels))
		}
	}
}

func inside(t *testing.T, sheet string, p report.Placed) {
	t.Helper()
	if p.Code != "" && (p.CodeSide < 4 || p.CodeX < 0 || p.CodeY < 0 || p.CodeX+p.CodeSide > p.Width || p.CodeY+p.CodeSide > p.Height) {
		t.Errorf("%s: the code is at %v, %v with %v mm in %v x %v", sheet, p.CodeX, p.CodeY, p.CodeSide, p.Width, p.Height)
	}
	for _, x := range p.Texts {
		wide := x.Size * 0.62 * float64(utf8.RuneCountInString(x.Text))
		if x.Squeeze {
			wide = x.Width
		}
		if x.X+wide > p.Width || x.Y > p.Height || x.Y-x.Size < -0.5 || x.Size <= 0 || x.Width <= 0 {
			t.Errorf("%s: %q is %v mm wide at %v in a label of %v x %v", sheet, x.Text, wide, x.X, p.Width, p.Height)
		}
	}
}
