package firmware_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ingot/firmware"
)

// renew gives a package another version.
func renew(set map[string]*pack, name, version string) map[string]*pack {
	p := *set[name]
	p.version = version
	set[name] = &p
	return set
}

func update(t *testing.T, dir, debs, agent string, inUse ...string) (*firmware.Bundle, []string, error) {
	t.Helper()
	b, changes, err := firmware.Update(t.Context(), firmware.Options{Dir: dir, Debs: debs, Agent: agent,
		InUse: func(context.Context) ([]string, error) { return inUse, nil }})
	var lines []string
	for _, c := range changes {
		lines = append(lines, c.String())
	}
	return b, lines, err
}

func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	held, err := firmware.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range held {
		out = append(out, h.Name)
	}
	return out
}

// TestAnUpdateSaysWhatChanged goes through what may be newer, and what may not.
func TestAnUpdateSaysWhatChanged(t *testing.T) {
	dir, agent := t.TempDir(), agentFile(t, "1")
	first := mustBuild(t, dir, debFolder(t, packs()), agent)
	if b, lines, err := update(t, dir, debFolder(t, packs()), agent); err != nil || len(lines) > 0 || b.Name() != first.Name() {
		t.Fatalf("with nothing newer: %v, %q, %v; want the same bundle", b.Name(), lines, err)
	}
	_, lines, err := update(t, dir, debFolder(t, renew(packs(), "shim-signed", "1.52")), agent)
	if err != nil || !slices.Equal(lines, []string{"shim-signed: 1.51 -> 1.52"}) {
		t.Errorf("with a newer shim: %q, %v", lines, err)
	}
	now, err := firmware.Open(dir)
	if err != nil || now.Name() == first.Name() {
		t.Fatalf("after the update %v is served, %v", now.Name(), err)
	}
	if _, lines, err = update(t, dir, debFolder(t, packs()), agent); !errors.Is(err, firmware.ErrOlder) || !strings.Contains(fmt.Sprint(err), "shim-signed 1.51, in use 1.52") {
		t.Errorf("with an older shim: %q, %v; want a refusal that names it", lines, err)
	}
	if b, err := firmware.Open(dir); err != nil || b.Name() != now.Name() {
		t.Errorf("after the refusal %v is served, %v; want %s", b.Name(), err, now.Name())
	}
	if _, lines, err = update(t, dir, debFolder(t, renew(packs(), "shim-signed", "1.52")), agentFile(t, "2")); err != nil || len(lines) != 1 || !strings.HasPrefix(lines[0], "ingot-agent: ") {
		t.Errorf("with another agent: %q, %v", lines, err)
	}
}

// TestAFailedUpdateLeavesThePresentBundleServed gives it a package cut short.
func TestAFailedUpdateLeavesThePresentBundleServed(t *testing.T) {
	dir, agent := t.TempDir(), agentFile(t, "1")
	first := mustBuild(t, dir, debFolder(t, packs()), agent)
	debs := debFolder(t, renew(packs(), "shim-signed", "1.52"))
	cutHalf(t, filepath.Join(debs, "linux-image-"+fakeKernel+"_6.99.1-1_amd64.deb"))
	if _, _, err := update(t, dir, debs, agent); err == nil {
		t.Fatal("a package cut short gave a bundle")
	}
	if b, err := firmware.Open(dir); err != nil || b.Name() != first.Name() || len(b.Verify()) > 0 {
		t.Errorf("after the failure %v is served, %v", b.Name(), err)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("bundles %v; want the one", got)
	}
}

// TestABundleInUseIsKept updates twice; the first bundle goes only when nothing refers to it, and never when that
// cannot be known.
func TestABundleInUseIsKept(t *testing.T) {
	dir, debs := t.TempDir(), debFolder(t, packs())
	first := mustBuild(t, dir, debs, agentFile(t, "1")).Name()
	second, _, err := update(t, dir, debs, agentFile(t, "2"), first)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); len(got) != 2 {
		t.Fatalf("bundles %v; want both, since a job uses the first", got)
	}
	unknown := errors.New("the records cannot be read")
	_, _, err = firmware.Update(t.Context(), firmware.Options{Dir: dir, Debs: debs, Agent: agentFile(t, "2"),
		InUse: func(context.Context) ([]string, error) { return nil, unknown }})
	if got := names(t, dir); err != nil || len(got) != 2 {
		t.Errorf("when it is not known what is used: bundles %v, %v; want both", got, err)
	}
	if err := firmware.Prune(t.Context(), dir, func(context.Context) ([]string, error) { return nil, unknown }); !errors.Is(err, unknown) || len(names(t, dir)) != 2 {
		t.Errorf("Prune = %v, bundles %v; want the error and both", err, names(t, dir))
	}
	if _, _, err = update(t, dir, debs, agentFile(t, "2")); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{second.Name()}) {
		t.Errorf("bundles %v; want the present one alone, although nothing was newer", got)
	}
}

// TestOldDriversAreFoundByTheirKernel keeps two kernels and asks for the stage 2 of each.
func TestOldDriversAreFoundByTheirKernel(t *testing.T) {
	dir, agent := t.TempDir(), agentFile(t, "")
	old := mustBuild(t, dir, debFolder(t, packs()), agent)
	set := packs()
	kernel := set["linux-image-"+fakeKernel]
	files := map[string]string{}
	for path, b := range kernel.files {
		files[strings.ReplaceAll(path, fakeKernel, "6.99.0-2-amd64")] = b
	}
	delete(set, kernel.name)
	set["linux-image-6.99.0-2-amd64"] = &pack{"linux-image-6.99.0-2-amd64", "6.99.2-1", "amd64", files}
	now, lines, err := update(t, dir, debFolder(t, set), agent, old.Name())
	if err != nil || len(lines) != 1 || lines[0] != "linux-image-6.99.0-2-amd64: linux-image-"+fakeKernel+" 6.99.1-1 -> 6.99.2-1" {
		t.Fatalf("changes %q, %v", lines, err)
	}
	for release, want := range map[string]string{fakeKernel: old.Name(), "6.99.0-2-amd64": now.Name(), "": now.Name(), "../../etc": now.Name()} {
		if b, err := firmware.OpenKernel(dir, release); err != nil || b.Name() != want {
			t.Errorf("OpenKernel(%q) = %s, %v; want %s", release, b.Name(), err, want)
		}
	}
	held, err := firmware.List(dir)
	if err != nil || len(held) != 2 {
		t.Fatalf("List = %v, %v", held, err)
	}
	for _, h := range held {
		if h.Current != (h.Name == now.Name()) || h.Damage != "" || time.Since(h.Built) > time.Hour || len(h.Record.Packages) == 0 {
			t.Errorf("held %s: current %v, damage %q, built %s", h.Name, h.Current, h.Damage, h.Built)
		}
	}
	if err := os.Truncate(filepath.Join(dir, old.Name(), "bundle.json"), 10); err != nil {
		t.Fatal(err)
	}
	if held, err = firmware.List(dir); err != nil || len(held) != 2 || held[0].Damage == "" && held[1].Damage == "" {
		t.Errorf("List with a damaged bundle = %v, %v", held, err)
	}
}
