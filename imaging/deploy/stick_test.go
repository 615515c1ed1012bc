package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/sign"
	"ingot/store"
)

const oldBundle, newBundle = "bundle-00000000000000aa", "bundle-00000000000000bb"

// start asks for a token as the agent of a stick does.
func (l *laptop) start() job.BootReply {
	l.b.t.Helper()
	r, err := l.c.Start(context.Background(), job.BootRequest{Version: job.Version, MAC: l.mac, UUID: l.hello.Facts.UUID, Bundle: oldBundle})
	must(l.b.t, err)
	return r
}

func (b *bench) setBench(open time.Duration) {
	b.t.Helper()
	_, err := b.s.OpenBench(context.Background(), "anna", store.Bench{OpenUntil: b.clk.now().Add(open)})
	must(b.t, err)
}

func (b *bench) legs(mac string) (out []string) {
	b.t.Helper()
	logs, err := b.s.BootLogs(context.Background(), mac)
	must(b.t, err)
	for _, e := range logs[0].Events {
		out = append(out, e.Leg)
	}
	return out
}

// TestAStickMeetsTheRulesOfTheNetworkBoot asks by stick in each situation and holds the answer against what the same
// machine hears by PXE.
func TestAStickMeetsTheRulesOfTheNetworkBoot(t *testing.T) {
	b := newBench(t)
	l := b.laptop("ABC1234")
	at := func(what string, boot bool, code job.Code) {
		t.Helper()
		b.clk.pass(20 * time.Second)
		l.fresh()
		a, err := b.s.Decide(context.Background(), l.machine())
		must(t, err)
		r := l.start()
		if a.Boot != boot || (r.Token != "") != boot || (r.Fault == nil) != boot || r.Fault != nil && r.Fault.Code != code {
			t.Errorf("%s: PXE %+v, stick %+v; want boot %v, %s", what, a, r, boot, code)
		}
		l.hello.Token = r.Token
	}
	b.setBench(-time.Hour)
	at("unknown on a closed bench", false, job.CodeBenchClosed)
	b.setBench(4 * time.Hour)
	at("unknown on an open bench", true, "")
	code := l.sayHello().Code
	if code == "" {
		t.Fatal("an unknown laptop got no code")
	}
	_, err := b.s.Adopt(context.Background(), "anna", store.Adoption{Code: code, Name: "PC-1"})
	must(t, err)
	b.setBench(-time.Hour)
	at("ready on a closed bench", false, job.CodeBenchClosed)
	b.order("PC-1")
	at("a device with an order, on a closed bench", true, "")
	l.sayHello()
	j := l.work()
	l.reach(j, job.Committed)
	_, err = l.c.Result(context.Background(), j.ID, result(j))
	must(t, err)
	at("deployed, without an order", false, job.CodeNoJob)
	if legs := fmt.Sprint(b.legs(l.mac)); legs != "[stick refuse stick hello stick refuse stick hello stick refuse]" {
		t.Errorf("the boot log holds %s", legs)
	}
	if got, err := b.s.Job(context.Background(), j.ID); err != nil || got.Bundle != oldBundle {
		t.Errorf("the job's bundle is %q, %v; want that of the stick", got.Bundle, err)
	}
}

// TestATokenOfAStickAuthenticatesNobody: it is bound to the first key like any other.
func TestATokenOfAStickAuthenticatesNobody(t *testing.T) {
	b := newBench(t)
	l := b.laptop("ABC1234")
	l.fresh()
	first := l.start().Token
	if again := l.start().Token; again != first {
		t.Errorf("asked again within 2 minutes: %s, then %s; want one token", first, again)
	}
	l.hello.Token = first
	l.sayHello()
	thief := b.laptop("ABC1234")
	thief.fresh()
	thief.hello.Token = first
	_, err := thief.c.Hello(context.Background(), thief.hello)
	wantCode(t, "a second key", err, job.CodeTokenBound)
	if next := thief.start().Token; next == first || next == "" {
		t.Errorf("a new start got the token %q; want another than the one in use", next)
	}
}

// TestStrangersAskNoMoreThanTheyMay counts answers of one address, and of many.
func TestStrangersAskNoMoreThanTheyMay(t *testing.T) {
	b := newBench(t)
	ask := func(from string, n int) error {
		_, err := b.s.Start(context.Background(), from, job.BootRequest{Version: job.Version, MAC: fmt.Sprintf("52:54:00:01:%02x:%02x", n>>8, n&255)})
		return err
	}
	answered := 0
	for n := range 100 {
		if ask("192.0.2.1", n) == nil {
			answered++
		}
	}
	if answered < 4 || answered > 10 {
		t.Errorf("one address got %d of 100 answers; want a few", answered)
	}
	must(t, ask("192.0.2.2", 200)) // another one is not in its way
	answered = 0
	for n := range 3000 {
		if ask(fmt.Sprintf("10.0.%d.%d", n>>8, n&255), n) == nil {
			answered++
		}
	}
	if answered < 40 || answered > 60 {
		t.Errorf("3000 addresses got %d answers at once; want what a bench needs", answered)
	}
	b.clk.pass(time.Minute)
	must(t, ask("192.0.2.1", 300))
	var last error
	for range 20 {
		last = ask("192.0.2.1", 301)
	}
	wantCode(t, "the twentieth question at once", last, job.CodeBusy)
}

func TestAHostileStartIsRefused(t *testing.T) {
	b := newBench(t)
	l := b.laptop("ABC1234")
	l.fresh()
	good := fmt.Sprintf(`{"version":%d,"mac":"52:54:00:00:00:07"`, job.Version)
	for name, body := range map[string]string{
		"no JSON":                "mac",
		"a list":                 "[]",
		"no version":             `{"mac":"52:54:00:00:00:07"}`,
		"the version before":     `{"version":1,"mac":"52:54:00:00:00:07"}`,
		"no MAC":                 fmt.Sprintf(`{"version":%d}`, job.Version),
		"a MAC of 8 bytes":       strings.Replace(good, "00:07", "00:07:00:01", 1) + "}",
		"a group's MAC":          strings.Replace(good, "52:", "53:", 1) + "}",
		"a MAC of zeros":         strings.Replace(good, "52:54:00:00:00:07", "00:00:00:00:00:00", 1) + "}",
		"a MAC that is a path":   strings.Replace(good, "52:54:00:00:00:07", "../../etc/passwd", 1) + "}",
		"a UUID that is none":    good + `,"uuid":"x"}`,
		"a UUID in braces":       good + `,"uuid":"{11111111-2222-3333-4444-555555555555}"}`,
		"a bundle that is none":  good + `,"bundle":"bundle-../../../../x"}`,
		"a bundle of a megabyte": good + `,"bundle":"` + strings.Repeat("b", 1<<20) + `"}`,
		"something behind":       good + "}{}",
	} {
		if status, f := send(t, l.c.HTTP(), "POST", b.base+"/v1/boot", body); status != 400 || f.Code != job.CodeBadRequest && f.Code != job.CodeProtocol {
			t.Errorf("%s: %d, %+v; want a refusal", name, status, f)
		}
	}
	logs, err := b.s.BootLogs(context.Background(), "")
	must(t, err)
	if len(logs) > 0 {
		t.Errorf("refused questions left %+v in the boot log", logs)
	}
}

// FuzzStart sends what a stranger may send: it is refused in words, or it names a boot of exactly one plain machine.
func FuzzStart(f *testing.F) {
	for _, s := range []string{fmt.Sprintf(`{"version":%d,"mac":"52:54:00:00:00:07","uuid":"11111111-2222-3333-4444-555555555555","bundle":%q}`, job.Version, oldBundle),
		fmt.Sprintf(`{"version":%d,"mac":"5254.0000.0007"}`, job.Version), `{"version":1}`, `{}`, `[]`} {
		f.Add([]byte(s))
	}
	b := newBench(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		var r job.BootRequest
		if json.Unmarshal(body, &r) != nil {
			return
		}
		b.clk.pass(time.Minute) // the limits are not what is looked for
		reply, err := b.s.Start(context.Background(), "192.0.2.1", r)
		var fault *job.Fault
		if err != nil {
			if !errors.As(err, &fault) {
				t.Fatalf("Start = %v; want words", err)
			}
			return
		}
		if reply.Token == "" && reply.Fault == nil || reply.Token != "" && reply.Fault != nil {
			t.Fatalf("Start = %+v; want a token or a reason", reply)
		}
		err = b.db.View(func(tx *store.Tx) error {
			if reply.Token == "" {
				return nil
			}
			tok, err := tx.Token(reply.Token)
			if len(tok.MAC) != 17 || len(tok.UUID) > 36 || tok.Bundle != "" && len(tok.Bundle) != len(oldBundle) || tok.Key != "" {
				t.Errorf("the token is %+v", tok)
			}
			return err
		})
		must(t, err)
	})
}

// switching is a boot folder whose bundle changes.
type switching struct {
	memoryBoot
	now *string
}

// Current implements deploy.Boot.
func (s switching) Current() string { return *s.now }

// TestABundleIsInUseWhileAJobOrAStartNeedsIt follows one bundle from a start to the end of the job.
func TestABundleIsInUseWhileAJobOrAStartNeedsIt(t *testing.T) {
	b := newBench(t)
	now := oldBundle
	signer, err := sign.LoadOrCreate(filepath.Join(b.dir, "jobs.key"))
	must(t, err)
	b.s, err = deploy.New(deploy.Config{DB: b.db, Signer: signer, Boot: switching{"x", &now}, Log: zerolog.Nop(), Now: b.clk.now, Poll: 50 * time.Millisecond})
	must(t, err)
	uses := func() string {
		t.Helper()
		all, err := b.s.BundleUses(context.Background())
		must(t, err)
		var out []string
		for _, u := range all {
			out = append(out, fmt.Sprintf("%s:%d jobs,%d starts", strings.TrimPrefix(u.Bundle, "bundle-00000000000000"), len(u.Jobs), u.Starts))
		}
		return strings.Join(out, " ")
	}
	want := func(when, want string) {
		t.Helper()
		if got := uses(); got != want {
			t.Errorf("%s: in use %q; want %q", when, got, want)
		}
	}
	want("at first", "")
	l := b.laptop("ABC1234")
	key := job.KeyID("sha256:key")
	token, err := b.s.Token(context.Background(), l.machine())
	must(t, err)
	want("a start is under way", "aa:0 jobs,1 starts")
	now = newBundle
	if other, err := b.s.Token(context.Background(), l.machine()); err != nil || other == token {
		t.Errorf("after the switch the same machine gets %q, %v; want a token of the new bundle", other, err)
	}
	b.clk.pass(5 * time.Minute)
	want("both starts are five minutes old", "aa:0 jobs,1 starts bb:0 jobs,1 starts")
	l.hello.Token, l.hello.Nonce = token, strings.Repeat("ab", 16)
	h, err := b.s.Hello(context.Background(), key, l.hello)
	must(t, err)
	_, err = b.s.Adopt(context.Background(), "anna", store.Adoption{Code: h.Code, Name: "PC-1"})
	must(t, err)
	b.order("PC-1")
	n, err := b.s.Next(context.Background(), key)
	must(t, err)
	if n.Order != job.Work {
		t.Fatalf("Next = %+v", n)
	}
	want("the job is bound", "aa:1 jobs,0 starts bb:0 jobs,1 starts")
	b.clk.pass(11 * time.Minute)
	want("the starts are old", "aa:1 jobs,0 starts")
	d, err := b.s.Device(context.Background(), "PC-1")
	must(t, err)
	_, err = b.s.Result(context.Background(), key, d.Job.ID, job.Result{Job: d.Job.ID, State: job.Failed, Fault: job.Faultf(job.CodeDriveRead, "")})
	must(t, err)
	want("the job has ended", "")
}
