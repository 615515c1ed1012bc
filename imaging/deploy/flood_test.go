package deploy_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"ingot/imaging"
	"ingot/imaging/job"
)

// TestRefusedHellosDoNotFillTheRecord: the audit chain is never cut, so whoever has a network cable must not be able
// to make it grow as he likes.
func TestRefusedHellosDoNotFillTheRecord(t *testing.T) {
	b := newBench(t)
	h := b.laptop("ABC1234")
	h.fresh()
	for i := range 300 {
		h.hello.Token = fmt.Sprint("made-up-", i)
		if _, err := b.s.Hello(context.Background(), job.KeyID("sha256:"+imaging.Sum([]byte(fmt.Sprint(i))).String()), h.hello); err == nil {
			t.Fatal("a made-up token passed")
		}
	}
	if n := len(b.refusals()); n < 1 || n > 60 {
		t.Errorf("300 refused hellos left %d events; want some, at most 60", n)
	}
}

func (b *bench) refusals() (out []string) {
	b.t.Helper()
	all, err := b.s.Audit(context.Background(), "", 10000)
	must(b.t, err)
	for _, e := range all {
		if e.Act == "refused" {
			out = append(out, e.Text)
		}
	}
	return out
}

// TestALaptopThatAsksAgainAndAgainIsRefusedOnceInTheRecord: an agent that was told why it gets no work stops asking,
// and one that goes on writes nothing more.
func TestALaptopThatAsksAgainAndAgainIsRefusedOnceInTheRecord(t *testing.T) {
	b := newBench(t)
	l := b.adopted("ABC1234", "PC-1")
	b.order("PC-1")
	l.reach(l.work(), job.Writing)
	twin := b.laptop("ABC1234")
	twin.hello.Drives[0].Serial = "OTHER"
	b.clk.pass(31 * time.Second) // the first one is silent: it may be that laptop with another drive
	twin.boot()
	twin.sayHello()
	for range 20 {
		if n := twin.next(); n.Order != job.Leave || n.Fault == nil {
			t.Fatalf("Next = %+v; want leave with the reason", n)
		}
	}
	if got := b.refusals(); len(got) != 1 {
		t.Errorf("20 questions left %d events; want 1", len(got))
	}
}

// TestASmallBodyCostsLittleMemory: a list of empty things is short on the wire and long in memory.
func TestASmallBodyCostsLittleMemory(t *testing.T) {
	b := newBench(t)
	l := b.laptop("ABC1234")
	l.fresh()
	for name, body := range map[string]string{
		"a list of drives": `{"drives":[` + strings.Repeat("{},", 300_000) + `{}]}`,
		"a list of texts":  `{"warnings":[` + strings.Repeat(`"",`, 30_000) + `""]}`,
		"a long text":      `{"token":"` + strings.Repeat("x", 1<<20) + `"}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		status, f := send(t, l.c.HTTP(), "POST", b.base+"/v1/hello", body)
		runtime.ReadMemStats(&after)
		if status != 400 || f.Code != job.CodeBadRequest && f.Code != job.CodeProtocol {
			t.Errorf("%s: %d, %+v; want a refusal", name, status, f)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
			t.Errorf("%s of %d bytes took %d bytes of memory", name, len(body), grown)
		}
	}
}

// TestOneAddressLeavesRoomForTheOthers: a machine that opens as many connections as it can gets half of them.
func TestOneAddressLeavesRoomForTheOthers(t *testing.T) {
	b := newBench(t)
	at := strings.TrimPrefix(b.base, "https://")
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	greedy := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for range 2100 {
		c, err := greedy.Dial("tcp", at)
		if err != nil {
			t.Skipf("this host does not open so many connections: %v", err)
		}
		open = append(open, c)
	}
	other := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}}).DialContext}}
	defer other.CloseIdleConnections()
	if status, _ := send(t, other, "GET", b.base+"/v1/boot", ""); status != 500 { // there is no boot bundle here
		t.Errorf("another address got %d; want an answer", status)
	}
}
