package deploy_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ingot/imaging/deploy"
	"ingot/imaging/job"
	"ingot/imaging/job/client"
	"ingot/store"
)

// sentenceOf is what a person reads for a code.
func sentenceOf(c job.Code) string { return c.Words().Sentence }

// legsOf are the legs of a machine's boot log.
func (b *bench) legsOf(ref string) (out []string) {
	b.t.Helper()
	logs, err := b.s.BootLogs(context.Background(), ref)
	must(b.t, err)
	for _, e := range logs[0].Events {
		out = append(out, e.Leg)
	}
	return out
}

// TestARefusedHelloStandsInTheBootLog: of the machine for which its token was made, else of its own MACs that were
// heard before; a stranger makes no log.
func TestARefusedHelloStandsInTheBootLog(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	late := b.laptop("LATE123")
	late.boot()
	b.clk.pass(11 * time.Minute)
	_, err := late.c.Hello(ctx, late.hello)
	wantCode(t, "a token of 11 minutes", err, job.CodeToken)
	if got := b.legsOf(late.mac); !slices.Equal(got, []string{"denied"}) {
		t.Errorf("legs after a token that is too old: %q; want denied", got)
	}
	back := b.laptop("BACK12345")
	back.boot()
	b.clk.pass(-2 * time.Hour)
	_, err = back.c.Hello(ctx, back.hello)
	wantCode(t, "a token of the future", err, job.CodeToken)
	if got := b.legsOf(back.mac); !slices.Equal(got, []string{"clock"}) {
		t.Errorf("legs after the clock was set back: %q; want clock", got)
	}
	b.update(func(tx *store.Tx) error {
		return tx.AddBootEvents([]store.BootEvent{{Time: b.clk.now(), MAC: "52:54:00:00:00:77", Leg: "discover"}})
	})
	made := b.laptop("MADEUP")
	made.hello.Token, made.hello.Links = "made-up", []job.Link{{Name: "eth0", MAC: "52:54:00:00:00:77"}, {Name: "eth1", MAC: "52:54:00:00:00:78"}, {MAC: "none"}}
	made.fresh()
	_, err = made.c.Hello(ctx, made.hello)
	wantCode(t, "a token made up", err, job.CodeToken)
	if got := b.legsOf("52-54-00-00-00-77"); !slices.Equal(got, []string{"discover", "denied"}) {
		t.Errorf("legs of a MAC that was heard before: %q", got)
	}
	if got := b.legsOf("52:54:00:00:00:78"); len(got) != 0 {
		t.Errorf("legs of a MAC that was never heard: %q; want none", got)
	}
}

// TestAnOrderedLaptopIsWaitedFor: by serial, name and MAC; what came before the order does not count, unless the laptop
// runs already; what another laptop did over the same dongle is left out.
func TestAnOrderedLaptopIsWaitedFor(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	l := b.laptop("WAITED1")
	l.boot()
	code := l.sayHello().Code
	if _, err := b.s.Adopt(ctx, "anna", store.Adoption{Code: code, Name: "PC-9"}); err != nil {
		t.Fatal(err)
	}
	j, err := b.s.Deploy(ctx, "anna", store.Order{Device: "PC-9", Image: "sales"})
	must(t, err)
	if logs, err := b.s.BootLogs(ctx, "PC-9"); err != nil || !logs[0].Since.IsZero() {
		t.Errorf("while it runs: %+v, %v; want no waiting", logs, err)
	}
	b.clk.pass(5 * time.Minute)
	for _, ref := range []string{"PC-9", "WAITED1", l.mac} {
		logs, err := b.s.BootLogs(ctx, ref)
		must(t, err)
		if ref != l.mac && (!logs[0].Since.Equal(j.Created) || logs[0].Device == "") || len(logs[0].Events) != 1 {
			t.Errorf("%s: %+v; want its one event, and since when it is waited for", ref, logs[0])
		}
	}
	b.update(func(tx *store.Tx) error {
		return tx.AddBootEvents([]store.BootEvent{
			{Time: b.clk.now(), MAC: l.mac, UUID: uuidFor("OTHER"), Loader: "pxe", Leg: "discover"}, {Time: b.clk.now(), MAC: l.mac, Leg: "nbp"},
			{Time: b.clk.now(), MAC: l.mac, UUID: l.hello.Facts.UUID, Loader: "pxe", Leg: "discover"}})
	})
	if got := b.legsOf("PC-9"); !slices.Equal(got, []string{"hello", "discover"}) {
		t.Errorf("legs of the device on a shared dongle: %q; want only its own", got)
	}
	if got := b.legsOf(l.mac); len(got) != 4 {
		t.Errorf("legs of the dongle: %q; want all", got)
	}
}

func TestAStrangersReferenceIsExplained(t *testing.T) {
	b := newBench(t)
	ctx := context.Background()
	logs, err := b.s.BootLogs(ctx, "NEVERSEEN1")
	must(t, err)
	if len(logs) != 1 || len(logs[0].Checks) != 1 || !strings.Contains(logs[0].Checks[0], "ingot boot log MAC") {
		t.Errorf("a serial never seen: %+v; want a word on how to find it", logs)
	}
	for _, ref := range []string{"../../etc", "a b", strings.Repeat("x", 200), "x\x1b[2J"} {
		_, err := b.s.BootLogs(ctx, ref)
		wantCode(t, ref, err, job.CodeNotFound)
	}
}

// TestAnAgentThatRefusesOurKeyIsNoticed: by the alert that ends its handshake. One that takes the key, and one that
// only opens a connection, are not.
func TestAnAgentThatRefusesOurKeyIsNoticed(t *testing.T) {
	b := newBench(t)
	l, err := deploy.LoadListener(filepath.Join(t.TempDir(), "agent.key"))
	must(t, err)
	refused := make(chan netip.Addr, 10)
	l.Refused = func(from netip.Addr) { refused <- from }
	ln, err := l.Listen("127.0.0.1:0")
	must(t, err)
	server := l.Server(b.s.Handler())
	ended := make(chan struct{})
	go func() { server.Serve(ln); close(ended) }()
	defer func() { server.Close(); <-ended }()
	for _, c := range []struct {
		pin  job.KeyID
		told bool
	}{{l.Pin(), false}, {b.pin, true}} {
		agent, err := client.New("https://"+ln.Addr().String(), c.pin)
		must(t, err)
		_, err = agent.Hello(context.Background(), job.Hello{})
		agent.Close()
		if c.told {
			wantCode(t, "another key", err, job.CodePin)
			if from := <-refused; !from.IsLoopback() {
				t.Errorf("told of %s", from)
			}
		}
		if len(refused) > 0 {
			t.Errorf("an agent with the pin %s: told", c.pin)
		}
	}
}
