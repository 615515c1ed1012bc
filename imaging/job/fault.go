package job

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Code names one thing that a person can see going wrong. It is short enough to read over the phone.
type Code string

// Fault is a Code with the fact that belongs to it. It is the only error that reaches a screen, a page or the
// CLI; the raw cause goes to the log.
type Fault struct {
	Code Code   `json:"code"`
	Fact string `json:"fact,omitempty"` // what was found: an offset, a serial, a size; plain text, at most 300 characters
}

// Words are what a person reads for a code.
type Words struct {
	Sentence string // what happened
	Next     string // what to do now
}

// Error implements error with the people's words.
func (f *Fault) Error() string {
	w := f.Code.Words()
	if f.Fact == "" {
		return fmt.Sprintf("%s %s (%s)", w.Sentence, w.Next, f.Code)
	}
	return fmt.Sprintf("%s %s %s (%s)", w.Sentence, f.Fact, w.Next, f.Code)
}

// Words looks a code up; an unknown one says so, and asks for the log.
func (c Code) Words() Words {
	for _, rows := range []map[Code]Words{words, wipeWords, bootWords} {
		if w, ok := rows[c]; ok {
			return w
		}
	}
	return Words{"Something went wrong that has no words yet.", "Note the code and look into the log of the daemon."}
}

// Faultf makes a Fault with a formatted fact. What a laptop or an image told may stand in it: line breaks become
// spaces and other control characters question marks, so that no fact steers a terminal or adds a line.
func Faultf(c Code, format string, args ...any) *Fault {
	return &Fault{Code: c, Fact: plain(fmt.Sprintf(format, args...))}
}

// FaultOf finds the Fault in an error's chain. An error without one is explained where the system's answer tells enough
// (a file, the network, a full disk, a stop); any other becomes CodeInternal. Never does a raw text stand in it.
func FaultOf(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return explained(err)
}

// Clean is a Fault that a stranger sent, made fit for a record: a fact of at most 300 characters without control
// characters, and a code of the form E123. Any other code becomes CodeInternal. Nil stays nil.
func (f *Fault) Clean() *Fault {
	if f == nil {
		return nil
	}
	c := f.Code
	if len(c) != 4 || c[0] != 'E' || strings.Trim(string(c[1:]), "0123456789") != "" {
		c = CodeInternal
	}
	return &Fault{Code: c, Fact: plain(f.Fact)}
}

// plain is one line of text without control characters and broken letters, cut to maxFact.
func plain(s string) string {
	return clip(strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return ' '
		case unicode.IsControl(r), r == utf8.RuneError:
			return '?'
		}
		return r
	}, clip(s, maxFact)), maxFact)
}

const maxFact = 300 // bytes

// clip cuts s to at most n bytes, at a whole character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Refusal is the body of every answer that is not a success.
type Refusal struct {
	Fault Fault `json:"fault"`
}

// Codes lists every code, failures and boot causes, with its words, for the docs and for tests.
func Codes() map[Code]Words {
	out := maps.Clone(words)
	maps.Copy(out, wipeWords)
	maps.Copy(out, bootWords)
	return out
}
