package cmd_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// tiers is the house's one rule about imports, as a table: a package may import only packages of a lower
// number. A test file may import whatever it needs. The agent has a second rule, below.
var tiers = map[string]int{
	"ingot/imaging":             0,
	"ingot/imaging/gpt":         0,
	"ingot/imaging/sign":        0,
	"ingot/imaging/diskfile":    0,
	"ingot/firmware":            0,
	"ingot/firmware/smbios":     -1,
	"ingot/firmware/efivar":     -1,
	"ingot/imaging/job":         1,
	"ingot/imaging/fs":          1,
	"ingot/imaging/passthru":    0,
	"ingot/imaging/wipe":        1,
	"ingot/imaging/bundle":      1,
	"ingot/imaging/paper":       0,
	"ingot/imaging/chunkstore":  2,
	"ingot/imaging/capture":     2,
	"ingot/imaging/disk":        2,
	"ingot/imaging/inspect":     2,
	"ingot/imaging/personalise": 2,
	"ingot/imaging/job/client":  2,
	"ingot/imaging/wipe/cert":   2,
	"ingot/store":               2,
	"ingot/imaging/agent":       3,
	"ingot/imaging/deploy":      3,
	"ingot/imaging/library":     3,
	"ingot/pxe":                 3,
	"ingot/web/access":          3,
	"ingot/web/report":          3,
	"ingot/web/push":            3,
	"ingot/web/metrics":         3,
	"ingot/web":                 4,

	"ingot/firmware/authenticode":  -1,
	"ingot/imaging/preflight":      2,
	"ingot/imaging/inspect/hive":   1,
	"ingot/imaging/inspect/sqlite": 1,

	"ingot/imaging/inspect/hive/hivetest": 0,
	"ingot/imaging/wipe/wipetest":         2,
	"ingot/imaging/wipe/explain":          2,

	"ingot/store/sheet":    0,
	"ingot/imaging/nstest": 0, // of tests alone
}

// top is the tier of everything under cmd.
const top = 5

// tierOf gives everything under cmd the top tier, and reports whether the package is in the house at all.
func tierOf(path string) (int, bool) {
	if strings.HasPrefix(path, "ingot/cmd") {
		return top, true
	}
	t, ok := tiers[path]
	return t, ok
}

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func listPackages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "ingot/...").Output()
	if err != nil {
		t.Fatalf("go list ingot/...: %v", err)
	}
	var all []listed
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for dec.More() {
		var p listed
		if err := dec.Decode(&p); err != nil {
			t.Fatalf("read go list: %v", err)
		}
		all = append(all, p)
	}
	return all
}

func TestImportsRunDownward(t *testing.T) {
	for _, p := range listPackages(t) {
		from, ok := tierOf(p.ImportPath)
		if !ok {
			t.Errorf("%s is not in the table of tiers: give it a room", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, "ingot/") {
				continue
			}
			to, ok := tierOf(imp)
			if from == top && to == top {
				continue // cmd's own helpers
			}
			if !ok || to >= from {
				t.Errorf("%s (tier %d) imports %s (tier %d): imports run downward only", p.ImportPath, from, imp, to)
			}
		}
	}
}

// TestTheTopLevelIsFixed keeps the house to its rooms: everything else stands inside one of them.
func TestTheTopLevelIsFixed(t *testing.T) {
	rooms := map[string]bool{"cmd": true, "pxe": true, "imaging": true, "store": true, "web": true, "firmware": true}
	for _, p := range listPackages(t) {
		room, _, _ := strings.Cut(strings.TrimPrefix(p.ImportPath, "ingot/"), "/")
		if !rooms[room] {
			t.Errorf("%s stands at the top level beside the rooms", p.ImportPath)
		}
	}
}

// TestAgentLinksNothingOfTheDaemon keeps records, boot services and pages out of the laptop.
func TestAgentLinksNothingOfTheDaemon(t *testing.T) {
	banned := map[string]bool{"ingot/store": true, "ingot/pxe": true, "ingot/web": true, "ingot/imaging/deploy": true, "go.etcd.io/bbolt": true}
	for _, p := range listPackages(t) {
		if p.ImportPath != "ingot/cmd/ingot-agent" {
			continue
		}
		for _, d := range p.Deps {
			if banned[d] {
				t.Errorf("ingot-agent links %s", d)
			}
		}
	}
}

// TestOneOwnerPerEngine holds bbolt in store and the TFTP library in pxe.
func TestOneOwnerPerEngine(t *testing.T) {
	owners := map[string]string{"go.etcd.io/bbolt": "ingot/store", "github.com/pin/tftp/v3": "ingot/pxe"}
	for _, p := range listPackages(t) {
		for _, imp := range p.Imports {
			if owner, ok := owners[imp]; ok && p.ImportPath != owner {
				t.Errorf("%s imports %s: only %s may", p.ImportPath, imp, owner)
			}
		}
	}
}
