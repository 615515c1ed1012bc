package web_test

import (
	"strings"
	"testing"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
)

func devices() []store.DeviceView {
	view := func(d store.Device, image string) store.DeviceView {
		v := store.DeviceView{Device: d}
		if image != "" {
			v.Holds = &store.Deployment{Image: job.ImageRef{Name: image, Number: 3}}
		}
		return v
	}
	a := view(store.Device{ID: "a", State: store.Failed, Name: "SALES-01", Serial: "PF3ABCDE", Manufacturer: "Dell Inc.", Model: "Latitude 5440", Owner: "Anna Berg", MACs: []string{"52:54:00:aa:bb:cc"}}, "sales")
	b := view(store.Device{ID: "b", State: store.Deployed, Name: "DEV-01", Serial: "XX12", Model: "ThinkPad T14", Asset: "00815", Owner: "Bo"}, "dev")
	c := view(store.Device{ID: "c", State: store.New, Serial: "YY-7", Note: "state:failed once", Drives: []job.Drive{{Serial: "NV-77", Model: "Samsung"}}}, "")
	c.Code, c.Live = "ABCD-EFGH", true
	return []store.DeviceView{a, b, c}
}

func TestOneBoxFindsDevices(t *testing.T) {
	for _, c := range []struct{ q, want string }{
		{"", "abc"}, {"   ", "abc"}, {"state:failed", "a"}, {"STATE:Failed image:Sales", "a"}, {"image:sales@3", "a"}, {"image:sales@4", ""}, {"image:sale", ""},
		{"-state:failed", "bc"}, {"owner:\"anna berg\"", "a"}, {"-owner:\"Anna Berg\" latitude", ""}, {"latitude", "a"}, {"thinkpad 00815", "b"}, {"serial:pf3", "a"},
		{"52:54:00:aa:bb:cc", "a"}, {"mac:52:54", "a"}, {"52:54", "a"}, {"owner:", "c"}, {"-owner:", "ab"}, {"image:", "c"}, {"abcdefgh", "c"}, {"ABCD-EFGH", "c"},
		{"is:here", "c"}, {"-is:here", "ab"}, {"drive:nv-77", "c"}, {`"state:failed once"`, "c"}, {"deployed", "b"}, {"name:01", "ab"}, {"asset:00815", "b"},
	} {
		got := ""
		for _, d := range devices() {
			ok, err := web.Matches(c.q, d)
			if err != nil {
				t.Errorf("%q: %v", c.q, err)
			}
			if ok {
				got += d.ID
			}
		}
		if got != c.want {
			t.Errorf("%q finds %q; want %q", c.q, got, c.want)
		}
	}
}

func TestASearchThatIsNotUnderstoodShowsNothingAndSaysWhy(t *testing.T) {
	for q, want := range map[string]string{
		"state:failde": `no state "failde"`, "stat:failed": `no field "stat"`, `owner:"Anna`: "not closed", "-": "follow a minus", "is:there": "is: takes",
		strings.Repeat("a ", 30): "30 conditions", strings.Repeat("a", 500): "400", "a\xff": "no text",
	} {
		_, err := web.Matches(q, devices()[0])
		if f := job.FaultOf(err); f.Code != job.CodeSearch || !strings.Contains(f.Fact, want) {
			t.Errorf("%q: %v; want %s with %q", q, err, job.CodeSearch, want)
		}
	}
}

// FuzzSearch: whatever is typed, it is refused in words or means the same when it is written out and read again.
func FuzzSearch(f *testing.F) {
	for _, s := range []string{"state:failed image:sales", `-owner:"Anna Berg" x`, `"a:b"`, "52:54:00:11:22:33", "owner:", `-"-x"`, "::", `a""b`, "\u202e:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		again, err := web.Written(s)
		if err != nil {
			if job.FaultOf(err).Code != job.CodeSearch {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if len(again) > 400 {
			return // quotes may make it longer than may be typed
		}
		twice, err := web.Written(again)
		if err != nil || twice != again {
			t.Fatalf("%q is written %q, and that %q (%v)", s, again, twice, err)
		}
		for _, d := range devices() {
			a, _ := web.Matches(s, d)
			b, _ := web.Matches(again, d)
			if a != b {
				t.Fatalf("%q finds %s: %v, written out as %q: %v", s, d.ID, a, again, b)
			}
		}
	})
}
