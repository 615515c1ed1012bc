package backup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"go.etcd.io/bbolt"

	"ingot/cmd/ingot/internal/backup"
	"ingot/imaging"
	"ingot/imaging/chunkstore"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/imaging/sign"
	"ingot/store"
)

const (
	pass      = "correct horse battery staple"
	quickWork = 10 // scrypt in a millisecond
)

// server is an open data folder.
type server struct {
	dir    string
	db     *store.DB
	chunks *chunkstore.Store
	shelf  *library.Library
	key    *sign.Signer
}

// open opens a data folder as a daemon does, and makes what is missing.
func open(t testing.TB, dir string) *server {
	t.Helper()
	s := &server{dir: dir}
	must(t, os.MkdirAll(filepath.Join(dir, "keys"), 0o700))
	var err error
	s.key, err = sign.LoadOrCreate(filepath.Join(dir, "keys", "jobs.key"))
	must(t, err)
	_, err = deploy.LoadListener(filepath.Join(dir, "keys", "agent.key"))
	must(t, err)
	s.db, err = store.Open(filepath.Join(dir, "ingot.db"), store.Options{Signer: s.key})
	must(t, err)
	s.chunks, err = chunkstore.Open(dir)
	must(t, err)
	s.shelf = &library.Library{DB: s.db, Store: s.chunks}
	return s
}

func (s *server) close(t testing.TB) {
	t.Helper()
	must(t, errors.Join(s.chunks.Close(), s.db.Close()))
}

// furnish gives a server some records and a version with content.
func (s *server) furnish(t testing.TB) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(s.dir, "site.toml"), []byte("[log]\nlevel = \"warn\"\n"), 0o600))
	must(t, s.db.Update(func(tx *store.Tx) error {
		for i := range 20 {
			id := fmt.Sprintf("device-%d", i)
			d := store.Device{ID: id, State: store.Ready, Manufacturer: "Maker", Serial: fmt.Sprintf("SN%05d", i), SerialKey: fmt.Sprintf("maker\x00sn%05d", i)}
			if err := errors.Join(tx.PutDevice(d), tx.Audit("anna", "adopt", id, "By its sticker.")); err != nil {
				return err
			}
		}
		return nil
	}))
	s.add(t, "sales", 1)
}

// add imports a disk of noise as a version.
func (s *server) add(t testing.TB, image string, seed uint64) {
	t.Helper()
	disk := filepath.Join(t.TempDir(), "disk.raw")
	must(t, os.WriteFile(disk, noise(seed, 2<<20), 0o600))
	_, err := s.shelf.Import(t.Context(), "anna", store.Import{File: disk, Image: image, Label: fmt.Sprint("n", seed), Note: "first"}, func(store.Work) {})
	must(t, err)
}

func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 7})
	r.Read(b)
	return b
}

func (s *server) source() backup.Source {
	return backup.Source{Dir: s.dir, DB: s.db, Chunks: s.chunks, Config: filepath.Join(s.dir, "site.toml"), Version: "test", WorkFactor: quickWork}
}

// backUp makes a whole backup.
func (s *server) backUp(t testing.TB, packs bool) []byte {
	t.Helper()
	b, err := backup.Take(t.Context(), s.source(), packs)
	must(t, err)
	var out bytes.Buffer
	got, err := b.Write(t.Context(), &out, pass)
	must(t, errors.Join(err, b.Close()))
	if int64(out.Len()) > b.Size() || got.Damaged != 0 || got.Files < 5 {
		t.Errorf("%d bytes where %d were foretold; %+v", out.Len(), b.Size(), got)
	}
	return out.Bytes()
}

// records are all records of a closed database file.
func records(t testing.TB, dir string) map[string]string {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "ingot.db"), 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	must(t, err)
	defer db.Close()
	out := map[string]string{}
	must(t, db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error { out[string(name)+"\x00"+string(k)] = string(v); return nil })
		})
	}))
	return out
}

// whole proves a server: each record, each signed statement and, with data, each byte.
func (s *server) whole(t testing.TB, data bool) {
	t.Helper()
	if !data {
		got, err := s.db.CheckRecords()
		if must(t, err); len(got.Damage) > 0 {
			t.Errorf("the records: %+v", got.Damage)
		}
		return
	}
	got, err := s.shelf.Check(t.Context(), store.Check{ReadData: true}, func(store.Work) {})
	if must(t, err); len(got.Damage) > 0 || got.Chunks == 0 {
		t.Errorf("the server: %d chunks, %+v", got.Chunks, got.Damage)
	}
}

func restore(t testing.TB, file []byte, passphrase, dir string) (backup.Restored, error) {
	t.Helper()
	return backup.Restore(t.Context(), bytes.NewReader(file), passphrase, dir, "bo")
}

// TestABackupBringsTheServerBack: into an empty folder, every record as it was, the chain unbroken and one event longer,
// the old signature holding under the restored key, every byte of the images.
func TestABackupBringsTheServerBack(t *testing.T) {
	s := open(t, t.TempDir())
	s.furnish(t)
	var signed store.Signed
	must(t, s.db.View(func(tx *store.Tx) (err error) { signed, err = tx.Signed("sales", 1); return err }))
	file := s.backUp(t, true)
	if bytes.Contains(file, []byte("SN00003")) || bytes.Contains(file, []byte("PRIVATE KEY")) {
		t.Error("the file shows what is in it")
	}
	s.close(t)
	before := records(t, s.dir)

	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "boot"), 0o700)) // a boot bundle may be there
	got, err := restore(t, file, pass, dir)
	must(t, err)
	if len(got.Damaged) > 0 || got.Events == 0 || !got.Packs {
		t.Errorf("restored: %+v", got)
	}
	after := records(t, dir)
	for k, v := range before {
		if tally := strings.HasPrefix(k, "tallies\x00"); !tally && after[k] != v {
			t.Errorf("the record %q is %q; was %q", k, after[k], v)
		}
	}
	if len(after) != len(before)+1 {
		t.Errorf("%d records; want the %d and that it was restored", len(after), len(before))
	}
	if text, err := os.ReadFile(got.Config); err != nil || !strings.Contains(string(text), "warn") {
		t.Errorf("the configuration: %q, %v", text, err)
	}
	for _, name := range []string{"keys/jobs.key", "keys/agent.key", "ingot.db"} {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
	r := open(t, dir)
	defer r.close(t)
	r.whole(t, true)
	if !r.key.Public().Equal(signed.Key) {
		t.Error("the restored server signs with another key")
	}
	must(t, r.db.View(func(tx *store.Tx) error {
		now, err := tx.Signed("sales", 1)
		must(t, err)
		if _, err := now.Open(); err != nil || !bytes.Equal(now.Envelope, signed.Envelope) {
			t.Errorf("the old statement: %v", err)
		}
		chain, err := tx.AuditChain()
		must(t, err)
		trail, err := tx.AuditTrail("server", 1)
		if must(t, err); chain.Broken != 0 || chain.Events != got.Events+1 || len(trail) != 1 || trail[0].Operator != "bo" || trail[0].Previous != got.Head.Head {
			t.Errorf("chain %+v; the last event %+v", chain, trail)
		}
		return nil
	}))
	if left, _ := filepath.Glob(filepath.Join(dir, ".restore-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestABackupWithoutTheDataHoldsTheRecords: the versions are on record, and a check names their content as lost.
func TestABackupWithoutTheDataHoldsTheRecords(t *testing.T) {
	s := open(t, t.TempDir())
	s.furnish(t)
	with, without := s.backUp(t, true), s.backUp(t, false)
	s.close(t)
	if len(without) > len(with)/2 {
		t.Errorf("%d bytes without the data, %d with it", len(without), len(with))
	}
	dir := t.TempDir()
	got, err := restore(t, without, pass, dir)
	must(t, err)
	if got.Packs || len(got.Damaged) > 0 {
		t.Errorf("restored: %+v", got)
	}
	r := open(t, dir)
	defer r.close(t)
	r.whole(t, false)
	checked, err := r.shelf.Check(t.Context(), store.Check{}, func(store.Work) {})
	if must(t, err); len(checked.Damage) == 0 {
		t.Error("a check misses no content")
	}
	r.add(t, "sales", 1) // the same disk again heals it
	r.whole(t, true)
}

// TestABackupWhileEverythingGoesOn: laptops report, versions come and go, the store is to be cleared. Whatever moment
// the backup saw, what it holds is whole.
func TestABackupWhileEverythingGoesOn(t *testing.T) {
	s := open(t, t.TempDir())
	s.furnish(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { // versions come, are given up, and are cleared away
		for n := uint64(2); ; n++ {
			if ctx.Err() != nil {
				ended <- nil
				return
			}
			disk := filepath.Join(s.dir, "next.raw")
			err := os.WriteFile(disk, noise(n, 512<<10), 0o600)
			if err == nil {
				_, err = s.shelf.Import(context.Background(), "anna", store.Import{File: disk, Image: fmt.Sprint("line-", n), Label: "l", Note: "n"}, func(store.Work) {})
			}
			if err == nil && n > 3 {
				_, err = s.shelf.Delete(context.Background(), "anna", store.VersionOrder{Version: fmt.Sprintf("line-%d@1", n-2), Reason: "old", Force: true})
			}
			if err == nil {
				_, err = s.shelf.Sweep(context.Background(), "anna", store.Sweep{}, func(store.Work) {})
			}
			if err != nil && job.FaultOf(err).Code != job.CodeBusy {
				ended <- err
				return
			}
		}
	}()
	go func() { // many small records
		for n := 0; ; n++ {
			if ctx.Err() != nil {
				ended <- nil
				return
			}
			if err := s.db.Update(func(tx *store.Tx) error { return tx.Audit("agent", "report", fmt.Sprint("device-", n%20), "At work.") }); err != nil {
				ended <- err
				return
			}
		}
	}()
	var files [][]byte
	for range 4 {
		files = append(files, s.backUp(t, true))
	}
	stop()
	must(t, errors.Join(<-ended, <-ended))
	s.close(t)
	for i, file := range files {
		dir := t.TempDir()
		got, err := restore(t, file, pass, dir)
		must(t, err)
		if len(got.Damaged) > 0 {
			t.Errorf("backup %d: %v", i, got.Damaged)
		}
		r := open(t, dir)
		r.whole(t, true)
		r.close(t)
	}
}

// TestTheStoreIsNotClearedUnderABackup: a gc that would remove what the copied records name waits its turn.
func TestTheStoreIsNotClearedUnderABackup(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.close(t)
	s.furnish(t)
	b, err := backup.Take(t.Context(), s.source(), true)
	must(t, err)
	_, err = s.shelf.Delete(t.Context(), "anna", store.VersionOrder{Version: "sales@1", Reason: "gone", Force: true})
	must(t, err)
	_, err = s.shelf.Sweep(t.Context(), "anna", store.Sweep{}, func(store.Work) {})
	if f := job.FaultOf(err); f.Code != job.CodeBusy || !strings.Contains(f.Fact, "backup") {
		t.Errorf("a gc beside a backup: %v", err)
	}
	var out bytes.Buffer
	_, err = b.Write(t.Context(), &out, pass)
	must(t, errors.Join(err, b.Close()))
	if _, err := s.shelf.Sweep(t.Context(), "anna", store.Sweep{}, func(store.Work) {}); err != nil {
		t.Errorf("a gc after the backup: %v", err)
	}
	dir := t.TempDir()
	_, err = restore(t, out.Bytes(), pass, dir)
	must(t, err)
	r := open(t, dir)
	defer r.close(t)
	r.whole(t, true)
}

// nothing holds that a refused restore left the folder as it was.
func nothing(t *testing.T, what, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if must(t, err); len(left) > 0 {
		t.Errorf("%s: the folder holds %v", what, left)
	}
}

// TestADamagedFileRestoresNothing cuts the file at many places, changes one bit at many others, and takes wrong
// passphrases: each is an error in words, and nothing is written.
func TestADamagedFileRestoresNothing(t *testing.T) {
	s := open(t, t.TempDir())
	s.furnish(t)
	file := s.backUp(t, true)
	s.close(t)
	dir := t.TempDir()
	refused := func(what string, b []byte, passphrase string, want ...job.Code) {
		t.Helper()
		_, err := restore(t, b, passphrase, dir)
		if c := job.FaultOf(err).Code; err == nil || !slices.Contains(want, c) {
			t.Errorf("%s: %v; want %v", what, err, want)
		}
		nothing(t, what, dir)
	}
	header := bytes.Index(file, []byte("\n--- ")) + 60
	for _, p := range []string{"correct horse battery stapl", "Correct horse battery staple", ""} {
		refused("passphrase "+p, file, p, job.CodePassphrase)
	}
	for _, n := range []int{0, 1, 20, header / 2, header, header + 16, header + 1000, header + 64<<10, len(file) / 2, len(file) - 70_000, len(file) - 17, len(file) - 16, len(file) - 1} {
		refused(fmt.Sprintf("cut after %d of %d bytes", n, len(file)), file[:n], pass, job.CodeBackupFile)
	}
	for i := range 60 {
		at := i * (len(file) - 1) / 59
		if i < 30 { // the head in detail: what unlocks the file
			at = i * header / 30
		}
		b := bytes.Clone(file)
		b[at] ^= 1 << (i % 8)
		refused(fmt.Sprintf("bit %d of byte %d changed", i%8, at), b, pass, job.CodeBackupFile, job.CodePassphrase)
	}
	refused("something behind the end", append(bytes.Clone(file), 0), pass, job.CodeBackupFile)
	refused("another file", []byte("PK\x03\x04 no backup"), pass, job.CodeBackupFile)
	if _, err := restore(t, file, pass, dir); err != nil {
		t.Errorf("the whole file afterwards: %v", err)
	}
}

// sealed is a file that opens under the passphrase and holds what a test puts into it.
func sealed(t *testing.T, fill func(*tar.Writer), behind ...byte) []byte {
	t.Helper()
	lock, err := age.NewScryptRecipient(pass)
	must(t, err)
	lock.SetWorkFactor(quickWork)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, lock)
	must(t, err)
	a := tar.NewWriter(w)
	fill(a)
	must(t, a.Close())
	_, err = w.Write(behind)
	must(t, errors.Join(err, w.Close()))
	return out.Bytes()
}

func put(t *testing.T, a *tar.Writer, h tar.Header, body string) {
	t.Helper()
	h.Size, h.Mode = int64(len(body)), 0o644
	must(t, a.WriteHeader(&h))
	_, err := io.WriteString(a, body)
	must(t, err)
}

// TestAFileThatIsNoWholeBackupIsRefused: it opens under the passphrase, and lacks its end, names files that would lie
// elsewhere, or was made by a newer Ingot.
func TestAFileThatIsNoWholeBackupIsRefused(t *testing.T) {
	const head = `{"format":1,"schema":3,"version":"test"}`
	parent := t.TempDir()
	dir := filepath.Join(parent, "data")
	must(t, os.Mkdir(dir, 0o700))
	for name, fill := range map[string]func(a *tar.Writer){
		"nothing":             func(*tar.Writer) {},
		"no head":             func(a *tar.Writer) { put(t, a, tar.Header{Name: "ingot.db"}, "x") },
		"a head and no end":   func(a *tar.Writer) { put(t, a, tar.Header{Name: "ingot-backup.json"}, head) },
		"a head that is none": func(a *tar.Writer) { put(t, a, tar.Header{Name: "ingot-backup.json"}, "[]") },
		"a newer format":      func(a *tar.Writer) { put(t, a, tar.Header{Name: "ingot-backup.json"}, `{"format":2,"schema":3}`) },
		"a newer database":    func(a *tar.Writer) { put(t, a, tar.Header{Name: "ingot-backup.json"}, `{"format":1,"schema":99}`) },
		"an end that counts on": func(a *tar.Writer) {
			put(t, a, tar.Header{Name: "ingot-backup.json"}, head)
			put(t, a, tar.Header{Name: "end.json"}, `{"files":1,"bytes":1}`)
		},
		"no records and no keys": func(a *tar.Writer) {
			put(t, a, tar.Header{Name: "ingot-backup.json"}, head)
			put(t, a, tar.Header{Name: "ingot.toml"}, "")
			put(t, a, tar.Header{Name: "end.json"}, `{"files":1,"bytes":0}`)
		},
		"a key and nothing else": func(a *tar.Writer) {
			put(t, a, tar.Header{Name: "ingot-backup.json"}, head)
			put(t, a, tar.Header{Name: "keys/pages.key"}, "x")
			put(t, a, tar.Header{Name: "end.json"}, `{"files":1,"bytes":1}`)
		},
		"a file twice": func(a *tar.Writer) {
			put(t, a, tar.Header{Name: "ingot-backup.json"}, head)
			put(t, a, tar.Header{Name: "ingot.toml"}, "")
			put(t, a, tar.Header{Name: "ingot.toml"}, "")
		},
		"a parent folder":  odd(t, head, tar.Header{Name: "../escaped"}),
		"a root":           odd(t, head, tar.Header{Name: "/escaped"}),
		"a key elsewhere":  odd(t, head, tar.Header{Name: "keys/../../escaped"}),
		"a hidden key":     odd(t, head, tar.Header{Name: "keys/.escaped"}),
		"a pack elsewhere": odd(t, head, tar.Header{Name: "packs/../escaped.pack"}),
		"another file":     odd(t, head, tar.Header{Name: "boot/grub.cfg"}),
	} {
		_, err := restore(t, sealed(t, fill), pass, dir)
		if c := job.FaultOf(err).Code; c != job.CodeBackupFile && !(name == "a file twice" && c == job.CodeFile) {
			t.Errorf("%s: %v", name, err)
		}
		nothing(t, name, dir)
		if slices.Contains([]string{"no records and no keys", "a key and nothing else", "a file twice"}, name) {
			continue // these are whole as files
		}
		if _, err := backup.Prove(t.Context(), bytes.NewReader(sealed(t, fill)), pass); job.FaultOf(err).Code != job.CodeBackupFile {
			t.Errorf("%s is proven: %v", name, err)
		}
	}
	link := sealed(t, func(a *tar.Writer) {
		put(t, a, tar.Header{Name: "ingot-backup.json"}, head)
		must(t, a.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "keys/jobs.key", Linkname: "/etc/passwd"}))
	})
	if _, err := restore(t, link, pass, dir); job.FaultOf(err).Code != job.CodeBackupFile {
		t.Errorf("a link: %v", err)
	}
	whole := func(a *tar.Writer) {
		put(t, a, tar.Header{Name: "ingot-backup.json"}, head)
		put(t, a, tar.Header{Name: "end.json"}, `{"files":0,"bytes":0}`)
	}
	if _, err := backup.Prove(t.Context(), bytes.NewReader(sealed(t, whole)), pass); err != nil {
		t.Errorf("an empty one, whole: %v", err)
	}
	if _, err := backup.Prove(t.Context(), bytes.NewReader(sealed(t, whole, 'x')), pass); job.FaultOf(err).Code != job.CodeBackupFile {
		t.Errorf("one that goes on behind its end: %v", err)
	}
	left, err := os.ReadDir(parent)
	if must(t, err); len(left) != 1 {
		t.Errorf("beside the data folder: %v", left)
	}
}

func odd(t *testing.T, head string, h tar.Header) func(*tar.Writer) {
	return func(a *tar.Writer) {
		put(t, a, tar.Header{Name: "ingot-backup.json"}, head)
		put(t, a, h, "evil")
	}
}

// TestAFolderThatHoldsSomethingIsNotWrittenTo: not one byte of the file is read.
func TestAFolderThatHoldsSomethingIsNotWrittenTo(t *testing.T) {
	for _, name := range []string{"ingot.db", "keys", "packs", "holiday.jpg", ".hidden"} {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o600))
		_, err := backup.Restore(t.Context(), neverRead{t}, pass, dir, "bo")
		if f := job.FaultOf(err); f.Code != job.CodeNotEmpty || !strings.Contains(f.Fact, name) {
			t.Errorf("a folder with %s: %v", name, err)
		}
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != "mine" {
			t.Errorf("%s afterwards: %q, %v", name, b, err)
		}
	}
}

type neverRead struct{ t *testing.T }

func (n neverRead) Read([]byte) (int, error) {
	n.t.Error("the file was read")
	return 0, io.EOF
}

// TestARestoreThatWasKilledMayBeRepeated: what it unpacked is cleared away.
func TestARestoreThatWasKilledMayBeRepeated(t *testing.T) {
	s := open(t, t.TempDir())
	s.furnish(t)
	file := s.backUp(t, false)
	s.close(t)
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, ".restore-123", "keys"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, ".restore-123", "keys", "jobs.key"), []byte("half"), 0o600))
	_, err := restore(t, file, pass, dir)
	must(t, err)
	if left, _ := filepath.Glob(filepath.Join(dir, ".restore-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	open(t, dir).close(t)
}

// TestDamageThatWasThereBeforeIsTold: a backup of a damaged server is made and comes back, and both say so.
func TestDamageThatWasThereBeforeIsTold(t *testing.T) {
	s := open(t, t.TempDir())
	s.furnish(t)
	packs, err := filepath.Glob(filepath.Join(s.dir, "packs", "*.pack"))
	if must(t, err); len(packs) == 0 {
		t.Fatal("no pack")
	}
	b, err := os.ReadFile(packs[0])
	must(t, err)
	b[len(b)/2] ^= 1
	must(t, os.Chmod(packs[0], 0o600))
	must(t, os.WriteFile(packs[0], b, 0o600))
	file := s.backUp(t, true)
	s.close(t)
	got, err := restore(t, file, pass, t.TempDir())
	if must(t, err); len(got.Damaged) != 1 || !strings.HasSuffix(packs[0], got.Damaged[0]) {
		t.Errorf("damaged: %v; want %s", got.Damaged, packs[0])
	}
}

// TestABackupNeedsLittleMemory: 128 MB of packs go through with a few MB.
func TestABackupNeedsLittleMemory(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.close(t)
	s.furnish(t)
	big, err := os.Create(filepath.Join(s.dir, "packs", imaging.Sum([]byte("big")).String()+".pack"))
	must(t, err)
	must(t, errors.Join(big.Truncate(128<<20), big.Close())) // a hole: it takes no room
	b, err := backup.Take(t.Context(), s.source(), true)
	must(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := b.Write(t.Context(), io.Discard, pass)
	runtime.ReadMemStats(&after)
	if must(t, errors.Join(err, b.Close())); got.Bytes < 128<<20 {
		t.Errorf("%d bytes", got.Bytes)
	}
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 16 {
		t.Errorf("%d MB were used", used)
	}
}

// TestAStopEndsABackup: whoever asked has gone.
func TestAStopEndsABackup(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.close(t)
	s.furnish(t)
	b, err := backup.Take(t.Context(), s.source(), true)
	must(t, err)
	defer b.Close()
	ctx, stop := context.WithCancel(t.Context())
	var out bytes.Buffer
	_, err = b.Write(ctx, writer(func(p []byte) (int, error) {
		if out.Len() > 100<<10 {
			stop()
		}
		return out.Write(p)
	}), pass)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a backup that was stopped: %v", err)
	}
	if _, err := backup.Prove(t.Context(), &out, pass); job.FaultOf(err).Code != job.CodeBackupFile {
		t.Errorf("what was written of it: %v", err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
