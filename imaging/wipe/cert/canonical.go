package cert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxWhole is the largest whole number that every reader of JSON keeps exactly.
const maxWhole = 1 << 53

// maxDepth bounds how deep values may lie in each other.
const maxDepth = 32

var errCanonical = errors.New("it is not in the one form that can be signed")

// Canonical writes a value in the form of RFC 8785: no blanks, members in the order of their names, the shortest text
// of every string. Numbers are whole and at most 2^53: what is signed here has no others, so none can be read in two
// ways.
func Canonical(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write a record: %w", err)
	}
	return canonical(b)
}

// canonical brings any JSON into the form.
func canonical(b []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: it is no JSON", errCanonical)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows it", errCanonical)
	}
	return appendValue(nil, v, 0)
}

func appendValue(out []byte, v any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: it is too deep", errCanonical)
	}
	switch v := v.(type) {
	case nil:
		return append(out, "null"...), nil
	case bool:
		return strconv.AppendBool(out, v), nil
	case string:
		return appendString(out, v)
	case json.Number:
		return appendNumber(out, v)
	case []any:
		return appendList(out, v, depth)
	case map[string]any:
		return appendObject(out, v, depth)
	}
	return nil, fmt.Errorf("%w: a %T", errCanonical, v)
}

func appendNumber(out []byte, n json.Number) ([]byte, error) {
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil || i > maxWhole || i < -maxWhole || n.String() == "-0" {
		return nil, fmt.Errorf("%w: the number %.40s is not whole, or too large", errCanonical, n)
	}
	return strconv.AppendInt(out, i, 10), nil
}

func appendList(out []byte, list []any, depth int) (_ []byte, err error) {
	out = append(out, '[')
	for i, v := range list {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = appendValue(out, v, depth+1); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

// appendObject writes members in the order of their names' UTF-16 units, as RFC 8785 wants it.
func appendObject(out []byte, m map[string]any, depth int) (_ []byte, err error) {
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	slices.SortFunc(names, func(a, b string) int { return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b))) })
	out = append(out, '{')
	for i, k := range names {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = appendString(out, k); err != nil {
			return nil, err
		}
		if out, err = appendValue(append(out, ':'), m[k], depth+1); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

const shortEscapes = "\b\t\n\f\r\"\\"

func appendString(out []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) || len(s) > math.MaxInt32 {
		return nil, fmt.Errorf("%w: a text is not UTF-8", errCanonical)
	}
	out = append(out, '"')
	for _, r := range s {
		switch i := strings.IndexRune(shortEscapes, r); {
		case i >= 0:
			out = append(out, '\\', "btnfr\"\\"[i])
		case r < ' ':
			out = append(out, fmt.Sprintf("\\u%04x", r)...)
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return append(out, '"'), nil
}
