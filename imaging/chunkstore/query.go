package chunkstore

import (
	"fmt"
	"strconv"
	"strings"

	"ingot/imaging"
)

// Bounds of one request for chunks.
const (
	MaxQuery  = 8 << 10 // bytes of the URL's query
	MaxSpans  = 1024
	MaxStream = 1 << 20 // extents of all spans together
)

// Span is a run of extent numbers, First to Last inclusive.
type Span = imaging.Span

// ParseSpans reads "a-b,c-d" for a manifest of count extents: decimal, ascending, apart, within the bounds.
func ParseSpans(text string, count uint64) ([]Span, error) {
	if len(text) > MaxQuery {
		return nil, fmt.Errorf("extents of %d bytes, at most %d", len(text), MaxQuery)
	}
	parts := strings.SplitN(text, ",", MaxSpans+1)
	if len(parts) > MaxSpans {
		return nil, fmt.Errorf("more than %d spans", MaxSpans)
	}
	spans, next, total := make([]Span, 0, len(parts)), uint64(0), uint64(0)
	for i, part := range parts {
		sp, err := parseSpan(part)
		if err != nil {
			return nil, err
		}
		if sp.Last >= count || (i > 0 && sp.First < next) {
			return nil, fmt.Errorf("span %d-%d is not ascending within %d extents", sp.First, sp.Last, count)
		}
		total += sp.Last - sp.First + 1
		next = sp.Last + 1
		spans = append(spans, sp)
	}
	if total > MaxStream {
		return nil, fmt.Errorf("%d extents, at most %d", total, MaxStream)
	}
	return spans, nil
}

func parseSpan(s string) (Span, error) {
	a, b, ok := strings.Cut(s, "-")
	first, err1 := parseNumber(a)
	last, err2 := parseNumber(b)
	if !ok || err1 != nil || err2 != nil || first > last {
		return Span{}, fmt.Errorf("span %.40q is not of the form first-last", s)
	}
	return Span{First: first, Last: last}, nil
}

// parseNumber takes digits only, and no more than a bounded manifest can need.
func parseNumber(s string) (uint64, error) {
	if len(s) > 10 || strings.HasPrefix(s, "+") {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(s, 10, 32)
}

// nextQuery writes as many of the spans as one request takes and returns the rest; a span may be divided.
func nextQuery(spans []Span) (query string, asked, rest []Span) {
	var b []byte
	room := uint64(MaxStream)
	for len(spans) > 0 && room > 0 && len(asked) < MaxSpans {
		sp := spans[0]
		if sp.Last-sp.First >= room {
			sp.Last = sp.First + room - 1
		}
		at := len(b)
		if at > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(append(strconv.AppendUint(b, sp.First, 10), '-'), sp.Last, 10)
		if len(b) > MaxQuery-len("extents=") {
			b = b[:at]
			break
		}
		room -= sp.Last - sp.First + 1
		asked = append(asked, sp)
		if sp.Last == spans[0].Last {
			spans = spans[1:]
			continue
		}
		spans = append([]Span{{First: sp.Last + 1, Last: spans[0].Last}}, spans[1:]...)
	}
	return string(b), asked, spans
}
