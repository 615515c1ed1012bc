package pxe

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"ingot/imaging/job"
)

// Cause says where a start stands and why. Code names a row of the table of codes; without one there is nothing
// to mend.
type Cause struct {
	Leg    Leg      // the last leg that was reached; empty when nothing was heard
	Done   bool     // the agent said Hello, or the machine was sent to its own disk as it should be
	Going  bool     // too early to tell: the last leg is less than patience old
	Code   job.Code // the cause; empty when the start is under way or went well
	Fact   string   // what was found: a server, a file, a reason; without a code the whole sentence
	Checks []string // what to look at, in this order, with what the server itself can say to it
}

// String is the cause as a person reads it.
func (c Cause) String() string {
	if c.Code == "" {
		return c.Fact
	}
	return job.Faultf(c.Code, "%s", c.Fact).Error()
}

// Findings are everything that the doctor looks at.
type Findings struct {
	Events    []Event        // of one machine, oldest first
	Since     time.Time      // nothing before it counts: when the machine was ordered; zero means that all counts
	Now       time.Time      // the present
	Listening bool           // a daemon runs and hears the network
	Around    []Surroundings // of each interface that the daemon serves
	Sight     Sighting       // what else was heard of the machine
	Clock     string         // what is wrong with the server's clock, as a sentence; empty when nothing is
}

// patience is how long a start may be silent before it counts as stopped: firmware waits up to a minute for a
// leg, and a kernel with many network cards takes half of one.
const patience = 60 * time.Second

// newStart is the silence after which a request belongs to another start.
const newStart = 3 * time.Minute

// start is what the events of one start say, reduced to what the causes below ask.
type start struct {
	last, verdict               Event // verdict: the last leg that said what becomes of the machine
	seen                        map[Leg]int
	at                          map[Leg]Event // the last event of each leg
	waited                      int           // what its first request said
	agentAsked, agentHasAddress bool
}

// Diagnose says where a machine's last start stopped and what to check. It is pure.
func Diagnose(f Findings) Cause {
	s, ok := lastStart(f.Events)
	if !ok || s.last.Time.Before(f.Since) {
		return silent(f)
	}
	c := s.cause()
	c.Leg = s.last.Leg
	if !c.Done && f.Now.Sub(s.last.Time) < patience && s.last.Err == "" && !final[s.verdict.Leg] {
		return Cause{Leg: s.last.Leg, Going: true, Fact: "The start is under way."}
	}
	return c.withClock(f.Clock)
}

// fetching are the legs that only a machine which boots goes through.
var fetching = map[Leg]bool{LegNBP: true, LegLoader: true, LegConfig: true, LegScript: true, LegKernel: true, LegInitramfs: true}

// final are the legs that end a start, though the machine may still take its address.
var final = map[Leg]bool{LegRefuse: true, LegIgnore: true, LegUnsupported: true, LegFull: true, LegLoop: true, LegRelay: true, LegHello: true,
	LegPin: true, LegDenied: true, LegClock: true}

// lastStart picks out the events of the last start. A start begins with the firmware's own request; iPXE's and
// the agent's are part of the start that brought them, unless there was a long silence or a restart before.
func lastStart(events []Event) (start, bool) {
	if len(events) == 0 {
		return start{}, false
	}
	s := start{seen: map[Leg]int{}, at: map[Leg]Event{}}
	for _, e := range events[lastBegin(events):] {
		s.add(e)
	}
	return s, true
}

// LastStart gives the events of the last start among those of one machine.
func LastStart(events []Event) []Event {
	return events[lastBegin(events):]
}

func lastBegin(events []Event) (from int) {
	for i, e := range events {
		if i > 0 && begins(events[i-1], e) {
			from = i
		}
	}
	return from
}

// begins reports whether e starts anew after prev. A stick's agent asks for an address before it is heard of; what
// counts is from its question on.
func begins(prev, e Event) bool {
	if e.Leg == LegStick {
		return true
	}
	if e.Leg != LegDiscover || e.Loader == LoaderNone {
		return false
	}
	if e.Time.Sub(prev.Time) > newStart || final[prev.Leg] {
		return true
	}
	switch prev.Leg {
	case LegDiscover, LegOffer, LegRequest, LegForeign, LegNak, LegRival:
		return false // asked again
	case LegNBP, LegAck, LegProxyRequest:
		return e.Loader != LoaderIPXE
	}
	return true
}

func (s *start) add(e Event) {
	if e.Leg == LegDiscover && s.seen[LegDiscover] == 0 {
		s.waited = e.Waited
	}
	if e.Leg != LegRival || s.last.Leg == "" { // what others say is not how far it came
		s.last = e
	}
	s.seen[e.Leg]++
	s.at[e.Leg] = e
	if final[e.Leg] || e.Leg == LegOffer || fetching[e.Leg] {
		s.verdict = e
	}
	if e.Loader == LoaderNone && (s.seen[LegInitramfs] > 0 || s.seen[LegNBP] > 0) {
		s.agentAsked = s.agentAsked || e.Leg == LegDiscover
		s.agentHasAddress = s.agentHasAddress || e.Leg == LegAck || e.Leg == LegRequest
	}
}

func because(c job.Code, format string, args ...any) Cause {
	return Cause{Code: c, Fact: sentence(fmt.Sprintf(format, args...))}
}

// sentence makes a text begin and end as a sentence does.
func sentence(s string) string {
	if s = capital(strings.TrimSpace(s)); s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, ")") {
		return s
	}
	return s + "."
}

// cause goes from the last leg of a start back to its first.
func (s *start) cause() Cause {
	switch {
	case s.seen[LegHello] > 0 && s.verdict.Leg == LegHello:
		return Cause{Done: true, Fact: "The agent started and said Hello."}
	case s.verdict.Leg == LegRefuse:
		c := because(job.BootOwnDisk, "%s", s.verdict.Text)
		c.Done = true
		return c
	case s.verdict.Leg == LegIgnore:
		return because(job.BootIgnored, "%s", s.verdict.Text)
	case s.verdict.Leg == LegUnsupported:
		return because(job.BootArch, "%s", s.verdict.Text)
	case s.verdict.Leg == LegFull:
		return because(job.BootPoolEmpty, "%s", s.verdict.Text)
	case s.verdict.Leg == LegRelay:
		return because(job.BootRelay, "It was %s", s.verdict.Text)
	case s.verdict.Leg == LegLoop:
		return Cause{Code: job.BootLoop}
	case s.verdict.Leg == LegPin:
		return because(job.BootPin, "%s", s.verdict.Text)
	case s.verdict.Leg == LegDenied:
		return because(job.BootDenied, "%s", s.verdict.Text)
	case s.verdict.Leg == LegClock:
		return because(job.BootClock, "%s", s.verdict.Text)
	case s.seen[LegStick] > 0:
		return Cause{Code: job.BootStick}
	case s.last.Err != "":
		return s.broken()
	case s.seen[LegInitramfs] > 0:
		return s.noHello()
	}
	return s.loading()
}

// byClock are the causes that a wrong clock of the server brings about: tokens that seem too old. Windows last as long
// as was meant, whatever the clock does.
var byClock = map[job.Code]bool{job.BootDenied: true}

// withClock puts a wrong clock into its place: the cause where it can be one, else one more thing to look at.
func (c Cause) withClock(clock string) Cause {
	switch {
	case clock == "" || c.Code == "":
		return c
	case byClock[c.Code]:
		c.Checks = append(c.Checks, c.String())
		c.Code, c.Fact, c.Done = job.BootClock, clock, false
	default:
		c.Checks = append(c.Checks, clock)
	}
	return c
}

func capital(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// broken explains a transfer that did not end well.
func (s *start) broken() Cause {
	e := s.last
	switch {
	case e.Total == 0:
		return because(job.BootServerFile, "It is %s", e.File)
	case strings.Contains(e.Err, "code="):
		return because(job.BootGaveUp, "It was %s, after %d of %d bytes", e.File, e.Bytes, e.Total)
	}
	return because(job.BootBrokeOff, "It was %s, after %d of %d bytes", e.File, e.Bytes, e.Total)
}

// noHello explains why a fetched kernel and initramfs led to no agent.
func (s *start) noHello() Cause {
	switch {
	case s.agentHasAddress:
		return Cause{Code: job.BootNotReached}
	case s.agentAsked:
		return Cause{Code: job.BootNoLease}
	}
	return Cause{Code: job.BootNoSign}
}

// loading explains a start that stopped before kernel and initramfs were there.
func (s *start) loading() Cause {
	switch {
	case s.seen[LegKernel] > 0:
		return Cause{Code: job.BootNoInitrd}
	case s.seen[LegScript] > 0:
		return Cause{Code: job.BootNoKernel}
	case s.seen[LegConfig] > 0:
		return Cause{Code: job.BootGRUBScript}
	case s.seen[LegLoader] > 0 && s.seen[LegRequest] > 0 && s.seen[LegAck] == 0:
		return because(job.BootNextServer, "It %s", s.at[LegRequest].Text)
	case s.seen[LegLoader] > 0:
		return Cause{Code: job.BootGRUB}
	case s.seen[LegNBP] > 0:
		return s.notStarted()
	}
	return s.noFile()
}

// notStarted explains a first loader that was fetched and gave no sign of life.
func (s *start) notStarted() Cause {
	e := s.at[LegNBP]
	switch {
	case strings.HasSuffix(e.File, nameShim):
		return Cause{Code: job.BootShim}
	case strings.HasSuffix(e.File, imageAlias) && (s.agentHasAddress || s.agentAsked):
		return s.noHello()
	case strings.HasSuffix(e.File, imageAlias):
		return Cause{Code: job.BootImage}
	}
	return Cause{Code: job.BootIPXE}
}

// noFile explains a start that never fetched anything.
func (s *start) noFile() Cause {
	has := s.seen[LegRequest]+s.seen[LegAck]+s.seen[LegProxyRequest] > 0
	switch {
	case s.seen[LegForeign] > 0:
		return because(job.BootOtherDHCP, "It %s", s.at[LegForeign].Text)
	case s.seen[LegDecline] > 0:
		return because(job.BootDeclined, "%s", s.at[LegDecline].Text)
	case s.last.Leg == LegNak:
		return because(job.BootNak, "It %s", s.last.Text)
	case s.seen[LegRival] > 0:
		return s.rival()
	case has:
		return because(job.BootNotFetched, "%s", s.told())
	case s.seen[LegOffer] > 0 && s.waited >= late:
		return because(job.BootSpanningTree, "It had been asking for %d seconds when it was first heard, and took no address any more", s.waited)
	case s.seen[LegOffer] > 0:
		return Cause{Code: job.BootNoRequest}
	}
	return Cause{Code: job.BootUnanswered}
}

// rival names the other boot server: the one that gave the address, or one beside it.
func (s *start) rival() Cause {
	e, from := s.at[LegRival], s.at[LegRequest].Server
	text := fmt.Sprintf("%s offers it %s", ipText(e.Server), e.File)
	if e.File == "" {
		text = ipText(e.Server) + " answers it as a boot server"
	}
	if from == e.Server && from != (netip.Addr{}) {
		return because(job.BootOptions, "%s", text)
	}
	return because(job.BootSecondServer, "%s", text)
}

// told says by which way it was sent to its file.
func (s *start) told() string {
	if s.at[LegOffer].Loader == LoaderHTTP || s.last.Loader == LoaderHTTP {
		return "It was told a URL, for HTTP Boot"
	}
	return ""
}
