// Package metrics tells a monitoring system how the server does, in Prometheus' form.
//
// The idea: the records are the truth, so what is told about them is read from them when somebody asks, and not counted
// beside them. No label ever holds what a laptop, an image or a person is called: each label has a few values that stand
// in the source, so the number of series has a bound that no stranger can raise.
//
// Reading the records costs time that grows with them. Whoever asks more often than every few seconds gets the last
// answer again.
package metrics

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ingot/store"
)

// Source is where the figures come from.
type Source struct {
	DB      *store.DB
	Version string
	Jobs    func(context.Context) ([]store.JobView, error) // that have not ended, with their progress
	Free    func() (int64, error)                          // bytes of the disk under the data folder
	Locked  func() int                                     // damaged places that are locked away
	Every   time.Duration                                  // how old an answer may be; 0 means 5 s
}

// Metrics is the registry of one daemon. Its methods may be called from any goroutine.
type Metrics struct {
	handler  http.Handler
	requests *prometheus.CounterVec
	seconds  *prometheus.SummaryVec
}

// New makes the registry.
func New(s Source) *Metrics {
	if s.Every == 0 {
		s.Every = 5 * time.Second
	}
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ingot_http_requests_total", Help: "Requests of operators and programs, by route and class of status."}, []string{"route", "status"}),
		seconds:  prometheus.NewSummaryVec(prometheus.SummaryOpts{Name: "ingot_http_request_seconds", Help: "How long they took, by route."}, []string{"route"}),
	}
	r := prometheus.NewRegistry()
	figures := &records{src: s, counts: map[string]float64{}}
	if s.DB != nil { // a table of the routes alone has none
		figures.begin()
	}
	r.MustRegister(m.requests, m.seconds, figures, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 20 * time.Second, ErrorHandling: promhttp.ContinueOnError})
	return m
}

// Handler answers GET /metrics.
func (m *Metrics) Handler() http.Handler { return m.handler }

// Request counts one request. The route is the pattern under which its handler is registered, never its path.
func (m *Metrics) Request(route string, status int, took time.Duration) {
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status/100)+"xx").Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}

// acts are those of the audit trail that are counted by name; any other is "other".
var acts = []string{"adopt", "alarm", "auto-deploy", "backup", "cancel", "cancelled", "capture", "deploy", "done", "failed", "first seen", "import", "indeterminate",
	"loop", "lost", "observed", "quarantine", "refused", "release", "rename", "resume", "retire", "return", "returned", "settle", "withdraw"}

// maxEvents bounds the events that are read for one answer; the rest is read for the next.
const maxEvents = 20_000

// records reads the figures out of the database.
type records struct {
	src Source

	mu     sync.Mutex
	at     time.Time
	last   []prometheus.Metric
	seen   uint64 // number of the last event that is counted
	began  bool
	counts map[string]float64 // events since the daemon's start, by act
}

// begin notes what is on record at the daemon's start: what comes after it is counted, whoever asks first and when. When
// that cannot be read, counting begins with the first answer that can.
func (r *records) begin() {
	err := r.src.DB.View(func(tx *store.Tx) error {
		newest, _, err := tx.AuditHead()
		r.seen = newest.Number
		return err
	})
	r.began = err == nil
}

// Describe implements prometheus.Collector: with no description the registry asks for no set known beforehand.
func (r *records) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (r *records) Collect(out chan<- prometheus.Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); r.last == nil || now.Sub(r.at) > r.src.Every {
		r.last, r.at = r.read(), now
	}
	for _, m := range r.last {
		out <- m
	}
}

// figures gathers metrics.
type figures []prometheus.Metric

func (f *figures) add(kind prometheus.ValueType, name, help string, value float64, labels ...string) {
	var names, values []string
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	*f = append(*f, prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, names, nil), kind, value, values...))
}

func (f *figures) gauge(name, help string, value float64, labels ...string) {
	f.add(prometheus.GaugeValue, name, help, value, labels...)
}

// read makes one answer. What cannot be read is left out, and ingot_records_readable says so.
func (r *records) read() []prometheus.Metric {
	var f figures
	f.gauge("ingot_build_info", "1, with the version as label.", 1, "version", r.src.Version)
	readable := 1.0
	if err := r.src.DB.View(func(tx *store.Tx) error { return r.readRecords(tx, &f) }); err != nil {
		readable = 0
	}
	if !r.readJobs(&f) {
		readable = 0
	}
	f.gauge("ingot_records_readable", "1 when all records could be read.", readable)
	full := 0.0
	if r.src.DB.Full() {
		full = 1
	}
	f.gauge("ingot_disk_full", "1 while the last record found no room.", full)
	if free, err := r.src.Free(); err == nil {
		f.gauge("ingot_disk_free_bytes", "Room on the disk under the data folder.", float64(free))
	}
	f.gauge("ingot_locked_pieces", "Damaged pieces of images that are locked away.", float64(r.src.Locked()))
	return f
}

func (r *records) readRecords(tx *store.Tx, f *figures) error {
	devices, err := tx.Devices()
	if err != nil {
		return err
	}
	in := map[store.DeviceState]float64{}
	for _, d := range devices {
		in[d.State]++
	}
	for _, s := range store.DeviceStates {
		f.gauge("ingot_devices", "Devices on record, by state.", in[s], "state", string(s))
	}
	bench, err := tx.Bench()
	if err != nil {
		return err
	}
	f.gauge("ingot_bench_open_until_seconds", "When the bench closes, as unix time; 0 when it is closed.", unixOr0(bench.OpenUntil, bench.Open(tx.Now())))
	auto, err := tx.AutoDeploy()
	if err != nil {
		return err
	}
	left := 0.0
	if auto.On(tx.Now()) {
		left = float64(auto.Left)
	}
	f.gauge("ingot_auto_deploy_left", "New laptops that may still deploy themselves.", left)
	scrub, err := tx.Scrub()
	if err != nil {
		return err
	}
	f.gauge("ingot_scrub_last_seconds", "When all images were read last, as unix time; 0 for never.", unixOr0(scrub.Last, true))
	f.gauge("ingot_scrub_damaged", "What that found damaged.", float64(scrub.LastHad))
	backup, err := tx.LastServerBackup()
	if err != nil {
		return err
	}
	f.gauge("ingot_backup_last_seconds", "When the last backup of this server was made, as unix time; 0 for never.", unixOr0(backup.At, true))
	return r.readEvents(tx, f)
}

// unixOr0 is a time as a number.
func unixOr0(t time.Time, is bool) float64 {
	if t.IsZero() || !is {
		return 0
	}
	return float64(t.Unix())
}

// readEvents counts what was recorded since the last answer.
func (r *records) readEvents(tx *store.Tx, f *figures) error {
	newest, _, err := tx.AuditHead()
	if err != nil {
		return err
	}
	if !r.began {
		r.began, r.seen = true, newest.Number
	}
	err = tx.AuditAfter(r.seen, maxEvents, func(e store.Event) {
		act := e.Act
		if !slices.Contains(acts, act) {
			act = "other"
		}
		r.counts[act]++
		r.seen = e.Number
	})
	if err != nil {
		return err
	}
	f.add(prometheus.CounterValue, "ingot_audit_events_total", "Events of the audit trail since it began.", float64(newest.Number))
	for _, act := range append(acts, "other") {
		f.add(prometheus.CounterValue, "ingot_events_total", "What was recorded since the daemon's start, by act.", r.counts[act], "act", act)
	}
	return nil
}

// readJobs tells of the work that goes on.
func (r *records) readJobs(f *figures) bool {
	jobs, err := r.src.Jobs(context.Background())
	if err != nil {
		return false
	}
	type key struct{ kind, state string }
	in, rate := map[key]float64{}, 0.0
	for _, j := range jobs {
		in[key{string(j.Kind), string(j.State)}]++ // both are ours: of a few words each
		if j.Progress != nil {
			rate += float64(j.Progress.BytesPerSec)
		}
	}
	for k, n := range in {
		f.gauge("ingot_jobs", "Jobs that have not ended, by kind and state.", n, "kind", k.kind, "state", k.state)
	}
	f.gauge("ingot_jobs_unfinished", "Jobs that have not ended.", float64(len(jobs)))
	f.gauge("ingot_laptops_bytes_per_second", "What all laptops at work write or read together, as they tell it.", rate)
	return true
}
