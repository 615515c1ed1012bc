package store_test

import (
	"testing"

	"ingot/store"
)

func TestARightCoversThoseBeforeIt(t *testing.T) {
	for i, have := range store.Rights {
		for k, need := range store.Rights {
			if got := have.Covers(need); got != (i >= k) {
				t.Errorf("%s covers %s = %v", have, need, got)
			}
		}
		if have.Covers("") || have.Covers("root") || store.Right("").Covers(have) || store.Right("root").Covers(have) {
			t.Errorf("%s and an unknown right cover each other", have)
		}
	}
	if store.Right("").Covers("") {
		t.Error("nothing covers nothing")
	}
}
