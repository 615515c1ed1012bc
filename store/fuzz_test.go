package store_test

import (
	"testing"

	"ingot/store"
)

// FuzzPattern holds that whatever the pattern and the laptop's strings, a Name is valid or refused.
func FuzzPattern(f *testing.F) {
	for _, p := range []string{"LT-{serial:-7}", "{asset}", "{model}-{seq:4}", "{serial", "}{", "{seq:99999999999999999999}", "{:}", "x"} {
		f.Add(p, "PF3ABC12", "0815", "ThinkPad T14 Gen 3")
	}
	f.Fuzz(func(t *testing.T, pattern, serial, asset, model string) {
		p, err := store.ParsePattern(pattern)
		if err != nil {
			return
		}
		name, err := p.Expand(store.Device{Serial: serial, Asset: asset, Model: model}, 7)
		if err == nil && store.CheckName(name) != nil {
			t.Errorf("pattern %q gives the invalid name %q", pattern, name)
		}
	})
}
