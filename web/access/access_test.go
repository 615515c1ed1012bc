package access_test

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging/job"
	"ingot/store"
	"ingot/web/access"
)

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

// desk is the service over real records.
type desk struct {
	*access.Service
	t    *testing.T
	db   *store.DB
	clk  *clock
	path string
}

func newDesk(t *testing.T, p *access.Provider) *desk {
	t.Helper()
	d := &desk{t: t, clk: &clock{t: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)}, path: filepath.Join(t.TempDir(), "ingot.db")}
	var err error
	d.db, err = store.Open(d.path, store.Options{Now: d.clk.now})
	must(t, err)
	t.Cleanup(func() { d.db.Close() })
	d.Service = access.New(access.Config{DB: d.db, Log: zerolog.Nop(), Base: func() string { return "https://ingot.example" }, Now: d.clk.now, Provider: p})
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, what string, err error, want job.Code) {
	t.Helper()
	var f *job.Fault
	if !errors.As(err, &f) || f.Code != want {
		t.Errorf("%s: %v; want %s", what, err, want)
	}
}

const (
	good  = "correct horse battery staple"
	other = "another horse with four legs"
)

// from is a client at an address of its own.
func from(n byte) access.Client { return access.Client{From: netip.AddrFrom4([4]byte{10, 0, 0, n})} }

// operator makes one with the good password.
func (d *desk) operator(name string, right store.Right) (cookie string) {
	d.t.Helper()
	l, err := d.AddOperator("root", store.OperatorAdd{Name: name, Right: right})
	must(d.t, err)
	cookie, err = d.UseLink(context.Background(), from(200), strings.TrimPrefix(l.Link, "https://ingot.example/setup/"), "", good)
	must(d.t, err)
	d.clk.pass(time.Minute)
	return cookie
}

func (d *desk) acts() string {
	d.t.Helper()
	var out []string
	must(d.t, d.db.View(func(tx *store.Tx) error {
		all, err := tx.AuditTrail("", 10000)
		for _, e := range all {
			out = append(out, e.Operator+" "+e.Act+" "+e.Subject+" "+e.Text)
		}
		return err
	}))
	return strings.Join(out, "\n")
}

// TestTenWrongPasswordsLockAName, for a while, also for the right one; a name that does not exist looks the same.
func TestTenWrongPasswordsLockAName(t *testing.T) {
	d := newDesk(t, nil)
	cookie := d.operator("anna", store.Technician)
	for _, name := range []string{"anna", "nobody-here"} {
		for range store.MaxWrong {
			_, err := d.SignIn(t.Context(), from(1), name, other)
			wantCode(t, name, err, job.CodeSignIn)
			d.clk.pass(5 * time.Second)
		}
		_, err := d.SignIn(t.Context(), from(2), name, good)
		wantCode(t, name+" with the right password", err, job.CodeLockedOut)
	}
	if _, err := d.Session(cookie); err != nil {
		t.Errorf("a session in force ended with the lock: %v", err)
	}
	if !strings.Contains(d.acts(), "ingot operator locked operator:anna 10 wrong passwords in a row, the last from 10.0.0.1.") || strings.Contains(d.acts(), "nobody-here") {
		t.Errorf("the record says\n%s", d.acts())
	}
	again := access.New(access.Config{DB: d.db, Log: zerolog.Nop(), Now: d.clk.now}) // the daemon was started again
	_, err := again.SignIn(t.Context(), from(1), "anna", good)
	wantCode(t, "after a restart", err, job.CodeLockedOut)
	d.clk.pass(store.LockTime)
	if _, err := d.SignIn(t.Context(), from(1), " ANNA ", good); err != nil {
		t.Errorf("after a quarter of an hour: %v", err)
	}
}

// TestAnAdministratorUnlocks, and the count begins anew at each sign-in.
func TestAnAdministratorUnlocks(t *testing.T) {
	d := newDesk(t, nil)
	d.operator("anna", store.Technician)
	wrong := func(n int) {
		for range n {
			d.SignIn(t.Context(), from(1), "anna", other)
			d.clk.pass(4 * time.Second)
		}
	}
	wrong(store.MaxWrong - 1)
	if _, err := d.SignIn(t.Context(), from(1), "anna", good); err != nil {
		t.Fatalf("the tenth was right: %v", err)
	}
	wrong(store.MaxWrong - 1)
	if _, err := d.SignIn(t.Context(), from(1), "anna", good); err != nil {
		t.Fatalf("nine wrong ones since: %v", err)
	}
	wrong(store.MaxWrong)
	_, err := d.SignIn(t.Context(), from(1), "anna", good)
	wantCode(t, "locked", err, job.CodeLockedOut)
	v, err := d.SetOperator("boss", "anna", store.OperatorSet{Unlock: true})
	if err != nil || !v.LockedUntil.IsZero() {
		t.Fatalf("unlock: %+v, %v", v, err)
	}
	if _, err := d.SignIn(t.Context(), from(1), "anna", good); err != nil {
		t.Errorf("unlocked: %v", err)
	}
}

// TestManyAtOnceAreManyAttempts: guesses that come together are counted one by one, before they are looked at.
func TestManyAtOnceAreManyAttempts(t *testing.T) {
	d := newDesk(t, nil)
	d.operator("anna", store.Technician)
	var wg sync.WaitGroup
	var mu sync.Mutex
	looked := 0
	for i := range 60 {
		wg.Go(func() {
			_, err := d.SignIn(context.Background(), from(byte(i)), "anna", other)
			var f *job.Fault
			if errors.As(err, &f) && f.Code == job.CodeSignIn {
				mu.Lock()
				looked++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if looked > store.MaxWrong {
		t.Errorf("%d passwords were looked at; want at most %d", looked, store.MaxWrong)
	}
	d.clk.pass(time.Second)
	_, err := d.SignIn(t.Context(), from(100), "anna", good)
	if looked == store.MaxWrong {
		wantCode(t, "behind the flood", err, job.CodeLockedOut)
	}
}

// TestAFloodOfSignInsTakesLittleMemory: 300 at once, each 32 MiB if it were let in.
func TestAFloodOfSignInsTakesLittleMemory(t *testing.T) {
	d := newDesk(t, nil)
	d.operator("anna", store.Technician)
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var m runtime.MemStats
		top := uint64(0)
		for {
			runtime.ReadMemStats(&m)
			top = max(top, m.HeapAlloc)
			select {
			case <-stop:
				peak <- top
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[job.Code]int{}
	for i := range 300 {
		wg.Go(func() {
			_, err := d.SignIn(context.Background(), from(byte(i)), "stranger", good)
			mu.Lock()
			defer mu.Unlock()
			codes[job.FaultOf(err).Code]++
		})
	}
	wg.Wait()
	close(stop)
	top := <-peak
	t.Logf("300 sign-ins at once: %v, at most %d MB in use", codes, top>>20)
	if codes[job.CodeManySignIns] < 200 || top > 160<<20 {
		t.Errorf("%v, %d MB; want most refused, and a few times 32 MB", codes, top>>20)
	}
}

// TestAnAddressThatTriesAndTries is asked to wait, and a neighbour is not.
func TestAnAddressThatTriesAndTries(t *testing.T) {
	d := newDesk(t, nil)
	d.operator("anna", store.Technician)
	refused := 0
	for range 30 {
		if _, err := d.SignIn(t.Context(), from(1), strings.Repeat("x", 70), good); job.FaultOf(err).Code == job.CodeManySignIns {
			refused++
		}
	}
	if refused != 10 {
		t.Errorf("of 30 tries %d were put off; want 10", refused)
	}
	if _, err := d.SignIn(t.Context(), from(2), "anna", good); err != nil {
		t.Errorf("the neighbour: %v", err)
	}
	v6 := func(s string) access.Client { return access.Client{From: netip.MustParseAddr(s)} }
	for i := range 20 {
		d.SignIn(t.Context(), v6("fd00::"+string(rune('a'+i%6))), strings.Repeat("x", 70), good)
	}
	_, err := d.SignIn(t.Context(), v6("fd00::1234:5678:9abc:def0"), "anna", good)
	wantCode(t, "one network of IPv6", err, job.CodeManySignIns)
}

// TestASessionEnds: idle, after its life, and in a clock that jumped back.
func TestASessionEnds(t *testing.T) {
	d := newDesk(t, nil)
	d.operator("anna", store.Technician)
	in := func() string {
		c, err := d.SignIn(t.Context(), from(1), "anna", good)
		must(t, err)
		return c
	}
	idle := in()
	d.clk.pass(store.SessionIdle - time.Minute)
	if g, err := d.Session(idle); err != nil || g.Name != "anna" || g.Right != store.Technician {
		t.Fatalf("before its end: %+v, %v", g, err)
	}
	d.clk.pass(store.SessionIdle)
	_, err := d.Session(idle)
	wantCode(t, "idle", err, job.CodeSignedOut)
	used, start := in(), d.clk.now()
	for d.clk.now().Sub(start) < store.SessionLife-time.Hour {
		d.clk.pass(time.Hour)
		if _, err := d.Session(used); err != nil {
			t.Fatalf("used each hour, after %s: %v", d.clk.now().Sub(start), err)
		}
	}
	last, err := d.Session(used)
	must(t, err)
	held, release := d.Hold(t.Context(), last)
	defer release()
	if end, ok := held.Deadline(); !ok || time.Until(end) > time.Hour+time.Minute {
		t.Errorf("an hour before the session's end a request is held until %s", time.Until(end))
	}
	d.clk.pass(2 * time.Hour)
	_, err = d.Session(used)
	wantCode(t, "after its life", err, job.CodeSignedOut)
	late := in()
	d.clk.pass(-24 * time.Hour)
	_, err = d.Session(late)
	wantCode(t, "from the future", err, job.CodeSignedOut)
	for _, odd := range []string{"", "x", strings.Repeat("A", 43) + "=", strings.Repeat("A", 4000), "../../etc", late + " ", late[:42]} {
		_, err := d.Session(odd)
		wantCode(t, odd, err, job.CodeSignedOut)
	}
}

// TestTheRecordHoldsNoSecret: neither a password, nor a cookie, nor a link lies in the file.
func TestTheRecordHoldsNoSecret(t *testing.T) {
	d := newDesk(t, nil)
	cookie := d.operator("anna", store.Technician)
	l, err := d.Recover("root", "anna", true)
	must(t, err)
	made, err := d.AddToken("anna", false, store.TokenAdd{Name: "ci", Right: store.Viewer})
	must(t, err)
	var file strings.Builder
	must(t, d.db.Backup(&file))
	for what, secret := range map[string]string{"the password": good, "the cookie": cookie, "the link": l.Link[len(l.Link)-43:], "the token": made.Token[len(made.Token)-43:]} {
		if strings.Contains(file.String(), secret) {
			t.Errorf("the database holds %s", what)
		}
	}
	if !strings.Contains(file.String(), "$argon2id$v=19$m=32768,t=3,p=1$") {
		t.Error("no argon2id hash in the database")
	}
}

// TestALinkWorksOnce: whoever is second, or late, or has an older one, is told so.
func TestALinkWorksOnce(t *testing.T) {
	d := newDesk(t, nil)
	first, ok, err := d.FirstLink()
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	newer, _, err := d.FirstLink()
	must(t, err)
	secret := func(l store.OperatorLink) string { return strings.TrimPrefix(l.Link, "https://ingot.example/setup/") }
	use := func(l store.OperatorLink, name, password string) error {
		d.clk.pass(10 * time.Second)
		_, err := d.UseLink(t.Context(), from(1), secret(l), name, password)
		return err
	}
	wantCode(t, "one before", use(first, "boss", good), job.CodeLink)
	wantCode(t, "a bad password", use(newer, "boss", "boss"), job.CodePassword)
	wantCode(t, "a bad name", use(newer, "../boss", good), job.CodeBadRequest)
	wantCode(t, "a name of the record", use(newer, "Ingot", good), job.CodeBadRequest)
	must(t, use(newer, "Boss", good))
	wantCode(t, "twice", use(newer, "mallory", good), job.CodeLink)
	all, err := d.Operators()
	if err != nil || len(all) != 1 || all[0].Name != "boss" || all[0].Right != store.Administrator {
		t.Fatalf("operators: %+v, %v", all, err)
	}
	if _, ok, err := d.FirstLink(); ok || err != nil {
		t.Errorf("a first link beside an operator: %v, %v", ok, err)
	}
	_, err = d.Recover("root", "", true)
	wantCode(t, "a first link at the server beside an operator", err, job.CodePolicy)
	_, err = d.Recover("root", "nobody-here", true)
	wantCode(t, "a link for nobody", err, job.CodeNotFound)
	l, err := d.Recover("boss", "boss", false)
	must(t, err)
	must(t, use(l, "", good))
	wantCode(t, "an operator's, twice", use(l, "", other), job.CodeLink)
	l, err = d.AddOperator("boss", store.OperatorAdd{Name: "anna", Right: store.Viewer})
	must(t, err)
	d.clk.pass(store.LinkLife + time.Second)
	wantCode(t, "a day late", use(l, "", good), job.CodeLink)
	if err := use(store.OperatorLink{Link: "https://ingot.example/setup/" + store.NewSecret()}, "x", good); job.FaultOf(err).Code != job.CodeLink {
		t.Errorf("a made-up link: %v", err)
	}
}

// TestTheFirstLinkEndsWithTheFirstOperator, also when that one was made at the server.
func TestTheFirstLinkEndsWithTheFirstOperator(t *testing.T) {
	d := newDesk(t, nil)
	l, _, err := d.FirstLink()
	must(t, err)
	_, err = d.AddOperator("root", store.OperatorAdd{Name: "anna", Right: store.Viewer})
	must(t, err)
	_, err = d.UseLink(t.Context(), from(1), l.Link[len(l.Link)-43:], "mallory", good)
	wantCode(t, "beside an operator", err, job.CodeLink)
}

// TestNoLinkOutlastsItsReason: who was let out does not let himself in again by a link of before, and a new password of
// one's own ends a link that may be in other hands.
func TestNoLinkOutlastsItsReason(t *testing.T) {
	d := newDesk(t, nil)
	d.operator("boss", store.Administrator)
	cookie := d.operator("anna", store.Technician)
	link := func() string {
		l, err := d.Recover("boss", "anna", false)
		must(t, err)
		return strings.TrimPrefix(l.Link, "https://ingot.example/setup/")
	}
	secret, yes := link(), true
	_, err := d.SetOperator("boss", "anna", store.OperatorSet{Disabled: &yes})
	must(t, err)
	_, err = d.UseLink(t.Context(), from(3), secret, "", other)
	wantCode(t, "a link of before, of one who was let out", err, job.CodeLink)
	_, err = d.Session(cookie)
	wantCode(t, "the session of one who was let out", err, job.CodeSignedOut)
	_, err = d.UseLink(t.Context(), from(3), link(), "", other)
	must(t, err) // one that an administrator made since lets in again
	secret = link()
	_, err = d.ChangePassword(t.Context(), from(3), "anna", other, good)
	must(t, err)
	_, err = d.Link(from(4), secret)
	wantCode(t, "a link of before the new password", err, job.CodeLink)
}

// TestTwoWithOneLink: of many who use it in the same moment one becomes the administrator.
func TestTwoWithOneLink(t *testing.T) {
	d := newDesk(t, nil)
	l, _, err := d.FirstLink()
	must(t, err)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 8 {
		wg.Go(func() {
			if _, err := d.UseLink(context.Background(), from(byte(i)), l.Link[len(l.Link)-43:], "boss"+string(rune('a'+i)), good); err == nil {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if all, err := d.Operators(); err != nil || won != 1 || len(all) != 1 {
		t.Errorf("%d won, %d operators, %v", won, len(all), err)
	}
}

// TestRecovering: whoever lost the password, was locked out and let out, comes in again; all sessions end; the record
// and the board say who opened that way in, until somebody has seen it.
func TestRecovering(t *testing.T) {
	d := newDesk(t, nil)
	d.operator("boss", store.Administrator)
	cookie := d.operator("anna", store.Technician)
	yes := true
	_, err := d.SetOperator("boss", "anna", store.OperatorSet{Disabled: &yes})
	must(t, err)
	_, err = d.Session(cookie)
	wantCode(t, "let out", err, job.CodeSignedOut)
	_, err = d.SignIn(t.Context(), from(1), "anna", good)
	wantCode(t, "let out, with the right password", err, job.CodeSignIn)
	l, err := d.Recover("root", "anna", true)
	must(t, err)
	notices, err := d.Notices()
	if err != nil || len(notices) != 1 || notices[0].Text != "root made a link at the server that sets the password of anna." {
		t.Fatalf("the board says %+v, %v", notices, err)
	}
	_, err = d.UseLink(t.Context(), from(1), l.Link[len(l.Link)-43:], "", other)
	must(t, err)
	if _, err := d.SignIn(t.Context(), from(1), "anna", other); err != nil {
		t.Errorf("with the new password: %v", err)
	}
	_, err = d.SignIn(t.Context(), from(1), "anna", good)
	wantCode(t, "with the old one", err, job.CodeSignIn)
	must(t, d.EndNotice("boss", notices[0].Number))
	if notices, _ := d.Notices(); len(notices) != 0 {
		t.Errorf("the board still says %+v", notices)
	}
	wantCode(t, "seen twice", d.EndNotice("boss", notices[0].Number), job.CodeNotFound)
	_, err = d.Recover("root", "anna", true)
	must(t, err)
	wantCode(t, "the page of before, pressed again", d.EndNotice("boss", notices[0].Number), job.CodeNotFound)
	for _, want := range []string{"root operator link operator:anna", "anna password set operator:anna By the link of root.", "boss notice seen server", "anna sign in operator:anna"} {
		if !strings.Contains(d.acts(), want) {
			t.Errorf("the record lacks %q in\n%s", want, d.acts())
		}
	}
}

// TestAPasswordThatWillNotDo, and some that will.
func TestAPasswordThatWillNotDo(t *testing.T) {
	for _, bad := range []string{"", "short", "elevenchars", strings.Repeat("a", 12), "abababababab", "Password1234", "administrator", "qwertzuiop123", "123456789012", "anna1234-anna", "xxANNAxxyyzzqq1", strings.Repeat("ab1cd", 200), "bad\xffutf8 string here"} {
		wantCode(t, bad, access.CheckPassword("anna@example.org", bad), job.CodePassword)
	}
	for _, ok := range []string{good, "vier Wörter ohne Sinn", "7#kQ2!pZ9&mL", "日本語のパスワードですよ、はい"} {
		if err := access.CheckPassword("anna", ok); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
}

// TestANewPasswordOfOnesOwn needs the present one, and signs out everywhere else.
func TestANewPasswordOfOnesOwn(t *testing.T) {
	d := newDesk(t, nil)
	here := d.operator("anna", store.Technician)
	there, err := d.SignIn(t.Context(), from(1), "anna", good)
	must(t, err)
	_, err = d.ChangePassword(t.Context(), from(1), "anna", other, "a third one for the test")
	wantCode(t, "without the present one", err, job.CodeSignIn)
	c := from(1)
	c.Cookie = here
	now, err := d.ChangePassword(t.Context(), c, "anna", good, other)
	must(t, err)
	for what, cookie := range map[string]string{"here": here, "there": there} {
		_, err := d.Session(cookie)
		wantCode(t, what, err, job.CodeSignedOut)
	}
	if _, err := d.Session(now); err != nil {
		t.Error(err)
	}
}

// TestTheLastAdministratorStays: nobody locks everybody out by a slip.
func TestTheLastAdministratorStays(t *testing.T) {
	d := newDesk(t, nil)
	d.operator("boss", store.Administrator)
	viewer, yes := store.Viewer, true
	for _, set := range []store.OperatorSet{{Right: &viewer}, {Disabled: &yes}} {
		_, err := d.SetOperator("boss", "boss", set)
		wantCode(t, "the last one", err, job.CodePolicy)
	}
	d.operator("deputy", store.Administrator)
	if _, err := d.SetOperator("boss", "boss", store.OperatorSet{Right: &viewer}); err != nil {
		t.Errorf("one of two: %v", err)
	}
	_, err := d.SetOperator("boss", "deputy", store.OperatorSet{Disabled: &yes})
	wantCode(t, "the one that is left", err, job.CodePolicy)
	_, err = d.AddOperator("deputy", store.OperatorAdd{Name: "never-came", Right: store.Administrator})
	must(t, err)
	_, err = d.SetOperator("never-came", "deputy", store.OperatorSet{Disabled: &yes})
	wantCode(t, "all but one who has no password yet", err, job.CodePolicy)
	bad := store.Right("root")
	_, err = d.SetOperator("boss", "boss", store.OperatorSet{Right: &bad})
	wantCode(t, "no right", err, job.CodeBadRequest)
}
