package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging/chunkstore"
	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/library"
	"ingot/imaging/sign"
	"ingot/store"
	"ingot/web"
)

// shop is the API over the real service, shelf, chunk store and database, with one image of two versions.
func shop(t testing.TB) (*web.API, string) {
	t.Helper()
	a, dir, _ := shopAndRecords(t)
	return a, dir
}

// shopAndRecords is shop with its database, for what only a laptop can tell.
func shopAndRecords(t testing.TB) (*web.API, string, *store.DB) {
	t.Helper()
	dir := t.TempDir()
	db, err := store.Open(filepath.Join(dir, "ingot.db"), store.Options{})
	must(t, err)
	t.Cleanup(func() { db.Close() })
	chunks, err := chunkstore.Open(dir)
	must(t, err)
	t.Cleanup(func() { chunks.Close() })
	signer, err := sign.LoadOrCreate(filepath.Join(dir, "jobs.key"))
	must(t, err)
	s, err := deploy.New(deploy.Config{DB: db, Signer: signer, Log: zerolog.Nop(), Manifests: chunks.ManifestHandler(), Chunks: chunks.StreamHandler()})
	must(t, err)
	a := &web.API{Bench: s, Wiper: s, Shelf: &library.Library{DB: db, Store: chunks}, Hidden: func(err error) { t.Errorf("a raw error came up: %v", err) }}
	disk := filepath.Join(dir, "disk.raw")
	must(t, os.WriteFile(disk, []byte(strings.Repeat("some data that is no partition table", 64<<10)[:1<<20]), 0o600))
	if line := last(ask(a, "anna", "POST", "images/import", fmt.Sprintf(`{"file":%q,"image":"sales","label":"one"}`, disk)).Body.String()); !strings.Contains(line, `"done"`) {
		t.Fatalf("import: %s", line)
	}
	return a, dir, db
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// last is the last line of an NDJSON answer: what the whole came to.
func last(body string) string {
	lines := strings.Split(strings.TrimSpace(body), "\n")
	return lines[len(lines)-1]
}

// state is everything that the API shows, to compare before and after. Its times do not move by themselves.
func state(t *testing.T, a *web.API) string {
	t.Helper()
	var all []string
	for _, path := range []string{"images", "devices", "roles", "jobs?all=1", "bench", "auto-deploy", "boots", "audit?limit=10000"} {
		w := ask(a, "anna", "GET", path, "")
		if w.Code != http.StatusOK {
			t.Fatalf("GET %s = %d %s", path, w.Code, w.Body)
		}
		all = append(all, path, w.Body.String())
	}
	return strings.Join(all, "\n")
}

// TestHostileRequestsChangeNothing sends what no command sends. Each gets the code that fits, in words, and
// afterwards every record is as it was.
func TestHostileRequestsChangeNothing(t *testing.T) {
	a, dir := shop(t)
	must(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "odd"), make([]byte, 5000), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "half.qcow2"), append([]byte("QFI\xfb\x00\x00\x00\x03"), make([]byte, 600)...), 0o600))
	body := func(v any) string { b, err := json.Marshal(v); must(t, err); return string(b) }
	file := func(name string) string { return filepath.Join(dir, name) }
	disk := file("disk.raw")
	hour := time.Now().Add(time.Hour)
	before := state(t, a)
	for _, c := range []struct {
		name, method, path, body string
		want                     job.Code
	}{
		{"a path that is not there", "GET", "nothing", "", job.CodeNotFound},
		{"a method that is not there", "DELETE", "devices", "", job.CodeNotFound},
		{"a parent folder", "GET", "devices/..", "", job.CodeNotFound},
		{"a parent folder in disguise", "GET", "devices/%2e%2e%2fingot.db", "", job.CodeNotFound},
		{"nothing for a device", "POST", "devices//settle", "", job.CodeNotFound},
		{"a device of control characters", "GET", "devices/%1b%5b2J%00", "", job.CodeNotFound},
		{"a device of 4 kB", "GET", "devices/" + strings.Repeat("d", 4096), "", job.CodeNotFound},
		{"a job of dots", "POST", "jobs/%2e%2e/cancel", "", job.CodeNotFound},
		{"a job of 40 kB: longer than a key may be", "GET", "jobs/" + strings.Repeat("j", 40<<10), "", job.CodeNotFound},
		{"a MAC that is none", "GET", "boots?mac=../../etc", "", job.CodeNotFound},

		{"a code that nobody shows", "POST", "devices/adopt", body(store.Adoption{Code: "AAAA-AAAA"}), job.CodeNotFound},
		{"no code", "POST", "devices/adopt", `{}`, job.CodeNotFound},
		{"a code of 100 kB", "POST", "devices/adopt", body(store.Adoption{Code: strings.Repeat("A", 100_000)}), job.CodeNotFound},
		{"a field that does not exist", "POST", "devices/adopt", `{"code":"AAAA-AAAA","admin":true}`, job.CodeBadRequest},

		{"settling nobody", "POST", "devices/nobody/settle", body(store.Settlement{As: store.AsTwo}), job.CodeNotFound},
		{"settling without a word", "POST", "devices/nobody/settle", "", job.CodeBadRequest},
		{"setting nobody's owner", "POST", "devices/nobody/set", `{"owner":"x"}`, job.CodeNotFound},
		{"setting a field that does not exist", "POST", "devices/nobody/set", `{"state":"disposed"}`, job.CodeBadRequest},
		{"a list that is no base64", "POST", "devices/import", `{"csv":"serial,manufacturer"}`, job.CodeBadRequest},

		{"an image with a slash", "POST", "images/import", body(store.Import{File: disk, Image: "../sales"}), job.CodeBadRequest},
		{"an image with a space", "POST", "images/import", body(store.Import{File: disk, Image: "sa les"}), job.CodeBadRequest},
		{"an image with a NUL", "POST", "images/import", body(store.Import{File: disk, Image: "sales\x00"}), job.CodeBadRequest},
		{"an image with an escape", "POST", "images/import", body(store.Import{File: disk, Image: "\x1b[2J"}), job.CodeBadRequest},
		{"an image with a version", "POST", "images/import", body(store.Import{File: disk, Image: "sales@1"}), job.CodeBadRequest},
		{"an image of 41 characters", "POST", "images/import", body(store.Import{File: disk, Image: strings.Repeat("i", 41)}), job.CodeBadRequest},
		{"no image", "POST", "images/import", body(store.Import{File: disk}), job.CodeBadRequest},
		{"a label with an @", "POST", "images/import", body(store.Import{File: disk, Image: "lab", Label: "a@b"}), job.CodeBadRequest},
		{"a label with a line break", "POST", "images/import", body(store.Import{File: disk, Image: "lab", Label: "a\nb"}), job.CodeBadRequest},
		{"a note with an escape", "POST", "images/import", body(store.Import{File: disk, Image: "lab", Note: "\x1b]0;x\a"}), job.CodeBadRequest},
		{"a note of 1001 characters", "POST", "images/import", body(store.Import{File: disk, Image: "lab", Note: strings.Repeat("n", 1001)}), job.CodeBadRequest},
		{"a relative file", "POST", "images/import", body(store.Import{File: "disk.raw", Image: "lab"}), job.CodeBadRequest},
		{"a file that is not there", "POST", "images/import", body(store.Import{File: file("absent"), Image: "lab"}), job.CodeNotFound},
		{"a folder", "POST", "images/import", body(store.Import{File: file("folder"), Image: "lab"}), job.CodeImageInvalid},
		{"a pipe that nobody writes to", "POST", "images/import", body(store.Import{File: file("pipe"), Image: "lab"}), job.CodeImageInvalid},
		{"a device without an end", "POST", "images/import", body(store.Import{File: "/dev/zero", Image: "lab"}), job.CodeImageInvalid},
		{"an empty file", "POST", "images/import", body(store.Import{File: file("empty"), Image: "lab"}), job.CodeImageInvalid},
		{"a file of no whole sectors", "POST", "images/import", body(store.Import{File: file("odd"), Image: "lab"}), job.CodeImageInvalid},
		{"half a qcow2 header", "POST", "images/import", body(store.Import{File: file("half.qcow2"), Image: "lab"}), job.CodeImageInvalid},
		{"partition 300", "POST", "images/import", body(store.Import{File: disk, Image: "lab", Grow: 300}), job.CodeBadRequest},
		{"a partition that is not there", "POST", "images/import", body(store.Import{File: disk, Image: "lab", Grow: 7}), job.CodeImageInvalid},

		{"an export of nothing", "POST", "images/export", body(store.Export{Image: "", File: file("out")}), job.CodeNotFound},
		{"an export of version -1", "POST", "images/export", body(store.Export{Image: "sales@-1", File: file("out")}), job.CodeNotFound},
		{"an export through a NUL", "POST", "images/export", body(store.Export{Image: "sales\x00\x00\x00", File: file("out")}), job.CodeNotFound},
		{"an export over a file", "POST", "images/export", body(store.Export{Image: "sales", File: disk}), job.CodeFile},
		{"an export into a folder that is not there", "POST", "images/export", body(store.Export{Image: "sales", File: file("no/out")}), job.CodeDaemon},
		{"an export to a relative file", "POST", "images/export", body(store.Export{Image: "sales", File: "out"}), job.CodeBadRequest},

		{"a role with a slash", "POST", "roles", body(store.Role{Name: "a/b", Image: "sales"}), job.CodeBadRequest},
		{"a role without a name", "POST", "roles", body(store.Role{Image: "sales"}), job.CodeBadRequest},
		{"a role of an image that is not there", "POST", "roles", body(store.Role{Name: "desk", Image: "nothing"}), job.CodeNotFound},
		{"a role of an image through a NUL", "POST", "roles", body(store.Role{Name: "desk", Image: "sales\x00\x00\x00@1"}), job.CodeNotFound},
		{"a pattern without its brace", "POST", "roles", body(store.Role{Name: "desk", Image: "sales", Pattern: "LT-{serial"}), job.CodeNameInvalid},
		{"a pattern with a field unknown", "POST", "roles", body(store.Role{Name: "desk", Image: "sales", Pattern: "{password}"}), job.CodeNameInvalid},
		{"a drive rule unknown", "POST", "roles", body(store.Role{Name: "desk", Image: "sales", Drive: "/dev/sda"}), job.CodeBadRequest},

		{"an order for nobody", "POST", "deploys", body(store.Order{Device: "nobody", Image: "sales"}), job.CodeNotFound},
		{"an order for nothing", "POST", "deploys", `{}`, job.CodeNotFound},
		{"an order with a list for a device", "POST", "deploys", `{"device":["a","b"],"image":"sales"}`, job.CodeBadRequest},

		{"a rename of nothing", "POST", "renames", body(store.Rename{}), job.CodeNotFound},
		{"a rename of a device that is not there", "POST", "renames", body(store.Rename{Device: "LT-1", Name: "LT-2"}), job.CodeNotFound},
		{"a loss of a device that is not there", "POST", "devices/LT-1/lost", body(store.Loss{}), job.CodeNotFound},
		{"a loss with a novel", "POST", "devices/LT-1/lost", body(store.Loss{Note: strings.Repeat("x", 5000)}), job.CodeBadRequest},
		{"a return of a device that is not there", "POST", "devices/LT-1/return", body(store.Return{From: "Bo"}), job.CodeNotFound},
		{"a return from nobody", "POST", "devices/LT-1/return", body(store.Return{From: " "}), job.CodeBadRequest},
		{"a bench open for a year", "POST", "bench", body(store.Bench{OpenUntil: time.Now().Add(365 * 24 * time.Hour)}), job.CodeBadRequest},
		{"a bench open until soon", "POST", "bench", `{"open_until":"soon"}`, job.CodeBadRequest},
		{"auto-deploy of a role that is not there", "POST", "auto-deploy", body(store.AutoDeploy{Role: "desk", Until: hour, Left: 3}), job.CodeNotFound},
		{"auto-deploy of minus three laptops", "POST", "auto-deploy", body(store.AutoDeploy{Role: "desk", Until: hour, Left: -3}), job.CodeBadRequest},
		{"auto-deploy of 1e99 laptops", "POST", "auto-deploy", `{"role":"desk","left":1e99}`, job.CodeBadRequest},
	} {
		done := make(chan struct{})
		var f job.Fault
		go func() {
			defer close(done)
			var r struct{ Fault *job.Fault }
			line := last(ask(a, "mallory", c.method, c.path, c.body).Body.String())
			if json.Unmarshal([]byte(line), &r) != nil || r.Fault == nil {
				f.Fact = "no refusal: " + line
				return
			}
			f = *r.Fault
		}()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: no answer after 20 s", c.name)
		}
		if f.Code != c.want {
			t.Errorf("%s: %.200v; want %s", c.name, &f, c.want)
		}
		if strings.ContainsAny(f.Fact, "\x1b\x00\n") {
			t.Errorf("%s: the words hold control characters: %q", c.name, f.Fact)
		}
	}
	if after := state(t, a); after != before {
		t.Errorf("the records changed:\n%s\nwere\n%s", after, before)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*out*")); len(left) > 0 {
		t.Errorf("refused exports left %v", left)
	}
	check, err := a.Shelf.Check(context.Background(), store.Check{ReadData: true}, func(store.Work) {})
	if err != nil || len(check.Damage) > 0 {
		t.Errorf("the image store afterwards: %+v, %v", check, err)
	}
}

// TestBodiesThatNoActTakes goes over every act: what is not the JSON that belongs there is refused as such.
func TestBodiesThatNoActTakes(t *testing.T) {
	a, _ := shop(t)
	before := state(t, a)
	for _, path := range []string{"devices/adopt", "devices/x/settle", "devices/x/set", "devices/import", "devices/LT-1/lost", "devices/LT-1/return", "deploys", "renames", "roles", "bench", "auto-deploy", "images/import", "images/export", "images/gc"} {
		for name, body := range map[string]string{
			"nothing": "", "a word": "yes", "a list": "[]", "a number": "7", "half": `{"`, "an unknown field": `{"root":"x"}`,
			"two values": "{}{}", "bytes that are no text": "\xff\xfe{}", "a deep nest": strings.Repeat(`{"x":`, 20_000), "2 MB": `{"` + strings.Repeat("x", 2<<20),
		} {
			w := ask(a, "mallory", "POST", path, body)
			if f := refusal(t, w); w.Code != http.StatusBadRequest || f.Code != job.CodeBadRequest || len(f.Fact) > 300 {
				t.Errorf("%s to %s: %d %.200v; want %s", name, path, w.Code, &f, job.CodeBadRequest)
			}
		}
	}
	if after := state(t, a); after != before {
		t.Errorf("the records changed:\n%s", after)
	}
}
