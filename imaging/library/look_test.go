package library_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"ingot/imaging/inspect"
	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/store"
)

// debianDisk makes a disk with a GPT and one root partition of the given texts.
func debianDisk(t *testing.T, texts map[string]string) string {
	t.Helper()
	dir, files, day := t.TempDir(), t.TempDir(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, text := range texts {
		p := filepath.Join(files, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644), os.Chtimes(p, day, day)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "disk.raw")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 40<<20)); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]string{
		{"sgdisk", "--clear", "--new=1:2048:0", "--typecode=1:8304", path},
		{"mkfs.ext4", "-q", "-F", "-E", "offset=1048576,nodiscard", "-d", files, path, "36M"},
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%v: %v: %s", c, err, out)
		}
	}
	return path
}

func status(pairs ...string) string {
	var s strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		s.WriteString("Package: " + pairs[i] + "\nStatus: install ok installed\nArchitecture: amd64\nVersion: " + pairs[i+1] + "\n\n")
	}
	return s.String()
}

var debian = map[string]string{"etc/os-release": "ID=debian\nPRETTY_NAME=\"Debian 12\"\nVERSION_ID=12\n", "etc/fstab": "/dev/x / ext4 defaults 0 1\n",
	"var/lib/dpkg/status": status("openssl", "3.0.15", "telnet", "1", "curl", "7.88")}

// twoVersions imports a Debian and its next build.
func twoVersions(t *testing.T) (*library.Library, store.Version, store.Version) {
	t.Helper()
	l, ctx := mustLibrary(t), context.Background()
	next := map[string]string{"etc/krb5.keytab": "secret", "opt/tool": strings.Repeat("tool", 5000)}
	for k, v := range debian {
		next[k] = v
	}
	next["var/lib/dpkg/status"] = status("openssl", "3.0.17", "curl", "7.88", "firefox-esr", "128.1")
	l.MustHave = []inspect.Need{{Name: "firefox-esr"}, {Name: "other", Image: "another-image"}}
	one, err := l.Import(ctx, "anna", store.Import{File: debianDisk(t, debian), Image: "sales"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	two, err := l.Import(ctx, "anna", store.Import{File: debianDisk(t, next), Image: "sales"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return l, one.Version, two.Version
}

func severity(v store.Version, check string) (s store.Severity) {
	for _, f := range v.Checklist {
		if f.Check == check {
			s = f.Severity
		}
	}
	return s
}

func TestAnImportIsLookedInto(t *testing.T) {
	l, one, two := twoVersions(t)
	for check, want := range map[string][2]store.Severity{"linux-keytabs": {store.Green, store.Red}, "must-have": {store.Red, store.Green}, "look-inside": {store.Green, store.Green}} {
		if a, b := severity(one, check), severity(two, check); a != want[0] || b != want[1] {
			t.Errorf("%s: %q, then %q; want %v", check, a, b, want)
		}
	}
	if one.DraftNote != "First build: Debian 12: 3 packages." {
		t.Errorf("first draft note %q", one.DraftNote)
	}
	if two.DraftNote != "Since @1: 1 upgraded (openssl 3.0.15 -> 3.0.17); 1 added (firefox-esr 128.1); 1 removed (telnet); files: /etc 1, /opt 1, /var 1." {
		t.Errorf("second draft note %q", two.DraftNote)
	}
	in, err := l.Inside(context.Background(), "sales@2")
	if err != nil || len(in.Content.Packages) != 3 || in.Content.System.ID != "debian" || in.Version.Number != 2 {
		t.Errorf("inside %+v, %v", in, err)
	}
}

func TestTheSoftwareListIsCycloneDX(t *testing.T) {
	l, _, two := twoVersions(t)
	b, err := l.Bill(context.Background(), "sales@2")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).EncodeVersion(b, cdx.SpecVersion1_6); err != nil {
		t.Fatal(err)
	}
	var back cdx.BOM
	if err := cdx.NewBOMDecoder(&out, cdx.BOMFileFormatJSON).Decode(&back); err != nil {
		t.Fatal(err)
	}
	if back.SpecVersion != cdx.SpecVersion1_6 || back.Metadata.Component.Version != two.Ref().String() {
		t.Errorf("bill of %+v", back.Metadata.Component)
	}
	refs, purls := map[string]bool{}, ""
	for _, c := range *back.Components {
		if refs[c.BOMRef] {
			t.Errorf("reference %s is there twice", c.BOMRef)
		}
		refs[c.BOMRef], purls = true, purls+c.PackageURL+"\n"
	}
	if len(refs) != 4 || !strings.Contains(purls, "pkg:deb/debian/openssl@3.0.17?arch=amd64&distro=debian-12\n") {
		t.Errorf("%d components, purls %s", len(refs), purls)
	}
}

func TestADiffOfTwoVersions(t *testing.T) {
	l, _, _ := twoVersions(t)
	d, err := l.Compare(context.Background(), "sales@1", "sales@2", quiet)
	if err != nil || d.Unread != 0 {
		t.Fatalf("%v, unread %v", err, d.Why)
	}
	if len(d.Packages.Upgraded) != 1 || d.Packages.Upgraded[0].To != "3.0.17" || len(d.Packages.Added) != 1 || len(d.Packages.Removed) != 1 || len(d.Packages.Downgraded) != 0 {
		t.Errorf("packages %+v", d.Packages)
	}
	areas := map[string]store.AreaDiff{}
	for _, a := range d.Areas {
		areas[a.Area] = a
	}
	if a := areas["/opt"]; a.Added != 1 || a.AddedBytes != 20000 {
		t.Errorf("/opt %+v", a)
	}
	if a := areas["/var"]; a.Changed != 1 || areas["/etc"].Added != 1 || len(areas) != 3 {
		t.Errorf("areas %+v", areas)
	}
	back, err := l.Compare(context.Background(), "sales@2", "sales@1", quiet)
	if err != nil || len(back.Packages.Downgraded) != 1 {
		t.Errorf("the other way: %+v, %v", back.Packages, err)
	}
}

func wantCode(t *testing.T, what string, err error, code job.Code) {
	t.Helper()
	if f := job.FaultOf(err); err == nil || f.Code != code {
		t.Errorf("%s = %v; want %s", what, err, code)
	}
}

func TestAVersionThatNobodyLookedIntoIsLookedIntoLater(t *testing.T) {
	l, one, _ := twoVersions(t)
	ctx := context.Background()
	old := one
	old.Image, old.Checklist, old.DraftNote = "old", nil, ""
	if err := l.DB.Update(func(tx *store.Tx) error { _, _, err := tx.AddVersion(old); return err }); err != nil {
		t.Fatal(err)
	}
	_, err := l.Inside(ctx, "old@1")
	wantCode(t, "Inside", err, job.CodeNotLooked)
	got, err := l.LookAgain(ctx, "bo", "old@1", quiet)
	if err != nil || severity(got.Version, "linux-keytabs") != store.Green || len(got.Content.Packages) != 3 {
		t.Fatalf("look again %+v, %v", got, err)
	}
	if in, err := l.Inside(ctx, "old@1"); err != nil || len(in.Version.Checklist) == 0 || len(in.Content.Packages) != 3 {
		t.Errorf("inside %+v, %v", in, err)
	}
}

func TestANoteIsWrittenOnlyOnADraft(t *testing.T) {
	l, one, _ := twoVersions(t)
	ctx := context.Background()
	for what, note := range map[string]string{"nothing": "", "two lines": "a\nb", "too much": strings.Repeat("x", 1001), "no text": "\xff"} {
		_, err := l.SetNote(ctx, "anna", "sales@1", store.Note{Note: note})
		wantCode(t, what, err, job.CodeBadRequest)
	}
	for _, state := range []store.VersionState{store.Draft, store.Released, store.Retired, store.Withdrawn} {
		v := one
		v.Image, v.State, v.Note = "notes-"+string(state), state, "old"
		if err := l.DB.Update(func(tx *store.Tx) error { _, _, err := tx.AddVersion(v); return err }); err != nil {
			t.Fatal(err)
		}
		got, err := l.SetNote(ctx, "anna", v.Image+"@1", store.Note{Note: "Firefox 128"})
		if state == store.Draft {
			if err != nil || got.Note != "Firefox 128" {
				t.Errorf("draft: %+v, %v", got.Note, err)
			}
			continue
		}
		wantCode(t, string(state), err, job.CodeNoteFixed)
		all, _ := l.Images(ctx)
		for _, o := range all {
			if o.Image == v.Image && o.Note != "old" {
				t.Errorf("%s: the note is %q", state, o.Note)
			}
		}
	}
}

func TestANewNoteIsSignedAnew(t *testing.T) {
	s, ctx := mustServer(t), context.Background()
	got, err := s.Import(ctx, "anna", store.Import{File: debianDisk(t, debian), Image: "sales"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.SetNote(ctx, "anna", got.Version.Ref().String(), store.Note{Note: "Firefox 128"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DB.View(func(tx *store.Tx) error {
		what, _, err := tx.CheckSigned(v)
		if what != "" {
			t.Errorf("the record and its statement differ: %s", what)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestADamagedChunkDoesNotFailALook flips the stored bytes: what cannot be read is a yellow finding.
func TestADamagedChunkDoesNotFailALook(t *testing.T) {
	dir := t.TempDir()
	l, ctx := mustLibraryIn(t, dir), context.Background()
	got, err := l.Import(ctx, "anna", store.Import{File: debianDisk(t, debian), Image: "sales"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	packs, err := filepath.Glob(filepath.Join(dir, "packs", "*.pack"))
	if err != nil || len(packs) == 0 {
		t.Fatal(packs, err)
	}
	for _, p := range packs {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for at := 100; at < len(b); at += 64 {
			b[at] ^= 0x55
		}
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen, err := l.Look(ctx, got.Version, quiet)
	if err != nil {
		t.Fatal(err)
	}
	v := got.Version
	seen.Describe(&v)
	if severity(v, "look-inside") != store.Yellow {
		t.Errorf("checklist %+v; want a yellow line", v.Checklist)
	}
}
