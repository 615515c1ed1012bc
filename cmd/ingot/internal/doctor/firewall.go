package doctor

import "slices"

// Packet is the first packet of somebody who wants something: what a firewall must let in.
type Packet struct {
	Interface string
	Proto     string // udp or tcp
	Port      int    // where it goes
}

// Verdict is what a firewall does with a packet, as far as its rules can be understood.
type Verdict int

// The verdicts.
const (
	Accepted Verdict = iota
	Unclear          // it is dropped, unless a rule lets it pass that was not understood; or the other way round
	Dropped
)

// Ruleset is what one firewall program told, reduced to what concerns a packet that comes in.
type Ruleset struct {
	Name   string            // of the program
	Chains map[string]*Chain // by a name that is unique in the ruleset
}

// Chain is a list of rules. A base chain is asked for every packet that comes in.
type Chain struct {
	Name  string // for people
	Base  bool
	Drops bool // the policy of a base chain
	Rules []Rule
}

// Rule is conditions that must all hold, and what happens then.
type Rule struct {
	Interfaces   []string // any of them; nil: all
	NotInterface bool     // none of them
	Protos       []string // nil: all
	Ports        []Range  // nil: all
	NotPort      bool     // none of them
	Never        bool     // a condition that a first packet cannot meet, such as an open connection
	Guess        bool     // a condition that was not understood
	Act          Act
	Target       string // of a jump
}

// Act is what a rule does.
type Act int

// The acts.
const (
	Nothing Act = iota // counts, logs
	Accept
	Drop // and reject
	Return
	Jump
	Goto
)

// Range is ports from one to another, both included.
type Range struct{ From, To int }

// depth bounds how far chains jump, steps how many rules are read on the way.
const (
	depth = 16
	steps = 100_000
)

// Passes says what the rulesets do with a packet, and which one is to blame. Every base chain of every ruleset must
// let it pass.
func Passes(sets []Ruleset, p Packet) (Verdict, string) {
	worst, where := Accepted, ""
	for _, s := range sets {
		for _, c := range s.Chains {
			if !c.Base {
				continue
			}
			w := walk{set: s, packet: p}
			v := w.base(c)
			if v > worst || v == worst && v != Accepted && s.Name+" "+c.Name < where {
				worst, where = v, s.Name+" "+c.Name
			}
		}
	}
	return worst, where
}

// walk is the way of one packet through a base chain.
type walk struct {
	set                 Ruleset
	packet              Packet
	steps               int
	mayAccept, mayBlock bool // a rule that was not understood could have ended the way so
}

// end is how a chain was left.
type end int

const (
	through end = iota
	accepted
	dropped
)

func (w *walk) base(c *Chain) Verdict {
	got := w.chain(c, depth)
	blocked := got == dropped || got == through && c.Drops
	switch {
	case blocked && w.mayAccept, !blocked && w.mayBlock:
		return Unclear
	case blocked:
		return Dropped
	}
	return Accepted
}

func (w *walk) chain(c *Chain, left int) end {
	if c == nil || left == 0 {
		w.mayAccept, w.mayBlock = true, true
		return through
	}
	for _, r := range c.Rules {
		if w.steps++; w.steps > steps {
			w.mayAccept, w.mayBlock = true, true
			return through
		}
		if !r.meets(w.packet) {
			continue
		}
		switch r.Act {
		case Accept:
			if !r.Guess {
				return accepted
			}
			w.mayAccept = true
		case Drop:
			if !r.Guess {
				return dropped
			}
			w.mayBlock = true
		case Return:
			if !r.Guess {
				return through
			}
		case Jump, Goto:
			if e := w.follow(r, left); e != through || r.Act == Goto && !r.Guess {
				return e
			}
		}
	}
	return through
}

// follow goes into another chain; behind a condition that was not understood it only learns what might have been.
func (w *walk) follow(r Rule, left int) end {
	e := w.chain(w.set.Chains[r.Target], left-1)
	if !r.Guess {
		return e
	}
	w.mayAccept = w.mayAccept || e == accepted
	w.mayBlock = w.mayBlock || e == dropped
	return through
}

// meets reports whether the conditions that were understood hold.
func (r Rule) meets(p Packet) bool {
	in := slices.ContainsFunc(r.Interfaces, func(pattern string) bool { return globbed(pattern, p.Interface) })
	port := slices.ContainsFunc(r.Ports, func(x Range) bool { return x.From <= p.Port && p.Port <= x.To })
	return !r.Never &&
		(r.Interfaces == nil || in != r.NotInterface) &&
		(r.Protos == nil || slices.Contains(r.Protos, p.Proto)) &&
		(r.Ports == nil || port != r.NotPort)
}

// globbed compares a name with a pattern that may end in * (nft) or + (iptables).
func globbed(pattern, name string) bool {
	if n := len(pattern); n > 0 && (pattern[n-1] == '*' || pattern[n-1] == '+') {
		return len(name) >= n-1 && name[:n-1] == pattern[:n-1]
	}
	return pattern == name
}
