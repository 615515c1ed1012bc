package library_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/imaging"
	"ingot/imaging/bundle"
	"ingot/imaging/chunkstore"
	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/imaging/sign"
	"ingot/store"
)

// server is a library with a key of its own, as a daemon has it.
type server struct {
	*library.Library
	dir    string
	signer *sign.Signer
}

func mustServer(t *testing.T) *server { return mustServerTB(t) }

func mustServerTB(t testing.TB) *server {
	t.Helper()
	dir := t.TempDir()
	s, err := sign.LoadOrCreate(filepath.Join(dir, "jobs.key"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(filepath.Join(dir, "ingot.db"), store.Options{Signer: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Update(func(tx *store.Tx) error { _, err := tx.SignOld(); return err }); err != nil {
		t.Fatal(err)
	}
	chunks, err := chunkstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { chunks.Close() })
	return &server{&library.Library{DB: db, Store: chunks}, dir, s}
}

// smallDisk is a disk of 12 MiB with a GPT and one ext4 of files that repeat.
func smallDisk(t *testing.T) string {
	t.Helper()
	path, files := filepath.Join(t.TempDir(), "small.raw"), t.TempDir()
	noise := make([]byte, 700_000)
	rand.New(rand.NewSource(6)).Read(noise)
	text := bytes.Repeat([]byte("hello "), 200_000)
	for name, b := range map[string][]byte{"noise": noise, "again": noise, "text": text} {
		if err := os.WriteFile(filepath.Join(files, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range [][]string{
		{"truncate", "-s", "12M", path},
		{"sgdisk", "--new=1:2048:0", "--typecode=1:8304", path},
		{"mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "offset=1048576", "-d", files, path, "10M"},
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", c, err, out)
		}
	}
	return path
}

// sales is a server with one version, and its bundle.
func sales(t *testing.T) (*server, store.Version, string) {
	t.Helper()
	s, ctx := mustServer(t), context.Background()
	got, err := s.Import(ctx, "anna", store.Import{File: smallDisk(t), Image: "sales", Label: "2026-11", Note: "first build"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sales.bundle")
	b, err := s.ExportBundle(ctx, "anna", store.BundleExport{Image: "sales@1", File: path}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || uint64(st.Size()) != b.Bytes || b.Chunks == 0 || b.Key != bundle.Fingerprint(s.signer.Public()) {
		t.Fatalf("exported %+v, %v", b, err)
	}
	return s, got.Version, path
}

func wantFault(t *testing.T, what string, err error, code job.Code) {
	t.Helper()
	var f *job.Fault
	if !errors.As(err, &f) || f.Code != code {
		t.Errorf("%s: %v; want %s", what, err, code)
	}
}

// untouched reports a library that a refused import changed.
func untouched(t testing.TB, what string, s *server) {
	t.Helper()
	all, err := s.Images(context.Background())
	if err != nil || len(all) != 0 {
		t.Errorf("%s left %d versions, %v", what, len(all), err)
	}
	for _, pattern := range []string{"manifests/*", "packs/tmp-*"} {
		if left, _ := filepath.Glob(filepath.Join(s.dir, pattern)); len(left) != 0 {
			t.Errorf("%s left %v", what, left)
		}
	}
}

// TestANoteIsSignedWithTheVersion holds that a draft whose note an operator wrote is no damage, and may travel with it.
func TestANoteIsSignedWithTheVersion(t *testing.T) {
	a, v, _ := sales(t)
	ctx := context.Background()
	if _, err := a.SetNote(ctx, "anna", "sales@1", store.Note{Note: "Firefox 128"}); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Check(ctx, store.Check{}, quiet); err != nil || len(got.Damage) != 0 {
		t.Errorf("the check finds %+v, %v", got.Damage, err)
	}
	path := filepath.Join(t.TempDir(), "noted.bundle")
	if _, err := a.ExportBundle(ctx, "anna", store.BundleExport{Image: "sales@1", File: path}, quiet); err != nil {
		t.Fatal(err)
	}
	b := mustServer(t)
	got, err := b.ImportBundle(ctx, "bo", store.BundleImport{File: path, Trust: bundle.Fingerprint(a.signer.Public())}, quiet)
	if err != nil || got.Version.Note != "Firefox 128" || got.Version.Manifest != v.Manifest {
		t.Fatalf("the other server has %+v, %v", got.Version, err)
	}
	if _, err := b.SetNote(ctx, "bo", "sales@1", store.Note{Note: "checked here"}); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Check(ctx, store.Check{}, quiet); err != nil || len(got.Damage) != 0 {
		t.Errorf("the check of the copy finds %+v, %v", got.Damage, err)
	}
}

func TestABundleBecomesADraftOfTheSameDisk(t *testing.T) {
	a, v, path := sales(t)
	b, ctx := mustServer(t), context.Background()
	own := bundle.Fingerprint(a.signer.Public())

	_, err := b.ImportBundle(ctx, "bo", store.BundleImport{File: path}, quiet)
	wantFault(t, "an unknown key", err, job.CodeUntrustedKey)
	if !strings.Contains(job.FaultOf(err).Fact, own) {
		t.Errorf("the refusal %q does not tell the fingerprint", job.FaultOf(err).Fact)
	}
	_, err = b.ImportBundle(ctx, "bo", store.BundleImport{File: path, Trust: bundle.Fingerprint(b.signer.Public())}, quiet)
	wantFault(t, "another fingerprint", err, job.CodeUntrustedKey)
	untouched(t, "a refused import", b)

	got, err := b.ImportBundle(ctx, "bo", store.BundleImport{File: path, Trust: own}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	w := got.Version
	if w.State != store.Draft || w.Image != "sales" || w.Number != 1 || w.Label != v.Label || w.Note != v.Note || w.Manifest != v.Manifest ||
		w.By != "bo" || w.Origin != "sales@1 of "+own || w.DiskSize != v.DiskSize || len(w.Loaders) != len(v.Loaders) {
		t.Errorf("imported %+v; want a draft copy of %+v", w, v)
	}
	if in, err := b.Inside(ctx, "sales@1"); err != nil || len(in.Version.Checklist) == 0 {
		t.Errorf("the copy was not looked into here: %+v, %v", in, err)
	}
	again, err := b.ImportBundle(ctx, "bo", store.BundleImport{File: path}, quiet) // the key is trusted from now on
	if err != nil || !again.Known {
		t.Errorf("again: %+v, %v; want the version that is there", again, err)
	}
	other, err := b.ImportBundle(ctx, "bo", store.BundleImport{File: path, Image: "branch"}, quiet)
	if err != nil || other.Version.Ref().String() != "branch@1" {
		t.Errorf("under another name: %+v, %v", other, err)
	}
	if c, err := b.Check(ctx, store.Check{ReadData: true}, quiet); err != nil || len(c.Damage) != 0 {
		t.Errorf("check: %+v, %v", c, err)
	}
	sameDisk(t, a, b)

	// A copy travels on under the key of whoever sends it.
	third := filepath.Join(t.TempDir(), "third.bundle")
	x, err := b.ExportBundle(ctx, "bo", store.BundleExport{Image: "sales@1", File: third}, quiet)
	if err != nil || x.Key != bundle.Fingerprint(b.signer.Public()) {
		t.Errorf("exported on: %+v, %v", x, err)
	}
	if k, err := b.Keys(ctx); err != nil || len(k.Trusted) != 1 || k.Trusted[0].Fingerprint != own || k.Own == own {
		t.Errorf("keys %+v, %v", k, err)
	}
	if err := b.ForgetKey(ctx, "bo", own); err != nil {
		t.Fatal(err)
	}
	_, err = b.ImportBundle(ctx, "bo", store.BundleImport{File: path}, quiet)
	wantFault(t, "a forgotten key", err, job.CodeUntrustedKey)
}

// sameDisk exports sales@1 of both as disk files and compares them.
func sameDisk(t *testing.T, a, b *server) {
	t.Helper()
	var raw [2][]byte
	for i, s := range []*server{a, b} {
		out := filepath.Join(t.TempDir(), "out.raw")
		if _, err := s.Export(context.Background(), "bo", store.Export{Image: "sales@1", File: out}, quiet); err != nil {
			t.Fatal(err)
		}
		var err error
		if raw[i], err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(raw[0], raw[1]) {
		t.Error("the disks differ")
	}
}

func TestADamagedBundleIsNamedAndLeavesNothing(t *testing.T) {
	a, _, path := sales(t)
	own := bundle.Fingerprint(a.signer.Public())
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := mustServer(t)
	for name, c := range map[string]struct {
		damage func([]byte) []byte
		code   job.Code
	}{
		"cut in the head":      {func(b []byte) []byte { return b[:10] }, job.CodeBundleShort},
		"cut in the manifest":  {func(b []byte) []byte { return b[:2000] }, job.CodeBundleShort},
		"cut in the chunks":    {func(b []byte) []byte { return b[:len(b)/2] }, job.CodeBundleShort},
		"cut before its end":   {func(b []byte) []byte { return b[:len(b)-32] }, job.CodeBundleShort},
		"empty":                {func([]byte) []byte { return nil }, job.CodeBundleShort},
		"a flip in a chunk":    {func(b []byte) []byte { b[len(b)-200] ^= 4; return b }, job.CodeImageBundle},
		"a flip in the list":   {func(b []byte) []byte { b[1800] ^= 4; return b }, job.CodeImageBundle},
		"something behind it":  {func(b []byte) []byte { return append(b, "more"...) }, job.CodeImageBundle},
		"another file":         {func([]byte) []byte { return bytes.Repeat([]byte("no bundle "), 1000) }, job.CodeImageBundle},
		"a statement replaced": {func([]byte) []byte { return restated(t, path) }, job.CodeStatement},
	} {
		file := filepath.Join(t.TempDir(), "b")
		if err := os.WriteFile(file, c.damage(bytes.Clone(whole)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := b.ImportBundle(context.Background(), "bo", store.BundleImport{File: file, Trust: own}, quiet)
		wantFault(t, name, err, c.code)
		untouched(t, name, b)
	}
	if k, err := b.Keys(context.Background()); err != nil || len(k.Trusted) != 0 {
		t.Errorf("a refused import made its key trusted: %+v, %v", k, err)
	}
}

// reading begins to read a bundle, and gives what stands at its head.
func reading(t *testing.T, path string) (r *bundle.Reader, pub, env []byte) {
	t.Helper()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = bundle.NewReader(bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	pub, env = r.Signed()
	return r, pub, env
}

// refused imports a bundle whose key is confirmed, and wants it refused and nothing left.
func refused(t *testing.T, what string, b, pub []byte, code job.Code) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "b")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s := mustServer(t)
	_, err := s.ImportBundle(context.Background(), "bo", store.BundleImport{File: file, Trust: bundle.Fingerprint(pub)}, quiet)
	wantFault(t, what, err, code)
	untouched(t, what, s)
}

// restated gives a bundle whose statement says something else than was signed, in frames that hold.
func restated(t *testing.T, path string) []byte {
	t.Helper()
	r, pub, env := reading(t, path)
	env = bytes.Replace(env, []byte(`"payload":"ey`), []byte(`"payload":"eY`), 1)
	return rewritten(t, r, pub, env, nil)
}

// TestABundleOfAnotherManifestIsRefused signs one version and ships another.
func TestABundleOfAnotherManifestIsRefused(t *testing.T) {
	a, _, path := sales(t)
	r, pub, env := reading(t, path)
	said, err := bundle.OpenStatement(pub, env)
	if err != nil {
		t.Fatal(err)
	}
	said.Manifest[0] ^= 1
	if env, err = said.Seal(a.signer); err != nil {
		t.Fatal(err)
	}
	refused(t, "another manifest", rewritten(t, r, pub, env, nil), pub, job.CodeImageBundle)
}

// rewritten writes what is left of a bundle under another statement, and what more adds.
func rewritten(t *testing.T, r *bundle.Reader, pub, env []byte, more func(*bundle.Writer) error) []byte {
	t.Helper()
	var out, m bytes.Buffer
	w, err := bundle.NewWriter(&out, pub, env)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Manifest(&m), w.Manifest(&m)); err != nil {
		t.Fatal(err)
	}
	for {
		h, frame, err := r.Next()
		if err != nil {
			break
		}
		if err := w.Chunk(h.Digest, int(h.Plain), frame); err != nil {
			t.Fatal(err)
		}
	}
	if more != nil {
		if err := more(w); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestABundleThatLacksChunksIsRefused writes a bundle whose frames hold and that counts rightly, without its chunks.
func TestABundleThatLacksChunksIsRefused(t *testing.T) {
	_, _, path := sales(t)
	r, pub, env := reading(t, path)
	var out, m bytes.Buffer
	w, err := bundle.NewWriter(&out, pub, env)
	if err := errors.Join(err, r.Manifest(&m), w.Manifest(&m), w.Close()); err != nil {
		t.Fatal(err)
	}
	refused(t, "no chunks", out.Bytes(), pub, job.CodeImageBundle)
}

// TestABundleWithAChunkThatNobodyNamesIsRefused ships more than the manifest names, in frames that hold.
func TestABundleWithAChunkThatNobodyNamesIsRefused(t *testing.T) {
	_, _, path := sales(t)
	r, pub, env := reading(t, path)
	more := []byte("not of this image")
	frame, err := imaging.EncodeChunk(nil, more)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, "one chunk more", rewritten(t, r, pub, env, func(w *bundle.Writer) error { return w.Chunk(imaging.Sum(more), len(more), frame) }), pub, job.CodeImageBundle)
}

func TestWhatMayNotTravelStays(t *testing.T) {
	a, v, _ := sales(t)
	for name, c := range map[string]struct {
		change func(*store.Version)
		code   job.Code
	}{
		"a backup":    {func(v *store.Version) { v.Kind, v.Image = store.Backup, "backup" }, job.CodePolicy},
		"a withdrawn": {func(v *store.Version) { v.State, v.Image = store.Withdrawn, "withdrawn" }, job.CodeWithdrawn},
		"a deleted":   {func(v *store.Version) { v.Deleted, v.Image = true, "deleted" }, job.CodeWithdrawn},
	} {
		w := v
		c.change(&w)
		if err := a.DB.Update(func(tx *store.Tx) error { _, _, err := tx.AddVersion(w); return err }); err != nil {
			t.Fatal(err)
		}
		_, err := a.ExportBundle(context.Background(), "anna", store.BundleExport{Image: w.Image + "@1", File: filepath.Join(t.TempDir(), "x")}, quiet)
		wantFault(t, name, err, c.code)
	}
}

// TestTheRecipeOfTheREADMERestoresADisk runs what README.md tells someone who has lost everything but a bundle.
func TestTheRecipeOfTheREADMERestoresADisk(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is missing: install Debian's package python3")
	}
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, recipe, ok := strings.Cut(string(b), "```python\n")
	recipe, _, ok2 := strings.Cut(recipe, "```\n")
	if !ok || !ok2 {
		t.Fatal("README.md holds no Python program")
	}
	a, _, path := sales(t)
	importOn(t, a, noisy(t, 9, 3), "noise") // without a table, and no chunk shrinks
	script := filepath.Join(t.TempDir(), "restore.py")
	if err := os.WriteFile(script, []byte(recipe), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, image := range []string{"sales", "noise"} {
		b, want, got := filepath.Join(dir, image), filepath.Join(dir, image+".want"), filepath.Join(dir, image+".got")
		if _, err := a.ExportBundle(context.Background(), "anna", store.BundleExport{Image: image, File: b}, quiet); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("python3", "-I", script, b, got).CombinedOutput(); err != nil {
			t.Fatalf("the recipe: %v: %s", err, out)
		}
		if _, err := a.Export(context.Background(), "anna", store.Export{Image: image, File: want}, quiet); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("cmp", want, got).CombinedOutput(); err != nil {
			t.Errorf("the recipe's disk of %s is not the exported one: %s", image, out)
		}
	}
	if err := os.Truncate(path, 100_000); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("python3", "-I", script, path, filepath.Join(dir, "cut.raw")).CombinedOutput(); err == nil {
		t.Errorf("the recipe takes a bundle that is cut: %s", out)
	}
}
