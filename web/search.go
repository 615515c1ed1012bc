package web

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"ingot/imaging/job"
	"ingot/store"
)

// A search is what a person types into the one box over the list of devices: words, each of which must be found, and
// field:value pairs. A minus before a word or a pair turns it round, quotes keep spaces together:
//
//	state:failed image:sales -owner:"Anna Berg" latitude
type search struct {
	terms []term
}

// term is one condition.
type term struct {
	not   bool
	field string // "" is anywhere
	value string // in lower case
}

// Bounds of a search.
const (
	maxSearch = 400 // bytes
	maxTerms  = 20
)

// searchFields are what may stand before a colon, with what of a device each looks at.
var searchFields = map[string]func(store.DeviceView) []string{
	"serial": func(d store.DeviceView) []string { return []string{d.Serial, d.Told} },
	"name":   func(d store.DeviceView) []string { return []string{d.Name, d.NextName} },
	"asset":  func(d store.DeviceView) []string { return []string{d.Asset} },
	"owner":  func(d store.DeviceView) []string { return []string{d.Owner} },
	"role":   func(d store.DeviceView) []string { return []string{d.Role} },
	"model":  func(d store.DeviceView) []string { return []string{d.Manufacturer + " " + d.Model} },
	"note":   func(d store.DeviceView) []string { return []string{d.Note} },
	"mac":    func(d store.DeviceView) []string { return append(slices.Clone(d.MACs), d.BuiltIn...) },
	"uuid":   func(d store.DeviceView) []string { return []string{d.UUID} },
	"id":     func(d store.DeviceView) []string { return []string{d.ID} },
	"drive":  driveWords,
}

// SearchFields lists what may stand before a colon, for the help beside the box.
func SearchFields() []string {
	out := []string{"state", "image", "is"}
	for f := range searchFields {
		out = append(out, f)
	}
	slices.Sort(out)
	return out
}

func driveWords(d store.DeviceView) (out []string) {
	for _, x := range d.Drives {
		out = append(out, x.Serial, x.Model, x.WWN)
	}
	return out
}

// beings are the values of is:.
var beings = map[string]func(store.DeviceView) bool{
	"here":     func(d store.DeviceView) bool { return d.Live },
	"busy":     func(d store.DeviceView) bool { return d.Job != nil },
	"free":     func(d store.DeviceView) bool { return d.Job == nil },
	"waiting":  func(d store.DeviceView) bool { return d.Live && d.Job == nil },
	"promised": func(d store.DeviceView) bool { return d.Promised() },
	"owned":    func(d store.DeviceView) bool { return d.Owner != "" },
}

// parseSearch reads what a person typed. What cannot be understood is an error in words: a list that silently leaves a
// condition out would show devices that nobody asked for.
func parseSearch(s string) (search, error) {
	if len(s) > maxSearch || !utf8.ValidString(s) {
		return search{}, job.Faultf(job.CodeSearch, "It has more than %d characters, or is no text.", maxSearch)
	}
	words, err := splitSearch(s)
	if err != nil {
		return search{}, err
	}
	if len(words) > maxTerms {
		return search{}, job.Faultf(job.CodeSearch, "It has %d conditions; at most %d are taken.", len(words), maxTerms)
	}
	var q search
	for _, w := range words {
		t, err := w.term()
		if err != nil {
			return search{}, err
		}
		q.terms = append(q.terms, t)
	}
	return q, nil
}

// searchWord is one word as it was typed: plain is where no quote stood, so that "a:b" in quotes names no field.
type searchWord struct {
	text  string
	colon int // place of the first colon outside of quotes, or -1
	minus bool
}

// splitSearch cuts at spaces outside of quotes.
func splitSearch(s string) (out []searchWord, err error) {
	w, open, begun := searchWord{colon: -1}, false, false
	flush := func() {
		if begun && (w.text != "" || w.minus) {
			out = append(out, w)
		}
		w, begun = searchWord{colon: -1}, false
	}
	for _, r := range s {
		switch {
		case r == '"':
			open, begun = !open, true
		case !open && unicode.IsSpace(r):
			flush()
		case !open && r == '-' && !begun:
			w.minus, begun = true, true
		default:
			if !open && r == ':' && w.colon < 0 {
				w.colon = len(w.text)
			}
			w.text, begun = w.text+string(r), true
		}
	}
	flush()
	if open {
		return nil, job.Faultf(job.CodeSearch, "A quote is not closed.")
	}
	return out, nil
}

// term checks one word.
func (w searchWord) term() (term, error) {
	t := term{not: w.minus, value: strings.ToLower(w.text)}
	if w.text == "" {
		return t, job.Faultf(job.CodeSearch, "Something must follow a minus.")
	}
	if w.colon <= 0 || looksLikeMAC(w.text) {
		return t, nil
	}
	t.field, t.value = strings.ToLower(w.text[:w.colon]), strings.ToLower(w.text[w.colon+1:])
	_, known := searchFields[t.field]
	switch {
	case t.field == "state":
		if !slices.Contains(store.DeviceStates, store.DeviceState(t.value)) {
			return t, job.Faultf(job.CodeSearch, "There is no state %q; the states are %s.", t.value, strings.Join(stateNames(), ", "))
		}
	case t.field == "is":
		if beings[t.value] == nil {
			return t, job.Faultf(job.CodeSearch, "is: takes here, busy, free, waiting, promised or owned, not %q.", t.value)
		}
	case t.field == "image":
	case !known:
		return t, job.Faultf(job.CodeSearch, "There is no field %q; the fields are %s. Put it in quotes to look for the text itself.", t.field, strings.Join(SearchFields(), ", "))
	}
	return t, nil
}

// looksLikeMAC: an address has colons of its own.
func looksLikeMAC(s string) bool {
	return len(s) >= 5 && strings.Count(s, ":") >= 1 && strings.Trim(strings.ToLower(s), "0123456789abcdef:") == "" && len(s[:strings.IndexByte(s, ':')]) == 2
}

func stateNames() (out []string) {
	for _, s := range store.DeviceStates {
		out = append(out, string(s))
	}
	return out
}

// String is the search as it may be typed again.
func (q search) String() string {
	var out []string
	for _, t := range q.terms {
		v := t.value
		if v == "" || strings.ContainsFunc(v, unicode.IsSpace) || t.field == "" && (strings.HasPrefix(v, "-") || strings.Contains(v, ":") && !looksLikeMAC(v)) {
			v = `"` + v + `"`
		}
		if t.field != "" {
			v = t.field + ":" + v
		}
		if t.not {
			v = "-" + v
		}
		out = append(out, v)
	}
	return strings.Join(out, " ")
}

// match reports whether a device fulfils every condition.
func (q search) match(d store.DeviceView) bool {
	for _, t := range q.terms {
		if t.holds(d) == t.not {
			return false
		}
	}
	return true
}

func (t term) holds(d store.DeviceView) bool {
	switch t.field {
	case "":
		for f, of := range searchFields {
			if f != "id" && f != "uuid" && containsFold(of(d), t.value) {
				return true
			}
		}
		return string(d.State) == t.value || d.Code != "" && sameCode(d.Code, t.value)
	case "state":
		return string(d.State) == t.value
	case "is":
		return beings[t.value](d)
	case "image":
		return holdsImage(d, t.value)
	}
	if t.value == "" { // owner: finds those without one
		return strings.TrimSpace(strings.Join(searchFields[t.field](d), "")) == ""
	}
	return containsFold(searchFields[t.field](d), t.value)
}

func containsFold(in []string, lower string) bool {
	return slices.ContainsFunc(in, func(s string) bool { return strings.Contains(strings.ToLower(s), lower) })
}

// holdsImage compares NAME, or NAME@NUMBER, with what is on the device.
func holdsImage(d store.DeviceView, lower string) bool {
	if lower == "" {
		return d.Holds == nil
	}
	if d.Holds == nil {
		return false
	}
	return strings.ToLower(d.Holds.Image.Name) == lower || strings.ToLower(d.Holds.Image.String()) == lower
}

// sameCode compares codes as people type them.
func sameCode(a, b string) bool {
	bare := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "-", "")) }
	return bare(a) == bare(b)
}
