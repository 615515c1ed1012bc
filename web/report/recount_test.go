package report_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"ingot/imaging/job"
	"ingot/imaging/sign"
	"ingot/store"
	"ingot/web/report"
)

// histories is how many generated life histories the property is tried on.
const histories = 500

// TestOver500LifeHistoriesEveryReportEqualsARecount generates laptops that are imaged, imaged again, renamed, returned,
// lost, wiped and disposed of, by jobs that end in every way, with versions that are released, retired, withdrawn and
// deleted meanwhile; all of it through the real store and the real Service. Each report must equal what is counted,
// laptop by laptop, from the raw events as they were noted where they happened.
func TestOver500LifeHistoriesEveryReportEqualsARecount(t *testing.T) {
	t.Parallel()
	n := histories
	if testing.Short() {
		n = 50
	}
	signer, err := sign.LoadOrCreate(t.TempDir() + "/jobs.key")
	must(t, err)
	dir := tempDir(t)
	seen := map[string]int{}
	for seed := range n {
		l := newLife(t, fmt.Sprintf("%s/%d", dir, seed), signer, uint64(seed))
		l.live()
		l.check(seen)
		l.close()
		if t.Failed() {
			t.Fatalf("history %d:\n%s", seed, strings.Join(l.trace, "\n"))
		}
	}
	t.Logf("%d histories: %v", n, seen)
	for what, least := range map[string]int{"deploy": 300, "end": 200, "rename": 20, "return": 50, "lost": 30, "wipe": 25, "destroy": 3, "retire": 30, "withdraw": 20, "delete": 5, "again": 100, "holds": 50, "holds no more": 50,
		"stale": 40, "unmapped": 100, "unread": 30, "overdrawn": 15, "returned and counted": 15} { // in a hundred histories
		if seen[what]*100 < least*n {
			t.Errorf("the histories prove little: %q came up %d times", what, seen[what])
		}
	}
}

// truth is what a laptop holds by the events.
type truth struct {
	ref   *report.Ref
	at    time.Time
	got   map[report.Ref]time.Time
	maybe *report.Ref // it may lie on it, unproven
	state string      // returned or lost, when it is
}

// replay walks through the events once.
func (l *life) replay() map[*laptop]*truth {
	out := map[*laptop]*truth{}
	for _, p := range l.laptops {
		out[p] = &truth{got: map[report.Ref]time.Time{}}
	}
	for _, e := range l.events {
		x := out[e.laptop]
		ref := e.ref
		switch {
		case e.what == "deploy":
			x.ref, x.at, x.maybe, x.state = &ref, e.at, nil, ""
			x.got[ref] = e.at
		case e.what == "end" && e.kind == job.Deploy && e.touched:
			x.ref, x.maybe = nil, nil
			if e.whole {
				x.maybe = &ref
			}
		case e.what == "wipe", e.what == "destroy":
			x.ref, x.maybe, x.state = nil, nil, ""
		case e.what == "return", e.what == "lost":
			x.state = e.what
		}
	}
	return out
}

// versionState is what a version became by the events.
func (l *life) versionState(ref report.Ref) (state string, deleted bool) {
	for _, e := range l.events {
		if e.ref == ref {
			switch e.what {
			case "draft":
				state = "draft"
			case "release":
				state = "released"
			case "retire":
				state = "retired"
			case "withdraw":
				state = "withdrawn"
			case "delete":
				deleted = true
			}
		}
	}
	return state, deleted
}

// same compares two lists without regard to order.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s =\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func (l *life) check(seen map[string]int) {
	var s *report.Snapshot
	var audit []store.Event
	must(l.t, l.db.View(func(tx *store.Tx) (err error) {
		if s, err = report.Read(tx, true); err == nil {
			audit, err = tx.AuditTrail("", 1<<20)
		}
		return err
	}))
	truths := l.replay()
	l.checkAudit(audit)
	l.checkHolders(s, truths)
	l.checkReceived(s)
	l.checkStale(s, truths)
	l.checkLicences(s, truths, seen)
	l.checkFailures(s)
	l.checkDays(s)
	l.tally(s, seen)
}

func (l *life) tally(s *report.Snapshot, seen map[string]int) {
	got := map[*laptop]int{}
	for _, e := range l.events {
		seen[e.what]++
		if e.what == "deploy" {
			if got[e.laptop]++; got[e.laptop] > 1 {
				seen["again"]++
			}
		}
	}
	seen["stale"] += len(s.Stale())
	for _, h := range s.Holdings() {
		if h.Standing == report.Holds {
			seen["holds"]++
		} else {
			seen["holds no more"]++
		}
	}
}

// checkAudit ties the noted events to the audit chain: none more, none less.
func (l *life) checkAudit(audit []store.Event) {
	var got, want []string
	for _, e := range audit {
		switch e.Act {
		case "done", "failed", "indeterminate", "cancelled", "lost", "return", "wiped", "destroyed", "retire", "withdraw", "delete":
			got = append(got, e.Time.Format(time.RFC3339)+" "+e.Act)
		}
	}
	word := map[string]string{"deploy": "done", "wipe": "wiped", "destroy": "destroyed"}
	for _, e := range l.events {
		act := e.what
		switch e.what {
		case "draft", "release", "cadence":
			continue
		case "end", "rename":
			act = string(e.state)
		}
		if w := word[act]; w != "" {
			act = w
		}
		want = append(want, e.at.Format(time.RFC3339)+" "+act)
	}
	same(l.t, "audit chain", got, want)
}

func (l *life) checkHolders(s *report.Snapshot, truths map[*laptop]*truth) {
	for _, image := range []string{"", "sales", "dev"} {
		var holds, ever []string
		for p, x := range truths {
			if x.ref != nil && (image == "" || x.ref.Image == image) {
				holds = append(holds, fmt.Sprint(p.id, " ", x.ref, " ", x.at))
			}
			for ref, at := range x.got {
				if image == "" || ref.Image == image {
					ever = append(ever, fmt.Sprint(p.id, " ", ref, " ", at, " ", x.ref != nil && *x.ref == ref && at.Equal(x.at)))
				}
			}
		}
		var gotHolds, gotEver []string
		for _, h := range s.Holders(image, 0, false) {
			gotHolds = append(gotHolds, fmt.Sprint(h.Device, " ", h.Version, " ", h.Received))
		}
		for _, h := range s.Holders(image, 0, true) {
			gotEver = append(gotEver, fmt.Sprint(h.Device, " ", h.Version, " ", h.Received, " ", h.Standing == report.Holds))
		}
		same(l.t, "holders of "+image, gotHolds, holds)
		same(l.t, "who ever received "+image, gotEver, ever)
	}
	for _, ref := range l.versions {
		want := 0
		for _, x := range truths {
			if x.ref != nil && *x.ref == ref {
				want++
			}
		}
		rows := s.Holders(ref.Image, ref.Number, false)
		state, deleted := l.versionState(ref)
		if deleted {
			state = "deleted"
		}
		if len(rows) != want || want > 0 && rows[0].VersionState != state {
			l.t.Errorf("holders of %s = %d, %v; want %d, %s", ref, len(rows), rows, want, state)
		}
	}
}

func (l *life) checkReceived(s *report.Snapshot) {
	for _, p := range l.laptops {
		if p.id == "" {
			continue
		}
		var got, want []string
		var on report.Ref
		for _, e := range l.events {
			if e.laptop != p || e.what != "deploy" && e.what != "rename" {
				continue
			}
			if e.what == "deploy" {
				on = e.ref
			}
			want = append(want, fmt.Sprintf("%s %s %s as %s by %s, %d files, unproven %v, %d written", e.at, e.what, on, e.name, e.by, e.files, e.unproven, e.written))
		}
		for _, r := range s.Received(p.id) {
			got = append(got, fmt.Sprintf("%s %s %s as %s by %s, %d files, unproven %v, %d written", r.Finished, r.Kind, r.Version, r.Name, r.Operator, r.Files, r.Unproven, writtenOf(r)))
		}
		if !slices.Equal(got, want) {
			l.t.Errorf("received by %s =\n %s\nwant\n %s", p.serial, strings.Join(got, "\n "), strings.Join(want, "\n "))
		}
	}
}

func writtenOf(r report.Reception) uint64 {
	if r.Kind == job.Rename {
		return 0
	}
	return r.Written
}

func (l *life) checkStale(s *report.Snapshot, truths map[*laptop]*truth) {
	cadence := map[string]int{}
	for _, e := range l.events {
		if e.what == "cadence" {
			cadence[e.ref.Image] = e.days
		}
	}
	var want, got []string
	for p, x := range truths {
		if x.ref == nil {
			continue
		}
		state, deleted := l.versionState(*x.ref)
		var why []string
		if state != "released" {
			why = append(why, state)
		}
		if deleted {
			why = append(why, "deleted")
		}
		old := func(t time.Time) bool {
			limit := time.Duration(cadence[x.ref.Image]) * 24 * time.Hour
			return limit > 0 && !t.IsZero() && l.clock.Sub(t) > limit
		}
		if old(l.created[*x.ref]) || old(l.patched[*x.ref]) {
			why = append(why, "stale")
		}
		if len(why) > 0 {
			slices.Sort(why)
			want = append(want, p.id+" "+x.ref.String()+" "+strings.Join(why, " "))
		}
	}
	for _, r := range s.Stale() {
		got = append(got, r.Device+" "+r.Version+" "+strings.Join(slices.Sorted(slices.Values(r.Reasons)), " "))
	}
	same(l.t, "stale devices", got, want)
}

// mapped applies the rules in another way than the report: each pattern as a shell pattern, the last rule first.
func mapped(rules []store.LicenceRule, p store.Package) (product string, spoken bool) {
	fits := func(pattern, text string) bool {
		ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(text))
		return err == nil && ok
	}
	for _, r := range slices.Backward(rules) {
		if fits(r.Software, p.Name) && (r.Kind == "" || r.Kind == p.Kind) && (r.Vendor == "" || fits(r.Vendor, p.Vendor)) {
			product, spoken = strings.ToLower(r.Product), true
		}
	}
	return product, spoken
}

// checkLicences counts by sets of laptops: for each laptop each package, for each package its product.
func (l *life) checkLicences(s *report.Snapshot, truths map[*laptop]*truth, seen map[string]int) {
	unmapped, free, used, unread := map[string]map[*laptop]bool{}, map[string]map[*laptop]bool{}, map[string]map[*laptop]bool{}, map[string]map[*laptop]bool{}
	add := func(m map[string]map[*laptop]bool, key string, p *laptop) {
		if m[key] == nil {
			m[key] = map[*laptop]bool{}
		}
		m[key][p] = true
	}
	holds, returned, lost := 0, 0, 0
	for p, x := range truths {
		if x.maybe != nil {
			add(unread, "maybe "+x.maybe.String(), p)
		}
		if x.ref == nil {
			continue
		}
		holds++
		switch x.state {
		case "return":
			returned++
		case "lost":
			lost++
		}
		packages, looked := l.contents[*x.ref]
		if !looked {
			add(unread, "unread "+x.ref.String(), p)
		}
		if sys := l.systems[*x.ref]; sys.Name != "" {
			name := sys.Name
			if !strings.HasSuffix(name, sys.Edition) {
				name += " " + sys.Edition
			}
			packages = append([]store.Package{{Name: name, Kind: "system"}}, packages...)
		} else if looked && len(packages) == 0 {
			add(unread, "unread "+x.ref.String(), p)
		}
		for _, sw := range packages {
			key := sw.Kind + "|" + sw.Name + "|" + sw.Vendor
			switch product, spoken := mapped(s.Rules, sw); {
			case !spoken:
				add(unmapped, key, p)
			case product == "":
				add(free, key, p)
			default:
				add(used, product, p)
				add(used, product+": "+key, p)
			}
		}
	}
	count := func(m map[string]map[*laptop]bool) (out []string) {
		for k, v := range m {
			out = append(out, fmt.Sprint(k, " ", len(v)))
		}
		return out
	}
	of := func(all []report.Software, prefix string) (out []string) {
		for _, sw := range all {
			out = append(out, fmt.Sprint(prefix+sw.Kind+"|"+sw.Name+"|"+sw.Vendor, " ", sw.Devices))
		}
		return out
	}
	got := s.Licences()
	same(l.t, "unmapped software", of(got.Unmapped, ""), count(unmapped))
	same(l.t, "free software", of(got.Free, ""), count(free))
	var products, unreads []string
	for _, p := range got.Products {
		if p.Left != p.Seats-p.Used || p.Expired != (!p.Expires.IsZero() && l.clock.Sub(p.Expires) >= 24*time.Hour) {
			l.t.Errorf("product %+v at %s", p, l.clock)
		}
		if p.Left < 0 {
			seen["overdrawn"]++
		}
		if p.Used > 0 {
			products = append(products, fmt.Sprint(strings.ToLower(p.Product), " ", p.Used))
		}
		products = append(products, of(p.Software, strings.ToLower(p.Product)+": ")...)
	}
	same(l.t, "products", products, count(used))
	for _, u := range got.Unread {
		kind := "unread "
		if strings.Contains(u.Why, "not proven") {
			kind = "maybe "
		}
		unreads = append(unreads, fmt.Sprint(kind+u.Version, " ", u.Devices))
	}
	same(l.t, "not counted", unreads, count(unread))
	if got.Devices != holds || got.Returned != returned || got.Lost != lost || len(got.Products) != 4 {
		l.t.Errorf("licences count %d devices, %d returned, %d lost, %d products; want %d, %d, %d, 4", got.Devices, got.Returned, got.Lost, len(got.Products), holds, returned, lost)
	}
	seen["unmapped"] += len(got.Unmapped)
	seen["unread"] += len(got.Unread)
	seen["returned and counted"] += got.Returned
}

func (l *life) checkFailures(s *report.Snapshot) {
	// Two spans: all, and from the middle of the history on.
	for _, span := range []report.Span{{}, {Since: l.events[len(l.events)/2].at}, {Until: l.events[len(l.events)/2].at}} {
		count := map[string]int{}
		for _, e := range l.events {
			bad := e.what == "end" && e.state != job.Cancelled || e.what == "rename" && e.state == job.Failed
			if bad && !e.at.Before(span.Since) && (span.Until.IsZero() || e.at.Before(span.Until)) {
				count[fmt.Sprint(e.laptop.maker, "|", e.laptop.model, "|", e.kind, "|", e.code)]++
			}
		}
		var got, want []string
		for k, n := range count {
			want = append(want, fmt.Sprint(k, " ", n))
		}
		for _, f := range s.Failures(span) {
			got = append(got, fmt.Sprint(f.Manufacturer, "|", f.Model, "|", f.Kind, "|", f.Code, " ", f.Count))
			if f.Ended < f.Count || f.Devices < 1 || f.Devices > f.Count || f.Cause == "" {
				l.t.Errorf("failure %+v", f)
			}
		}
		same(l.t, fmt.Sprintf("failures within %+v", span), got, want)
	}
}

func (l *life) checkDays(s *report.Snapshot) {
	zone := time.FixedZone("elsewhere", 5*3600+1800)
	days := map[string]*report.Day{}
	laptops := map[string]map[*laptop]bool{}
	for _, e := range l.events {
		if e.laptop == nil {
			continue
		}
		date := e.at.Add(5*time.Hour + 30*time.Minute).UTC().Format(time.DateOnly)
		d := days[date]
		if d == nil {
			d = &report.Day{Date: date}
			laptops[date] = map[*laptop]bool{}
		}
		switch {
		case e.what == "deploy":
			d.Deployed++
			d.Written, d.Fetched, d.Kept = d.Written+e.written, d.Fetched+e.fetched, d.Kept+e.kept
			laptops[date][e.laptop] = true
		case e.state == job.Failed:
			d.Failed++
		case e.state == job.Indeterminate:
			d.Unproven++
		case e.state == job.Cancelled:
			d.Cancelled++
		case e.what == "rename":
			d.Renamed++
		case e.what == "wipe":
			d.Wiped++
		default:
			continue // a return or a loss is no job
		}
		days[date] = d
	}
	var got, want []string
	for date, d := range days {
		d.Devices = len(laptops[date])
		want = append(want, fmt.Sprintf("%+v", *d))
	}
	for _, d := range s.Days(report.Span{}, zone) {
		d.Median = 0 // TestTheMedianDay
		if d != (report.Day{Date: d.Date}) {
			got = append(got, fmt.Sprintf("%+v", d))
		}
	}
	same(l.t, "days", got, want)
}
