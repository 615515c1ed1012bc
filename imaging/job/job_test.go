package job_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"ingot/imaging/job"
)

var all = []job.State{job.Approved, job.Claimed, job.Invalidated, job.Writing, job.Flushed, job.Verified, job.Personalised,
	job.Committing, job.Committed, job.Reading, job.Uploaded, job.Done, job.Failed, job.Cancelled, job.Indeterminate}

// TestEveryPairOfDeployStates holds the table of DESIGN.md section 1: one row a state, the states that may
// follow it.
func TestEveryPairOfDeployStates(t *testing.T) {
	follows := map[job.State]string{
		job.Approved:      "claimed failed cancelled indeterminate",
		job.Claimed:       "claimed invalidated failed cancelled indeterminate",
		job.Invalidated:   "claimed writing failed cancelled indeterminate",
		job.Writing:       "claimed flushed failed cancelled indeterminate",
		job.Flushed:       "claimed verified failed cancelled indeterminate",
		job.Verified:      "claimed personalised failed cancelled indeterminate",
		job.Personalised:  "claimed committing failed cancelled indeterminate",
		job.Committing:    "claimed committed failed indeterminate",
		job.Committed:     "claimed done failed indeterminate",
		job.Done:          "",
		job.Failed:        "",
		job.Cancelled:     "",
		job.Indeterminate: "",
	}
	for _, from := range all {
		for _, to := range append(all, "nonsense") {
			want := false
			for _, f := range strings.Fields(follows[from]) {
				want = want || f == string(to)
			}
			if got := job.Deploy.MayFollow(from, to); got != want {
				t.Errorf("deploy: MayFollow(%s, %s) = %v; want %v", from, to, got, want)
			}
		}
	}
}

// TestEveryPairOfWipeStates: a wipe that has begun is finished or unsettled, never stopped.
func TestEveryPairOfWipeStates(t *testing.T) {
	follows := map[job.State]string{
		job.Approved:  "claimed failed cancelled indeterminate",
		job.Claimed:   "claimed wiping failed cancelled indeterminate",
		job.WipeBegun: "claimed done failed indeterminate",
	}
	states := append(all, job.WipeBegun, "nonsense")
	for _, from := range states {
		for _, to := range states {
			want := slices.Contains(strings.Fields(follows[from]), string(to))
			if got := job.Wipe.MayFollow(from, to); got != want {
				t.Errorf("wipe: MayFollow(%s, %s) = %v; want %v", from, to, got, want)
			}
			for _, k := range []job.Kind{job.Deploy, job.Rename, job.Capture} {
				if (from == job.WipeBegun || to == job.WipeBegun) && k.MayFollow(from, to) {
					t.Errorf("%s may go from %s to %s", k, from, to)
				}
			}
		}
		if got, want := job.Wipe.Started(from), from == job.WipeBegun || from == job.Done; got != want {
			t.Errorf("wipe: Started(%s) = %v; want %v", from, got, want)
		}
	}
}

// TestEveryPairOfRenameStates: a rename that has begun to write is finished, never stopped.
func TestEveryPairOfRenameStates(t *testing.T) {
	follows := map[job.State]string{
		job.Approved:     "claimed failed cancelled indeterminate",
		job.Claimed:      "claimed verified failed cancelled indeterminate",
		job.Verified:     "claimed personalised failed indeterminate",
		job.Personalised: "claimed committed failed indeterminate",
		job.Committed:    "claimed done failed indeterminate",
	}
	for _, from := range append(all, "nonsense") {
		for _, to := range append(all, "nonsense") {
			want := slices.Contains(strings.Fields(follows[from]), string(to))
			if got := job.Rename.MayFollow(from, to); got != want {
				t.Errorf("rename: MayFollow(%s, %s) = %v; want %v", from, to, got, want)
			}
			for _, k := range []job.Kind{job.Verify, job.Inventory, "nonsense"} {
				if k.MayFollow(from, to) {
					t.Errorf("%s, which nobody carries out, may go from %s to %s", k, from, to)
				}
			}
		}
		want := from == job.Verified || from == job.Personalised || from == job.Committed || from == job.Done
		if got := job.Rename.Started(from); got != want {
			t.Errorf("rename: Started(%s) = %v; want %v", from, got, want)
		}
	}
}

// TestEveryPairOfCaptureStates: a capture may be stopped until it is recorded, and in no state has it written.
func TestEveryPairOfCaptureStates(t *testing.T) {
	follows := map[job.State]string{
		job.Approved: "claimed failed cancelled indeterminate",
		job.Claimed:  "claimed reading failed cancelled indeterminate",
		job.Reading:  "claimed uploaded failed cancelled indeterminate",
		job.Uploaded: "claimed done failed cancelled indeterminate",
	}
	for _, from := range append(all, "nonsense") {
		for _, to := range append(all, "nonsense") {
			want := slices.Contains(strings.Fields(follows[from]), string(to))
			if got := job.Capture.MayFollow(from, to); got != want {
				t.Errorf("capture: MayFollow(%s, %s) = %v; want %v", from, to, got, want)
			}
		}
		if job.Capture.Started(from) {
			t.Errorf("capture: Started(%s) = true; it never writes", from)
		}
	}
}

// TestWhatACaptureTellsIsBounded: its notes come from a laptop.
func TestWhatACaptureTellsIsBounded(t *testing.T) {
	c := (&job.Captured{ReadBytes: 7, Notes: append(make([]string, 99), "x")}).Clean()
	if len(c.Notes) != job.MaxCaptureNotes || c.ReadBytes != 7 {
		t.Errorf("%d notes, %d bytes read; want %d and 7", len(c.Notes), c.ReadBytes, job.MaxCaptureNotes)
	}
	c = (&job.Captured{Notes: []string{"a\x1b[2Jb\n" + strings.Repeat("x", 999)}}).Clean()
	if n := c.Notes[0]; len(n) > 300 || strings.ContainsAny(n, "\x1b\n") {
		t.Errorf("a note became %q", n)
	}
	if (*job.Captured)(nil).Clean() != nil {
		t.Error("nothing became something")
	}
}

func TestADiskIsTouchedFromInvalidatedOn(t *testing.T) {
	for _, s := range []job.State{job.Approved, job.Claimed} {
		if job.Deploy.Started(s) {
			t.Errorf("%s.Started() = true; want false", s)
		}
	}
	for _, s := range []job.State{job.Invalidated, job.Writing, job.Committed, job.Done} {
		if !job.Deploy.Started(s) {
			t.Errorf("%s.Started() = false; want true", s)
		}
	}
}

// TestEveryCodeHasWords reads the constants from the source, so that a code without a row cannot be added.
func TestEveryCodeHasWords(t *testing.T) {
	words := job.Codes()
	seen := map[string]string{}
	constants := func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 || !strings.HasPrefix(v.Names[0].Name, "Code") && !strings.HasPrefix(v.Names[0].Name, "Boot") {
			return true
		}
		name, code := v.Names[0].Name, strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`)
		if other, twice := seen[code]; twice {
			t.Errorf("%s and %s share %s", name, other, code)
		}
		seen[code] = name
		w, ok := words[job.Code(code)]
		if !ok || !strings.HasSuffix(w.Sentence, ".") || !strings.HasSuffix(w.Next, ".") {
			t.Errorf("%s (%s) has the words %q; want a sentence and a next step", name, code, w)
		}
		return true
	}
	for _, name := range []string{"codes.go", "codes_wipe.go", "bootcodes.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, constants)
	}
	if len(seen) < 80 || len(seen) != len(words) {
		t.Errorf("%d constants, %d rows of words; want as many", len(seen), len(words))
	}
}

func TestARawErrorNeverReachesAPerson(t *testing.T) {
	f := job.FaultOf(fmt.Errorf("write chunk: %w", errors.New("input/output error")))
	if f.Code != job.CodeInternal || strings.Contains(f.Error(), "input/output") {
		t.Errorf("FaultOf(raw) = %v", f)
	}
	kept := job.FaultOf(fmt.Errorf("deploy: %w", job.Faultf(job.CodeReadBack, "At byte %d.", 4096)))
	if kept.Code != job.CodeReadBack || !strings.Contains(kept.Error(), "4096") {
		t.Errorf("FaultOf(wrapped) = %v", kept)
	}
	if plain := job.Faultf(job.CodeState, "%s", "X\x1b[2J\r\nY\u009b31m\xff"); plain.Fact != "X?[2J? Y?31m?" {
		t.Errorf("a laptop's words became %q", plain.Fact)
	}
	if long := job.Faultf(job.CodeReadBack, "%s", strings.Repeat("x", 5000)); len(long.Fact) > 300 {
		t.Errorf("a fact of %d characters; want at most 300", len(long.Fact))
	}
}

// TestAStrangersFaultIsMadeFitForARecord: bounds, control characters, whole characters, and codes that are none.
func TestAStrangersFaultIsMadeFitForARecord(t *testing.T) {
	if got := (*job.Fault)(nil).Clean(); got != nil {
		t.Errorf("nil became %v", got)
	}
	for name, c := range map[string]struct{ in, want job.Fault }{
		"a good one":           {job.Fault{Code: job.CodeReadBack, Fact: "At byte 4096."}, job.Fault{Code: job.CodeReadBack, Fact: "At byte 4096."}},
		"control characters":   {job.Fault{Code: "E305", Fact: "a\x1b[2J\nb\x7f"}, job.Fault{Code: "E305", Fact: "a?[2J b?"}},
		"bytes that are none":  {job.Fault{Code: "E305", Fact: "a\xffb"}, job.Fault{Code: "E305", Fact: "a?b"}},
		"a long fact":          {job.Fault{Code: "E305", Fact: strings.Repeat("é", 400)}, job.Fault{Code: "E305", Fact: strings.Repeat("é", 150)}},
		"cut within a letter":  {job.Fault{Code: "E305", Fact: "x" + strings.Repeat("é", 400)}, job.Fault{Code: "E305", Fact: "x" + strings.Repeat("é", 149)}},
		"a code to come":       {job.Fault{Code: "E999"}, job.Fault{Code: "E999"}},
		"no code":              {job.Fault{}, job.Fault{Code: job.CodeInternal}},
		"a code in small type": {job.Fault{Code: "e305"}, job.Fault{Code: job.CodeInternal}},
		"a code with a tail":   {job.Fault{Code: "E305 <script>"}, job.Fault{Code: job.CodeInternal}},
		"a signed code":        {job.Fault{Code: "E+05"}, job.Fault{Code: job.CodeInternal}},
	} {
		if got := c.in.Clean(); *got != c.want {
			t.Errorf("%s: %q %q; want %q %q", name, got.Code, got.Fact, c.want.Code, c.want.Fact)
		}
	}
}

func TestFormsAreHeldByHand(t *testing.T) {
	for _, c := range []struct {
		s           string
		least, most int
		set         string
		want        bool
	}{
		{"abc123", 1, 64, job.Lower + job.Digits, true},
		{"", 1, 64, job.Lower, false},
		{"", 0, 64, job.Lower, true},
		{"abc", 1, 2, job.Lower, false},
		{"aBc", 1, 3, job.Lower, false},
		{"a c", 1, 3, job.Lower, false},
		{"abc\n", 1, 9, job.Lower, false},
		{"Müller", 1, 20, job.Letters, false},
	} {
		if got := job.Consists(c.s, c.least, c.most, c.set); got != c.want {
			t.Errorf("Consists(%q, %d, %d) = %v", c.s, c.least, c.most, got)
		}
	}
	if !job.IsHex("00ff", 4) || job.IsHex("00FF", 4) || job.IsHex("00ff0", 4) || job.IsHex("00f", 4) || job.IsHex("00fg", 4) {
		t.Error("IsHex is wrong")
	}
}
