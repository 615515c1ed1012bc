package sheet_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"ingot/store/sheet"
)

func TestNoTextIsAFormula(t *testing.T) {
	for _, s := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1", "\r=1", "  =1", "\u00a0=1", "\uff1d1", "\ufeff=1", "\u202e=1", "\x00=1", "|calc", " %0A", "\uff0b1", "\u009b=1"} {
		got := sheet.Neutral(s)
		if !strings.HasPrefix(got, "'") {
			t.Errorf("Neutral(%q) = %q; want an apostrophe in front", s, got)
		}
	}
	for _, s := range []string{"PF3ABCDE", "", "00123", "O'Neill", "a=b", "Müller & Söhne", "Łódź", "電腦"} {
		if got := sheet.Neutral(s); got != s {
			t.Errorf("Neutral(%q) = %q; want it as it is", s, got)
		}
	}
	if got := sheet.Neutral("a\nb\u202ec\u200fd\xffe"); got != "a\ufffdb\ufffdc\ufffdd\ufffde" {
		t.Errorf("Neutral = %q; want what steers replaced", got)
	}
}

func TestASheetIsRFC4180(t *testing.T) {
	var b bytes.Buffer
	at := time.Date(2026, 11, 26, 9, 30, 0, 0, time.FixedZone("", 3600))
	err := sheet.Write(&b, []string{"name", "n", "big", "share", "ok", "time", "never"},
		[][]any{{`say "hi", you; =1`, -3, uint64(1 << 63), 1.5, true, at, time.Time{}}, {"", 0, uint64(0), 0.0, false, at, at}})
	if err != nil {
		t.Fatal(err)
	}
	want := "\"name\",\"n\",\"big\",\"share\",\"ok\",\"time\",\"never\"\r\n" +
		"\"say \"\"hi\"\", you; =1\",-3,9223372036854775808,1.5,yes,2026-11-26T08:30:00Z,\r\n,0,0,0,no,2026-11-26T08:30:00Z,2026-11-26T08:30:00Z\r\n"
	if b.String() != want {
		t.Errorf("Write =\n%q; want\n%q", b.String(), want)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][0] != `say "hi", you; =1` {
		t.Errorf("read back: %v, %v", rows, err)
	}
	if err := sheet.Write(&b, []string{"a"}, [][]any{{"x", "y"}}); err == nil {
		t.Error("a row that is longer than its heading was written")
	}
	if err := sheet.Write(&b, []string{"a"}, [][]any{{struct{}{}}}); err == nil {
		t.Error("a cell of an unknown kind was written")
	}
}

var form = sheet.Form{Columns: map[string][]string{"serial": {"serial", "sn"}, "seats": {"seats"}}, Need: map[string]string{"serial": "serial"}, MaxBytes: 1000, MaxRows: 3, Rows: "laptops"}

func TestASheetIsReadAsSpreadsheetsSaveIt(t *testing.T) {
	for name, in := range map[string]string{
		"commas":             "Serial,Price,SEATS\nA1,9,2\nB2,8,3\n",
		"semicolons and BOM": "\ufeffS/N;Seats\r\nA1;2\r\n\r\nB2;3",
		"tabs, old Mac":      "s n\tseats\rA1\t2\rB2\t3\r",
		"quoted over lines":  "serial,seats\n\"A1\",\"2\"\n\"B2\",\"\n3\"\n",
	} {
		var got []string
		bad := form.Read([]byte(in), func(r sheet.Row) string {
			got = append(got, r.Get("serial")+"="+r.Get("seats"))
			return ""
		})
		if len(bad) > 0 || strings.Join(got, " ") != "A1=2 B2=3" {
			t.Errorf("%s: %v, %v", name, got, bad)
		}
	}
}

func TestABadLineIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		line int
		why  string
	}{
		"no heading":           {"", 1, "no heading"},
		"column missing":       {"seats\n1\n", 1, `called "serial"`},
		"column twice":         {"serial,SN\n1,2\n", 1, "Two columns"},
		"not UTF-8":            {"serial\n\xff\n", 1, "UTF-8"},
		"zero bytes":           {"serial\n\x00\n", 1, "zero bytes"},
		"too large":            {"serial\n" + strings.Repeat("x", 1000), 1, "1000 fit"},
		"too many":             {"serial\n1\n2\n3\n4\n", 5, "more than 3 laptops"},
		"too wide":             {"serial\n1,2\n", 2, "2 fields"},
		"open quote":           {"serial\n1\n\"2\n", 3, "quotation mark"},
		"what the caller says": {"serial\n1\nbad\n", 3, "so bad"},
	} {
		bad := form.Read([]byte(c.in), func(r sheet.Row) string {
			if r.Get("serial") == "bad" {
				return "so bad"
			}
			return ""
		})
		if len(bad) != 1 || bad[0].Line != c.line || !strings.Contains(bad[0].Why, c.why) {
			t.Errorf("%s: %v; want line %d, %s", name, bad, c.line, c.why)
		}
	}
}

func FuzzNeutral(f *testing.F) {
	for _, s := range []string{"=1", "'=1", " \u202e-x", "\xff\xfe=", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := sheet.Neutral(s)
		if strings.ContainsAny(got, "\r\n\t\x00") {
			t.Errorf("Neutral(%q) = %q", s, got)
		}
		if first := strings.TrimLeft(got, " "); first != "" && strings.IndexAny(first, "=+-@|%") == 0 {
			t.Errorf("Neutral(%q) = %q: a formula", s, got)
		}
	})
}
