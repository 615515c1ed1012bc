package e2e_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ingot/cmd/internal/e2e"
)

func TestEveryCaseHasANameOfItsOwnAndSaysWhatItProves(t *testing.T) {
	name := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := map[string]bool{}
	for _, c := range e2e.Cases() {
		if !name.MatchString(c.Name) || seen[c.Name] {
			t.Errorf("the name %q is not plain or not its own", c.Name)
		}
		seen[c.Name] = true
		if c.About == "" || c.Run == nil {
			t.Errorf("case %s says or does nothing", c.Name)
		}
	}
}

func TestMakeTestNamesCasesThatExist(t *testing.T) {
	text, err := os.ReadFile("../../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^CASES \?= (.*)$`).FindSubmatch(text)
	if m == nil {
		t.Fatal("the Makefile has no list CASES")
	}
	for _, name := range strings.Fields(string(m[1])) {
		if !slices.ContainsFunc(e2e.Cases(), func(c e2e.Case) bool { return c.Name == name }) {
			t.Errorf("make test names the case %q, which does not exist", name)
		}
	}
}
