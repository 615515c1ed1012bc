package hostile_test

import (
	"testing"

	"ingot/cmd/internal/hostile"
)

func TestThereAreTwoHundredOfEach(t *testing.T) {
	seen := map[string]bool{}
	long := false
	for _, s := range hostile.Strings() {
		if seen[s] {
			t.Errorf("%.60q stands twice", s)
		}
		seen[s] = true
		long = long || len(s) >= 10_000
	}
	if len(seen) < 200 || !long {
		t.Errorf("%d strings, one of 10 kB: %v; want 200 and one", len(seen), long)
	}
	for _, s := range append(hostile.Runs(), hostile.Formulas()...) {
		if !seen[s] {
			t.Errorf("%q is not in the list", s)
		}
	}
}
