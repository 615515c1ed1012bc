package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFirmwareSpeaksInWords holds the exit code and the words of each way that has no bundle at its end.
func TestFirmwareSpeaksInWords(t *testing.T) {
	empty := t.TempDir()
	agent := filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(agent, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"verify without a bundle", []string{"firmware", "verify"}, 1, "run \"ingot firmware build\""},
		{"show without a bundle", []string{"firmware", "show"}, 1, "E614"},
		{"build without an agent", []string{"firmware", "build", "--agent", agent + "-absent"}, 1, "agent-absent"},
		{"build with an agent that is no program", []string{"firmware", "build", "--agent", agent, "--debs", empty}, 1, "E613"},
		{"update with no packages", []string{"firmware", "update", "--agent", agent, "--debs", empty}, 1, "E613"},
		{"a stick without a bundle", []string{"firmware", "usb", "x.img", "--url", "https://10.0.0.1"}, 1, "E611"},
		{"an argument too many", []string{"firmware", "build", "now"}, 2, "see \"ingot firmware build --help\""},
		{"a flag that is not there", []string{"firmware", "verify", "--fast"}, 2, "--fast"},
		{"a verb that is not there", []string{"firmware", "burn"}, 2, "unknown command \"burn\""},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"--data", t.TempDir()}, c.args...), nil, &out, &errs)
		if code != c.code || !strings.Contains(strings.ToLower(errs.String()), strings.ToLower(c.want)) {
			t.Errorf("%s: exit code %d, %q; want %d and %q", c.name, code, errs.String(), c.code, c.want)
		}
	}
}
