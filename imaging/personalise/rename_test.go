package personalise_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/imaging/job"
	"ingot/imaging/personalise"
)

// renamed are the settings of a rename of the laptop that personaliseTree made.
func renamed() personalise.Settings {
	s := settings()
	s.Personal.DeviceName, s.Personal.CallHomeSecret = "LAP-0043", "another"
	return s
}

// used is a system that was personalised, has called home, and was used.
func used(t *testing.T) (string, *os.Root) {
	t.Helper()
	dir, root := tree(t, golden)
	personaliseTree(t, root)
	for _, name := range append(personalise.UnitFiles(), "var/lib/ingot/"+personalise.Letter, "var/lib/ingot/"+personalise.Program, "var/lib/ingot") {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"etc/machine-id": "fedcba9876543210fedcba9876543210\n", "etc/ssh/ssh_host_ed25519_key": "own",
		"var/lib/systemd/random-seed": "own seed", "home/bo/diary": "dear diary"} {
		p := filepath.Join(dir, name)
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) { // some are read-only, and not everybody is root
			t.Fatal(err)
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir, root
}

// snapshot is each path below a folder with what it holds.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if d.Type() == fs.ModeSymlink {
			out[p[len(dir)+1:]], err = os.Readlink(p)
			return err
		}
		b, err := os.ReadFile(p)
		out[p[len(dir)+1:]] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestARenameChangesTheNameAndNothingElse compares the whole tree: what is not in the proof is what it was.
func TestARenameChangesTheNameAndNothingElse(t *testing.T) {
	dir, root := used(t)
	before := snapshot(t, dir)
	changes, err := personalise.PlanRename(root, renamed(), "LAP-0042")
	if err != nil {
		t.Fatal(err)
	}
	if err := personalise.Apply(root, changes); err != nil {
		t.Fatal(err)
	}
	proof, err := personalise.ReadBack(root, changes)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, f := range proof.Files {
		named[strings.TrimPrefix(f.Path, "/")] = true
	}
	after := snapshot(t, dir)
	for name := range before {
		if before[name] != after[name] && !named[name] {
			t.Errorf("/%s became %q and is not in the proof", name, after[name])
		}
	}
	for name := range after {
		if _, was := before[name]; !was && !named[name] {
			t.Errorf("/%s is new and is not in the proof", name)
		}
	}
	for _, kept := range []string{"etc/machine-id", "etc/ssh/ssh_host_ed25519_key", "var/lib/systemd/random-seed", "home/bo/diary", "var/lib/cloud/seed/nocloud/user-data"} {
		if before[kept] != after[kept] || after[kept] == "" {
			t.Errorf("/%s was %q and is %q", kept, before[kept], after[kept])
		}
	}
	for name, want := range map[string]string{"etc/hostname": "LAP-0043\n", "etc/hosts": "127.0.1.1\tLAP-0043", "var/lib/ingot/callhome.json": `"secret":"another"`,
		"var/lib/cloud/seed/nocloud/meta-data": "instance-id: iid-1\nlocal-hostname: LAP-0043\n"} {
		if !strings.Contains(after[name], want) {
			t.Errorf("/%s is %q; want %q in it", name, after[name], want)
		}
	}
	for name, text := range after {
		if strings.Contains(text, "LAP-0042") {
			t.Errorf("/%s still holds the old name: %q", name, text)
		}
	}
	if _, made := after["etc/systemd/system/"+personalise.KeysUnit]; made {
		t.Error("a system that has its own host keys is told to make some")
	}
}

// TestARenameThatIsCutOffIsFinishedByTheNext: behind each single change the system has one name of the two, reports only
// the new one, and the same rename again ends as if nothing had happened.
func TestARenameThatIsCutOffIsFinishedByTheNext(t *testing.T) {
	dir, root := used(t)
	changes, err := personalise.PlanRename(root, renamed(), "LAP-0042")
	if err != nil {
		t.Fatal(err)
	}
	if err := personalise.Apply(root, changes); err != nil {
		t.Fatal(err)
	}
	want := snapshot(t, dir)
	for n := range changes {
		dir, root := used(t)
		if err := personalise.Apply(root, changes[:n]); err != nil {
			t.Fatal(err)
		}
		cut := snapshot(t, dir)
		name, letter := cut["etc/hostname"], cut["var/lib/ingot/callhome.json"]
		if name != "LAP-0042\n" && name != "LAP-0043\n" || letter != "" && name != "LAP-0043\n" {
			t.Errorf("cut off behind %d changes: the name is %q, the letter %q", n, name, letter)
		}
		again, err := personalise.PlanRename(root, renamed(), "LAP-0042")
		if err != nil {
			t.Fatal(err)
		}
		if err := personalise.Apply(root, again); err != nil {
			t.Fatal(err)
		}
		if got := snapshot(t, dir); !maps.Equal(got, want) {
			t.Errorf("cut off behind %d changes and renamed again: %v; want %v", n, got, want)
		}
	}
}

// TestANameThatWasChangedByHandIsReplacedToo: neither it nor the one that Ingot gave stays.
func TestANameThatWasChangedByHandIsReplacedToo(t *testing.T) {
	dir, root := used(t)
	for name, text := range map[string]string{"etc/hostname": "bos-laptop\n", "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 bos-laptop\n10.0.0.7 LAP-0042.example.org LAP-0042\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	changes, err := personalise.PlanRename(root, renamed(), "LAP-0042")
	if err != nil {
		t.Fatal(err)
	}
	if err := personalise.Apply(root, changes); err != nil {
		t.Fatal(err)
	}
	if hosts := read(t, dir, "etc/hosts"); hosts != "127.0.0.1 localhost\n127.0.1.1\tLAP-0043\n10.0.0.7\tLAP-0043.example.org LAP-0043\n" {
		t.Errorf("hosts %q", hosts)
	}
}

// TestARenameStaysWithinTheSystem: a folder that leads out of it ends the plan.
func TestARenameStaysWithinTheSystem(t *testing.T) {
	dir, root := used(t)
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "etc/NetworkManager")), os.Symlink("/etc", filepath.Join(dir, "etc/NetworkManager"))); err != nil {
		t.Fatal(err)
	}
	_, err := personalise.PlanRename(root, renamed(), "LAP-0042")
	var f *job.Fault
	if !errors.As(err, &f) || f.Code != job.CodePersonalise {
		t.Errorf("PlanRename = %v; want %s", err, job.CodePersonalise)
	}
	bad := renamed()
	bad.Personal.DeviceName = "a b"
	if _, err := personalise.PlanRename(root, bad, ""); !errors.As(err, &f) || f.Code != job.CodeNameInvalid {
		t.Errorf("PlanRename of %q = %v; want %s", bad.Personal.DeviceName, err, job.CodeNameInvalid)
	}
}
