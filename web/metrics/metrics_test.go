package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web"
	"ingot/web/metrics"
)

func open(t *testing.T) *store.DB {
	t.Helper()
	db, err := store.Open(filepath.Join(t.TempDir(), "ingot.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func source(db *store.DB) metrics.Source {
	return metrics.Source{DB: db, Version: "1.2", Every: time.Nanosecond, Locked: func() int { return 3 },
		Free: func() (int64, error) { return 1 << 30, nil },
		Jobs: func(context.Context) ([]store.JobView, error) {
			return []store.JobView{{Job: store.Job{ID: "secret-job", Kind: job.Deploy, State: job.Writing, Serial: "SN1"}, Progress: &job.Progress{BytesPerSec: 70}},
				{Job: store.Job{Kind: job.Deploy, State: job.Writing}, Progress: &job.Progress{BytesPerSec: 30}}, {Job: store.Job{Kind: job.Capture, State: job.Approved}}}, nil
		}}
}

var sample = regexp.MustCompile(`^([a-z_:][a-z0-9_:]*)(\{([a-z_]+="[^"\n]*",?)*\})? \S+$`)

// scrape reads all samples as a monitoring system does.
func scrape(t *testing.T, m *metrics.Metrics) (map[string]string, string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	b, err := io.ReadAll(w.Body)
	if err != nil || w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Fatalf("status %d, %v, %s", w.Code, err, b)
	}
	out := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		if strings.HasPrefix(line, "# ") {
			continue
		}
		if !sample.MatchString(line) {
			t.Errorf("no sample: %q", line)
		}
		at := strings.LastIndexByte(line, ' ')
		if _, twice := out[line[:at]]; twice {
			t.Errorf("twice: %q", line)
		}
		out[line[:at]] = line[at+1:]
	}
	return out, string(b)
}

func want(t *testing.T, got map[string]string, values map[string]string) {
	t.Helper()
	for k, v := range values {
		if got[k] != v {
			t.Errorf("%s is %q; want %s", k, got[k], v)
		}
	}
}

// TestFiguresAreThoseOfTheRecords, also while they change.
func TestFiguresAreThoseOfTheRecords(t *testing.T) {
	db := open(t)
	m := metrics.New(source(db))
	got, _ := scrape(t, m)
	want(t, got, map[string]string{`ingot_devices{state="ready"}`: "0", `ingot_devices{state="lost"}`: "0", "ingot_bench_open_until_seconds": "0", "ingot_backup_last_seconds": "0",
		`ingot_jobs{kind="deploy",state="writing"}`: "2", `ingot_jobs{kind="capture",state="approved"}`: "1", "ingot_jobs_unfinished": "3", "ingot_laptops_bytes_per_second": "100",
		"ingot_locked_pieces": "3", "ingot_disk_free_bytes": "1.073741824e+09", "ingot_disk_full": "0", "ingot_records_readable": "1", `ingot_build_info{version="1.2"}`: "1"})
	at := time.Unix(1_790_000_000, 0).UTC()
	err := db.Update(func(tx *store.Tx) error {
		err := errors.Join(tx.PutLastServerBackup(store.LastServerBackup{At: at}), tx.PutBench(store.Bench{OpenUntil: at.AddDate(50, 0, 0)}))
		for i := range 3 {
			id := fmt.Sprint("d", i)
			err = errors.Join(err, tx.PutDevice(store.Device{ID: id, State: store.Ready, Serial: id, SerialKey: "m\x00" + id}),
				tx.Audit("anna", "adopt", id, ""), tx.Audit("anna", "an act of tomorrow", id, ""))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got, _ = scrape(t, m)
	want(t, got, map[string]string{`ingot_devices{state="ready"}`: "3", `ingot_events_total{act="adopt"}`: "3", `ingot_events_total{act="other"}`: "3", "ingot_audit_events_total": "6",
		"ingot_backup_last_seconds": "1.79e+09"})
	if got["ingot_bench_open_until_seconds"] == "0" {
		t.Error("the bench is open")
	}
	if err := db.Update(func(tx *store.Tx) error { return tx.Audit("anna", "adopt", "d1", "") }); err != nil {
		t.Fatal(err)
	}
	got, _ = scrape(t, m)
	want(t, got, map[string]string{`ingot_events_total{act="adopt"}`: "4", `ingot_events_total{act="other"}`: "3"})
}

// TestEventsCountFromTheDaemonsStart: what happens before anybody asks for the first time is counted, and what an earlier
// run of the daemon recorded is not.
func TestEventsCountFromTheDaemonsStart(t *testing.T) {
	db := open(t)
	adopt := func(n int) {
		err := db.Update(func(tx *store.Tx) (err error) {
			for range n {
				err = errors.Join(err, tx.Audit("anna", "adopt", "d1", ""))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	adopt(5)
	m := metrics.New(source(db))
	adopt(2)
	got, _ := scrape(t, m)
	want(t, got, map[string]string{`ingot_events_total{act="adopt"}`: "2", "ingot_audit_events_total": "7"})
	adopt(1)
	got, _ = scrape(t, m)
	want(t, got, map[string]string{`ingot_events_total{act="adopt"}`: "3", "ingot_audit_events_total": "8"})
}

// rest is every act of the API; calling one ends the test.
type rest interface{ web.Bench }

type nobody struct{ rest }

// TestNoLaptopCanMakeASeries: whatever laptops, people and paths are called, the series are as many as before, and none
// holds a word of theirs.
func TestNoLaptopCanMakeASeries(t *testing.T) {
	db := open(t)
	m := metrics.New(source(db))
	api := &web.API{Metrics: m, Bench: nobody{}}
	h := api.Handler()
	ask := func(path string) {
		r := httptest.NewRequest("GET", path, nil)
		h.ServeHTTP(httptest.NewRecorder(), r.WithContext(web.WithActor(r.Context(), web.Actor{Name: "anna", Right: store.Viewer})))
	}
	ask("/api/v1/version")
	ask("/nothing/here")
	before, _ := scrape(t, m)
	const mark = "hostile"
	for i := range 200 {
		name := fmt.Sprintf("%s%d\"}\n52:54:00:00:00:%02x", mark, i, i)
		err := db.Update(func(tx *store.Tx) error {
			return errors.Join(tx.PutDevice(store.Device{ID: name, State: store.DeviceState(mark + fmt.Sprint(i)), Serial: name, SerialKey: name, Name: "", MACs: []string{name}}),
				tx.Audit(name, name, name, name))
		})
		if err != nil {
			t.Fatal(err)
		}
		ask(fmt.Sprintf("/api/v1/version?%s=%d", mark, i))
		ask(fmt.Sprintf("/%s/%d", mark, i))
	}
	after, text := scrape(t, m)
	if len(after) != len(before) || strings.Contains(text, mark) {
		t.Errorf("%d series, then %d; a name is among them: %v", len(before), len(after), strings.Contains(text, mark))
	}
	want(t, after, map[string]string{`ingot_http_requests_total{route="GET /api/v1/version",status="2xx"}`: "201", `ingot_http_requests_total{route="/",status="4xx"}`: "201",
		`ingot_http_request_seconds_count{route="GET /api/v1/version"}`: "201", `ingot_events_total{act="other"}`: "200"})
}

// TestFiguresThatCannotBeRead are left out, and that is said.
func TestFiguresThatCannotBeRead(t *testing.T) {
	db := open(t)
	s := source(db)
	s.Jobs = func(context.Context) ([]store.JobView, error) { return nil, errors.New("x") }
	got, _ := scrape(t, metrics.New(s))
	if _, there := got["ingot_jobs_unfinished"]; there || got["ingot_records_readable"] != "0" {
		t.Errorf("readable: %s, jobs %v", got["ingot_records_readable"], there)
	}
}

// TestWhoAsksOftenGetsTheLastAnswer: reading the records costs the daemon nothing more.
func TestWhoAsksOftenGetsTheLastAnswer(t *testing.T) {
	db := open(t)
	s, reads := source(db), 0
	s.Every = time.Hour
	s.Jobs = func(context.Context) ([]store.JobView, error) { reads++; return nil, nil }
	m := metrics.New(s)
	for range 5 {
		scrape(t, m)
	}
	if reads != 1 {
		t.Errorf("the records were read %d times", reads)
	}
}
