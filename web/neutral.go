package web

import (
	"bytes"
	"reflect"
	"strings"
	"unicode/utf8"
)

// shown is a character as a page may show it. Control characters, and the marks that turn the reading direction, become
// a sign that something stood there: by such marks a laptop could show the serial of another one, or turn the sentence
// around in which it is named. Both are nothing that a person typed into a record on purpose.
func shown(r rune) rune {
	switch {
	case r == '\n', r == '\t':
		return r
	case r < ' ', r >= 0x7f && r <= 0x9f: // C0 and C1
	case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069: // Unicode, Bidi_Control
	default:
		return r
	}
	return utf8.RuneError
}

// neutral is a page as it leaves: whatever a laptop, a wire or a file put into it.
func neutral(page []byte) []byte { return bytes.Map(shown, page) }

// neutralText does the same for what the pages' script puts in place: every string of v, a pointer to a struct.
func neutralText(v any) { walkText(reflect.ValueOf(v)) }

func walkText(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			walkText(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			walkText(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			walkText(v.Index(i))
		}
	case reflect.String:
		if v.CanSet() {
			v.SetString(strings.Map(shown, v.String()))
		}
	}
}
