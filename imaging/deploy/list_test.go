package deploy_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ingot/imaging/deploy"
	"ingot/store"
)

func (b *bench) list(csv string) store.Listed {
	b.t.Helper()
	out, err := b.s.ImportDevices(context.Background(), "anna", store.List{CSV: []byte(csv)})
	must(b.t, err)
	return out
}

func TestASuppliersListMakesItsLaptopsKnown(t *testing.T) {
	for name, csv := range map[string]string{
		"commas":                  "Serial Number,Manufacturer,Asset tag,Owner,Role,Note\nABC1201,Dell,00815,B. Meyer,sales,\"two lines,\nquoted\"\nABC1202,DELL INC.,00816,,,\n",
		"semicolons, BOM, CRLF":   "\ufeffS/N;Maker;Asset Number;Assigned to;ROLE;Comment;Price\r\nABC1201;Dell;00815;B. Meyer;sales;x;1.000,00\r\n\r\nABC1202;Dell;00816;;;;\r\n",
		"tabs, old line ends":     "vendor\tservice tag\tassettag\towner\trole\tnotes\rDell\tABC1201\t00815\tB. Meyer\tsales\tx\rDell\tABC1202\t00816\t\t\t\r",
		"short lines, other case": "SERIAL,manufacturer,asset,owner,role\nABC1201,Dell,00815,B. Meyer,sales\nABC1202,Dell,00816",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			_, err := b.s.PutRole(context.Background(), "anna", store.Role{Name: "sales", Image: "sales"})
			must(t, err)
			if out := b.list(csv); out.Added != 2 || len(out.Bad) != 0 {
				t.Fatalf("imported %+v; want two", out)
			}
			d := b.device("abc1201")
			if d.State != store.Ready || !d.Promised() || d.Owner != "B. Meyer" || d.Role != "sales" || d.Asset != "00815" {
				t.Errorf("the device is %+v", d.Device)
			}
			if strings.HasPrefix(name, "commas") && d.Note != "two lines, quoted" {
				t.Errorf("the note is %q", d.Note)
			}
			events := len(must2(b.s.Audit(context.Background(), "", 1000)))
			if out := b.list(csv); out.Added != 0 || out.Filled != 0 || out.Known != 2 || len(out.Bad) != 0 {
				t.Errorf("the same list again: %+v; want nothing", out)
			}
			if n := len(must2(b.s.Audit(context.Background(), "", 1000))); n != events {
				t.Errorf("the same list again left %d events", n-events)
			}
			l := b.full(1)
			l.boot()
			if r := l.sayHello(); r.Device != d.ID || r.Code != "" {
				t.Errorf("its first Hello is record %s, code %q; want %s and none", r.Device, r.Code, d.ID)
			}
			if d := b.device("abc1201"); d.Promised() || d.Owner != "B. Meyer" || d.Manufacturer != "Dell Inc." || len(d.Drives) != 1 {
				t.Errorf("after it the device is %+v", d.Device)
			}
		})
	}
}

func must2[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestABadLineIsNamedAndNothingIsImported(t *testing.T) {
	const head = "serial,manufacturer,asset tag,owner,role,uuid,mac\n"
	const good = "GOOD001,Dell,A1,,,,\n"
	for name, c := range map[string]struct {
		csv  string
		line int
		says string
	}{
		"no serial":               {head + good + ",Dell,A2,,,,\n", 3, "serial is missing"},
		"no manufacturer":         {head + good + "ABC,,A2,,,,\n", 3, "manufacturer is missing"},
		"a junk serial":           {head + good + "\n\nDefault string,Dell,A2,,,,\n", 5, "not the serial of one laptop"},
		"a serial twice":          {head + good + "good001,DELL Inc.,A2,,,,\n", 3, "Line 2 has the same serial"},
		"an asset tag twice":      {head + good + "GOOD002,Dell,a1,,,,\n", 3, "Line 2 has the same asset tag"},
		"a known serial":          {head + good + "ABC1201,Dell,OTHER,,,,\n", 3, "PC-1 has another asset tag"},
		"a known asset tag":       {head + good + "GOOD002,Dell,TAKEN,,,,\n", 3, "PC-1 has this asset tag"},
		"a known UUID":            {head + good + "GOOD002,Dell,,,," + uuidFor("ABC1201") + ",\n", 3, "PC-1 has this UUID"},
		"a known adapter":         {head + good + "GOOD002,Dell,,,,,8C-16-45-00-00-01\n", 3, "PC-1 has this MAC"},
		"a junk UUID":             {head + good + "GOOD002,Dell,,,,03000200-0400-0500-0006-000700080009,\n", 3, "not the UUID"},
		"a virtual adapter":       {head + good + "GOOD002,Dell,,,,,52:54:00:aa:00:01\n", 3, "not the address"},
		"an unknown role":         {head + good + "GOOD002,Dell,,,nobody,,\n", 3, "no role"},
		"too many fields":         {head + good + "GOOD002,Dell,,,,,,x\n", 3, "8 fields"},
		"a long owner":            {head + good + "GOOD002,Dell,," + strings.Repeat("x", 65) + ",,,\n", 3, "longer than 64"},
		"an escape":               {head + good + "GOOD002,Dell,,\x1b[2J,,,\n", 3, "cannot be printed"},
		"a torn quotation":        {head + good + "\"GOOD002,Dell,,,,,\n", 3, "quotation mark"},
		"no heading":              {"GOOD001,Dell\n", 1, "No column"},
		"a heading without maker": {"serial,asset\nGOOD001,A1\n", 1, "manufacturer"},
		"two serial columns":      {"serial,S/N,manufacturer\nGOOD001,GOOD001,Dell\n", 1, "Two columns"},
		"nothing":                 {"", 1, "no heading"},
		"a heading alone":         {head, 1, "no laptop"},
		"another encoding":        {"serial,manufacturer,owner\nGOOD001,Dell,M\xfcller\n", 1, "UTF-8"},
		"UTF-16":                  {"\xff\xfes\x00e\x00", 1, "UTF-8"},
		"too large":               {head + strings.Repeat("x", 600<<10), 1, "bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			_, err := b.full(1).adopt(store.Adoption{Name: "PC-1", Asset: "TAKEN"})
			must(t, err)
			out := b.list(c.csv)
			if len(out.Bad) != 1 || out.Bad[0].Line != c.line || !strings.Contains(out.Bad[0].Why, c.says) || out.Added != 0 {
				t.Errorf("the list came to %+v; want line %d: %s", out, c.line, c.says)
			}
			if all, _ := b.s.Devices(context.Background()); len(all) != 1 {
				t.Errorf("%d devices; nothing of the list may be imported", len(all))
			}
		})
	}
	t.Run("every bad line is named, within a bound", func(t *testing.T) {
		b := newBench(t)
		var csv strings.Builder
		csv.WriteString("serial,manufacturer\n")
		for i := range 80 {
			fmt.Fprintf(&csv, ",Dell %d\n", i)
		}
		if out := b.list(csv.String()); len(out.Bad) != store.MaxBadLines || out.MoreBad != 30 || out.Bad[49].Line != 51 {
			t.Errorf("%d bad lines and %d more", len(out.Bad), out.MoreBad)
		}
	})
}

func TestAListFillsInAndNeverReplaces(t *testing.T) {
	b := newBench(t)
	b.full(1).adoptAs("PC-1")
	if out := b.list("serial,manufacturer,owner\nABC1201,Dell,B. Meyer\n"); out.Filled != 1 || out.Added != 0 {
		t.Fatalf("filling in came to %+v", out)
	}
	if d := b.device("PC-1"); d.Owner != "B. Meyer" || d.Name != "PC-1" || d.Promised() {
		t.Errorf("the device is %+v", d.Device)
	}
	if out := b.list("serial,manufacturer,owner\nABC1201,Dell,C. Braun\n"); len(out.Bad) != 1 {
		t.Errorf("another owner came to %+v; want a refusal", out)
	}
}

// TestAPromisedLaptopStartsOnAClosedBench when its list names its UUID or its adapter, until it has been here.
func TestAPromisedLaptopStartsOnAClosedBench(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	out := b.list("serial,manufacturer,uuid,mac\nABC1201,Dell," + strings.ToUpper(uuidFor("ABC1201")) + ",\nABC1202,Dell,,8C-16-45-00-00-02\nABC1203,Dell,,\n")
	if out.Added != 3 {
		t.Fatalf("imported %+v", out)
	}
	_, err := b.s.OpenBench(ctx, "anna", store.Bench{})
	must(t, err)
	for n, want := range map[int]bool{1: true, 2: true, 3: false, 4: false} {
		if a, err := b.s.Decide(ctx, b.full(n).machine()); err != nil || a.Boot != want {
			t.Errorf("laptop %d: %+v, %v; want boot %v", n, a, err, want)
		}
	}
	l := b.full(1)
	l.boot()
	l.sayHello()
	if a, _ := b.s.Decide(ctx, l.machine()); a.Boot {
		t.Error("after its first start it boots on a closed bench without a job")
	}
	if d := b.device("ABC1201"); d.State != store.Ready || d.Seen.IsZero() {
		t.Errorf("the device is %+v", d.Device)
	}
}

// TestAPromisedLaptopThatTellsNoSerialIsBoundByItsSticker.
func TestAPromisedLaptopThatTellsNoSerialIsBoundByItsSticker(t *testing.T) {
	b := newBench(t)
	b.list("serial,manufacturer,owner\nSTK-0001,Clevo,B. Meyer\n")
	l := b.nameless(1)
	d, err := l.adopt(store.Adoption{Sticker: "stk-0001", Name: "PC-1"})
	must(t, err)
	if d.Owner != "B. Meyer" || d.Name != "PC-1" || d.State != store.Ready || d.Promised() || len(d.Drives) != 1 {
		t.Errorf("adopted as %+v", d.Device)
	}
	b.order("PC-1")
	if j := l.work(); j.DeviceName != "PC-1" || j.Serial != "Default string" {
		t.Errorf("job %+v", j)
	}
	b.clk.pass(16 * time.Minute)
}

// FuzzList holds that whatever is in a list, each line is a laptop with a serial of its own or is named with what is
// wrong with it, in words that fit a screen.
func FuzzList(f *testing.F) {
	for _, s := range []string{"serial,manufacturer\nABC1201,Dell\n", "\ufeffS/N;Maker\r\n\"A;1\";Dell\r\n", "serial\tvendor\rX\tY", "serial,manufacturer,mac\nABC,Dell,8c:16:45:00:00:01\n",
		"\"", ",,,\n,,,", "serial,manufacturer\n\"ABC\n1\",Dell\n", "serial,manufacturer,uuid\nABC1,Dell,4c4c4544-0042-3510-8052-b4c04f563101\nABC2,Dell,44454c4c-4200-1035-8052-b4c04f563101\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, csv []byte) {
		serials, bad := deploy.ReadList(csv)
		seen := map[string]bool{}
		for _, s := range serials {
			if s == "" || seen[s] {
				t.Fatalf("%q gives the serial %q, twice %v", csv, s, seen[s])
			}
			seen[s] = true
		}
		lines := strings.Count(string(csv), "\n") + strings.Count(string(csv), "\r") + 1
		for _, x := range bad {
			if x.Line < 1 || x.Line > lines || x.Why == "" || len(x.Why) > 400 {
				t.Fatalf("%q: bad line %+v of %d", csv, x, lines)
			}
		}
	})
}

// TestAListGivesNoUUIDToALaptopThatTellsNone: by that UUID another laptop would be taken for it.
func TestAListGivesNoUUIDToALaptopThatTellsNone(t *testing.T) {
	b := newBench(t)
	l := b.full(1)
	l.hello.Facts.UUID = noUUID
	l.adoptAs("PC-1")
	if out := b.list("serial,manufacturer,uuid\nABC1201,Dell," + uuidFor("ABC1202") + "\n"); len(out.Bad) != 1 || !strings.Contains(out.Bad[0].Why, "tells no UUID") {
		t.Errorf("the list came to %+v; want a refusal", out)
	}
	other := b.full(2)
	other.hello.Facts.Serial, other.hello.Links = "Default string", nil
	other.mac = "8c:16:45:dd:dd:02"
	other.boot()
	if r := other.sayHello(); r.Device == b.device("PC-1").ID || r.Code == "" {
		t.Errorf("a laptop that tells the list's UUID is %+v; PC-1 is another one", r)
	}
}
