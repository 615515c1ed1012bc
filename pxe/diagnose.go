package pxe

import (
	"fmt"
	"strings"
	"time"
)

// Cause says where a start stands and why. Sentence and Check are for people.
type Cause struct {
	Leg      Leg    // the last leg that was reached; empty when nothing was heard
	Done     bool   // the agent said Hello, or the machine was sent to its own disk as it should be
	Going    bool   // too early to tell: the last leg is less than patience old
	Sentence string // what happened
	Check    string // what to look at; empty when there is nothing to do
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
	agentAsked, agentHasAddress bool
}

// Diagnose reads the events of one machine, oldest first, and says where its last start stopped and what to
// check. It is pure: now is the present.
func Diagnose(events []Event, now time.Time) Cause {
	s, ok := lastStart(events)
	if !ok {
		return Cause{Sentence: "Nothing was heard from this machine.",
			Check: "Is the cable in, is network boot switched on in its firmware setup, and is it on a network that the daemon serves?"}
	}
	c := s.cause()
	c.Leg = s.last.Leg
	if !c.Done && now.Sub(s.last.Time) < patience && s.last.Err == "" && !final[s.verdict.Leg] {
		return Cause{Leg: s.last.Leg, Going: true, Sentence: "The start is under way."}
	}
	return c
}

// fetching are the legs that only a machine which boots goes through.
var fetching = map[Leg]bool{LegNBP: true, LegLoader: true, LegConfig: true, LegScript: true, LegKernel: true, LegInitramfs: true}

// final are the legs that end a start, though the machine may still take its address.
var final = map[Leg]bool{LegRefuse: true, LegIgnore: true, LegUnsupported: true, LegFull: true, LegLoop: true, LegHello: true}

// lastStart picks out the events of the last start. A start begins with the firmware's own request; iPXE's and
// the agent's are part of the start that brought them, unless there was a long silence or a restart before.
func lastStart(events []Event) (start, bool) {
	if len(events) == 0 {
		return start{}, false
	}
	from := 0
	for i, e := range events {
		if i > 0 && begins(events[i-1], e) {
			from = i
		}
	}
	s := start{seen: map[Leg]int{}, at: map[Leg]Event{}}
	for _, e := range events[from:] {
		s.add(e)
	}
	return s, true
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
	case LegDiscover, LegOffer, LegRequest, LegForeign, LegNak:
		return false // asked again
	case LegNBP, LegAck, LegProxyRequest:
		return e.Loader != LoaderIPXE
	}
	return true
}

func (s *start) add(e Event) {
	s.last = e
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

// cause goes from the last leg of a start back to its first.
func (s *start) cause() Cause {
	switch {
	case s.seen[LegHello] > 0:
		return Cause{Done: true, Sentence: "The agent started and said Hello."}
	case s.verdict.Leg == LegRefuse:
		return Cause{Done: true, Sentence: "It was sent to its own disk" + because(s.verdict.Text) + "."}
	case s.verdict.Leg == LegIgnore:
		return Cause{Sentence: "It was not answered" + because(s.verdict.Text) + ".", Check: "Open the bench or register the machine."}
	case s.verdict.Leg == LegUnsupported:
		return Cause{Sentence: "This kind of machine cannot be started yet: " + s.verdict.Text + ".", Check: "Use an x64 laptop, or switch its firmware to x64 UEFI or BIOS."}
	case s.verdict.Leg == LegFull:
		return Cause{Sentence: "There was no address left for it.", Check: "Make the pool larger or the lease time shorter."}
	case s.verdict.Leg == LegLoop:
		return Cause{Sentence: "It fetched its first loader again and again and got no further, so it was sent to its own disk.", Check: "Look at its screen; the loader fails there. It may try again in a few minutes."}
	case s.seen[LegStick] > 0:
		return Cause{Sentence: "A stick started it and it was let in, but its agent did not say Hello.", Check: "Its screen, which says what it waits for."}
	case s.last.Err != "":
		return s.broken()
	case s.seen[LegInitramfs] > 0:
		return s.noHello()
	}
	return s.loading()
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + strings.TrimSuffix(why, ".")
}

// broken explains a transfer that did not end well.
func (s *start) broken() Cause {
	e := s.last
	if e.Total == 0 {
		return Cause{Sentence: fmt.Sprintf("The server could not give it %s.", e.File), Check: "Run \"ingot firmware verify\" on the server and look into its log."}
	}
	c := Cause{Sentence: fmt.Sprintf("The transfer of %s broke off after %d of %d bytes.", e.File, e.Bytes, e.Total),
		Check: "Cable and switch port; a firewall between that lets the first packet through but not the rest."}
	if strings.Contains(e.Err, "code=") {
		c.Sentence = fmt.Sprintf("The machine itself broke off the transfer of %s after %d of %d bytes.", e.File, e.Bytes, e.Total)
		c.Check = "Its screen, and its memory: firmware stops when a file does not fit."
	}
	return c
}

// noHello explains why a fetched kernel and initramfs led to no agent.
func (s *start) noHello() Cause {
	switch {
	case s.agentHasAddress:
		return Cause{Sentence: "The start system runs and has an address, but it did not reach the daemon.",
			Check: "A firewall before the agent port, a second server on this network, or a boot bundle of another daemon (run \"ingot firmware build\")."}
	case s.agentAsked:
		return Cause{Sentence: "The start system runs and asks for an address, but took none.", Check: "The DHCP server and its pool; a switch port that blocks after a restart of the link."}
	}
	return Cause{Sentence: "Kernel and start system were fetched, then nothing was heard.",
		Check: "Its screen: the network card may have no driver or firmware in the boot bundle, the cable may sit in another socket, or the memory is too small."}
}

// loading explains a start that stopped before kernel and initramfs were there.
func (s *start) loading() Cause {
	switch {
	case s.seen[LegKernel] > 0:
		return Cause{Sentence: "The kernel was fetched, the start system (initrd.img) was not.", Check: "Its screen: the signature of the kernel may be refused, or the memory is too small."}
	case s.seen[LegScript] > 0:
		return Cause{Sentence: "It received its script and did not fetch the kernel.", Check: "Its screen; a firewall before the boot ports of the server."}
	case s.seen[LegConfig] > 0:
		return Cause{Sentence: "GRUB runs but did not ask for this machine's script.", Check: "Its screen: GRUB names the network card that it could not use."}
	case s.seen[LegLoader] > 0 && s.seen[LegRequest] > 0 && s.seen[LegAck] == 0:
		return Cause{Sentence: "GRUB was fetched and asked us for nothing more: it " + s.at[LegRequest].Text + ", and GRUB fetches its files from the server which that one names.",
			Check: "Set the next server (option 66) on the DHCP server to this server's address, or lend addresses from a pool of our own (subnets in the configuration)."}
	case s.seen[LegLoader] > 0:
		return Cause{Sentence: "shim fetched GRUB and did not start it.", Check: "The firmware's list of revoked loaders is newer than the boot bundle: update it with \"ingot firmware build\"."}
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
		return Cause{Sentence: "The firmware fetched the boot loader and did not start it.",
			Check: "Secure Boot: switch on \"Allow Microsoft 3rd Party UEFI CA\" in the firmware setup."}
	case strings.HasSuffix(e.File, imageAlias) && s.agentHasAddress, strings.HasSuffix(e.File, imageAlias) && s.agentAsked:
		return s.noHello()
	case strings.HasSuffix(e.File, imageAlias):
		return Cause{Sentence: "The firmware fetched the boot image and no agent came of it.",
			Check: "This firmware may not start RAM-disk images: use its PXE entry instead. With Secure Boot, switch on \"Allow Microsoft 3rd Party UEFI CA\"."}
	}
	return Cause{Sentence: "The BIOS fetched iPXE, and iPXE did not ask for its script.", Check: "Its screen: iPXE names the network card that it could not use. No DHCP server may have answered it."}
}

// noFile explains a start that never fetched anything.
func (s *start) noFile() Cause {
	switch {
	case s.seen[LegForeign] > 0:
		return Cause{Sentence: "Another server answered this machine: it " + s.at[LegForeign].Text + ".", Check: "Stop the other DHCP server, or run the daemon in proxy mode beside it."}
	case s.seen[LegDecline] > 0:
		return Cause{Sentence: "It gave its address back: " + s.at[LegDecline].Text + ".", Check: "Find the device that uses the address, or move the pool."}
	case s.last.Leg == LegNak:
		return Cause{Sentence: "It " + s.last.Text + ".", Check: "Start it again; if it stays, look for a second DHCP server."}
	case s.seen[LegRequest]+s.seen[LegAck]+s.seen[LegProxyRequest] > 0 && s.httpBoot():
		return Cause{Sentence: "It has an address and was told the boot URL, but never asked for it.", Check: "A firewall before the HTTP port of the server; another boot server whose answer it preferred."}
	case s.seen[LegRequest]+s.seen[LegAck]+s.seen[LegProxyRequest] > 0:
		return Cause{Sentence: "It has an address and was told the boot file, but never fetched it.",
			Check: "A firewall before UDP port 69 (TFTP) or, for iPXE, the HTTP port; another boot server on this network; boot options (66, 67) on the DHCP server that win over ours."}
	case s.seen[LegOffer] > 0:
		return Cause{Sentence: "It was offered a boot file but took no address.",
			Check: "In proxy mode: does the DHCP server of this network answer? As DHCP server: does another one answer first, or does the switch hold back packets (spanning tree)?"}
	}
	return Cause{Sentence: "It asked for a network boot and was not answered.", Check: "The daemon's log."}
}

func (s *start) httpBoot() bool {
	return s.at[LegOffer].Loader == LoaderHTTP || s.last.Loader == LoaderHTTP
}
