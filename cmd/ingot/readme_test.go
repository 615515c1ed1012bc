package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ingot/cmd/internal/e2e"
	"ingot/imaging/job"
)

const readmePath = "../../README.md"

var update = flag.Bool("update", false, "write the generated parts of README.md anew")

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(readmePath)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// codesTable is the table of every code, as README.md shows it.
func codesTable() string {
	var b strings.Builder
	b.WriteString("| code | what happened | what to do |\n|---|---|---|\n")
	codes := job.Codes()
	failuresFirst := func(a, b job.Code) int { return cmp.Or(-cmp.Compare(a[0], b[0]), cmp.Compare(a, b)) }
	for _, c := range slices.SortedFunc(maps.Keys(codes), failuresFirst) {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c, codes[c].Sentence, codes[c].Next)
	}
	return b.String()
}

// TestREADMEListsTheCodes fails when a code or its words changed and the table did not; -update writes it.
func TestREADMEListsTheCodes(t *testing.T) {
	text := readme(t)
	head, rest, ok := strings.Cut(text, "<!-- codes")
	mark, rest, ok2 := strings.Cut(rest, "-->\n")
	table, tail, ok3 := strings.Cut(rest, "<!-- end of codes -->")
	if !ok || !ok2 || !ok3 {
		t.Fatal("README.md has no place for the table of codes")
	}
	want := codesTable()
	if table == want {
		return
	}
	if !*update {
		t.Fatal("the table of codes in README.md is stale: go test ./cmd/ingot -run TestREADMEListsTheCodes -update")
	}
	text = head + "<!-- codes" + mark + "-->\n" + want + "<!-- end of codes -->" + tail
	if err := os.WriteFile(readmePath, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// blocks gives the fenced blocks of a kind: "" for commands, "toml" for configurations.
func blocks(text, kind string) []string {
	var out []string
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		if m[1] == kind {
			out = append(out, m[2])
		}
	}
	return out
}

// TestREADMEsCommandsAreThere parses each command of README.md with the real command line, without running it.
func TestREADMEsCommandsAreThere(t *testing.T) {
	var lines []string
	for _, b := range blocks(readme(t), "") {
		lines = append(lines, strings.Split(b, "\n")...)
	}
	for _, m := range regexp.MustCompile("`(ingot [a-z][^`]*)`").FindAllStringSubmatch(readme(t), -1) {
		lines = append(lines, m[1])
	}
	seen := 0
	for _, line := range lines {
		line, _, _ = strings.Cut(line, "#")
		words := shellWords(strings.TrimPrefix(strings.TrimSpace(line), "sudo "))
		if len(words) < 2 || words[0] != "ingot" {
			continue
		}
		seen++
		a := &app{ctx: context.Background(), out: io.Discard, err: io.Discard}
		c, rest, err := a.rootCommand().Find(words[1:])
		if err != nil || c.HasSubCommands() && c.Example == "" && len(rest) > 0 {
			t.Errorf("README.md tells of %q: no such command (%v)", line, err)
			continue
		}
		if err := c.ParseFlags(rest); err != nil {
			t.Errorf("README.md tells of %q: %v", line, err)
		}
	}
	if seen < 20 {
		t.Errorf("only %d commands found in README.md", seen)
	}
}

// shellWords splits a line at spaces outside double quotes.
func shellWords(line string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`"([^"]*)"|\S+`).FindAllStringSubmatch(line, -1) {
		out = append(out, strings.Trim(m[0], `"`))
	}
	return out
}

func TestREADMEsConfigurationsAreValid(t *testing.T) {
	examples := blocks(readme(t), "toml")
	if len(examples) < 2 {
		t.Fatalf("%d configurations in README.md", len(examples))
	}
	for _, text := range examples {
		path := t.TempDir() + "/ingot.toml"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := (&app{config: path}).loadConfig()
		if err != nil {
			t.Error(err)
			continue
		}
		cfg.Boot.AgentPort, cfg.Boot.AgentPin = cfg.Agent.Port, "sha256:"+strings.Repeat("0", 64)
		if err := cfg.Boot.Validate(); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
	}
}

// TestREADMESaysWhatEachModuleIsFor fails when go.mod gains a module that README.md does not explain.
func TestREADMESaysWhatEachModuleIsFor(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(readme(t), "## Dependencies")
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(mod), -1) {
		if !strings.Contains(table, m[1]) {
			t.Errorf("README.md does not say why %s is needed", m[1])
		}
	}
}

// TestREADMEHasFiveCommands: the bench is open after the first block of "A real bench", which is what the end-to-end
// case five-commands types; only the source of the clone, and what starts the daemon without systemd, differ.
func TestREADMEHasFiveCommands(t *testing.T) {
	_, part, ok := strings.Cut(readme(t), "## A real bench\n")
	if !ok || len(blocks(part, "")) == 0 {
		t.Fatal("README.md has no real bench")
	}
	var got []string
	for _, l := range strings.Split(strings.TrimSpace(blocks(part, "")[0]), "\n") {
		l, _, _ = strings.Cut(l, "#")
		got = append(got, strings.TrimSpace(l))
	}
	played := map[string]string{
		"git clone -q /srv/ingot.git ingot && cd ingot": "git clone REPOSITORY ingot && cd ingot",
		"sudo ingot setup --yes":                        "sudo ingot setup",
		"sudo ingot daemon 2>daemon.log &":              "sudo ingot doctor",
	}
	var want []string
	for _, l := range e2e.FiveCommands() {
		if as, ok := played[l]; ok {
			l = as
		}
		want = append(want, l)
	}
	if len(got) != 5 || !slices.Equal(got, want) {
		t.Errorf("README.md has %q; the case types %q", got, want)
	}
}
