package inspect_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/imaging/inspect"
)

// rpmDatabase installs packages into a database by rpm itself, and gives the file.
func rpmDatabase(t testing.TB, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	db := filepath.Join(dir, "db")
	for i, name := range names {
		spec := filepath.Join(dir, name+".spec")
		epoch := ""
		if i > 0 {
			epoch = fmt.Sprintf("Epoch: %d\n", i)
		}
		text := "Name: " + name + "\nVersion: 1." + fmt.Sprint(i) + "\nRelease: 2.el9\n" + epoch + "Summary: s\nLicense: MIT\nVendor: Lab\nBuildArch: noarch\n%description\n" + strings.Repeat("long text ", 2000) + "\n%files\n"
		if err := os.WriteFile(spec, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		tool(t, "rpm", "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+dir, spec)
	}
	built, err := filepath.Glob(filepath.Join(dir, "RPMS", "noarch", "*.rpm"))
	if err != nil || len(built) != len(names) {
		t.Fatal(built, err)
	}
	args := []string{"--define", "_db_backend sqlite", "--dbpath", db, "-i", "--justdb", "--nodeps", "--nosignature"}
	tool(t, "rpm", "rpm", append(args, built...)...)
	b, err := os.ReadFile(filepath.Join(db, "rpmdb.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestARealDatabaseOfRPMIsRead(t *testing.T) {
	db := rpmDatabase(t, "alpha", "beta")
	for _, place := range []string{"var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/rpmdb.sqlite"} {
		r := look(t, ext4(t, files(t, map[string]string{"etc/os-release": "ID=fedora\nNAME=Fedora\nVARIANT=\"Workstation Edition\"\nVERSION_ID=41\nSUPPORT_END=2026-12-15\n", place: db})))
		if got := fmt.Sprint(r.Packages); got != "[{alpha 1.0-2.el9 noarch rpm Lab} {beta 1:1.1-2.el9 noarch rpm Lab}]" {
			t.Errorf("packages %s", got)
		}
		if time.Since(r.Patched) > time.Hour || r.System.Name != "Fedora" || r.System.Edition != "Workstation Edition" || r.System.SupportEnd != "2026-12-15" {
			t.Errorf("patched %v, system %+v", r.Patched, r.System)
		}
		if s, words := worst(r, "look-inside"); s != inspect.Green {
			t.Errorf("look-inside = %s: %s", s, words)
		}
	}
	r := look(t, ext4(t, files(t, map[string]string{"etc/os-release": "ID=fedora\n", "var/lib/rpm/rpmdb.sqlite": db, "var/lib/rpm/rpmdb.sqlite-wal": "x"})))
	if s, words := worst(r, "look-inside"); s != inspect.Yellow || !strings.Contains(words, "-wal") {
		t.Errorf("a log beside it: %s: %s", s, words)
	}
	r = look(t, ext4(t, files(t, map[string]string{"etc/os-release": "ID=centos\n", "var/lib/rpm/Packages": "berkeley"})))
	if s, words := worst(r, "look-inside"); s != inspect.Yellow || !strings.Contains(words, "older databases") {
		t.Errorf("an older database: %s: %s", s, words)
	}
}

func FuzzRPMHeader(f *testing.F) {
	b := binary.BigEndian.AppendUint32(nil, 2)
	for _, v := range []uint32{9, 1000, 6, 0, 1, 1008, 4, 5, 1} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	f.Add(append(b, "name\x00\x01\x02\x03\x04"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := inspect.ParseHeader(b)
		if err == nil && len(h.Name)+len(h.Version) > 1000 {
			t.Error("beyond the limits")
		}
	})
}
