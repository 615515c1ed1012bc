package web

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"ingot/store"
)

// schemas makes JSON schemas from Go types, as package encoding/json would write their values.
type schemas struct{ defs map[string]any }

var (
	timeType = reflect.TypeFor[time.Time]()
	rawType  = reflect.TypeFor[json.RawMessage]()
	textType = reflect.TypeFor[encoding.TextMarshaler]()
	values   = map[reflect.Type][]string{reflect.TypeFor[store.Right](): words(store.Rights)} // of types that have a few
)

func words[T ~string](all []T) (out []string) {
	for _, v := range all {
		out = append(out, string(v))
	}
	return out
}

// ref is the schema of a value's type. What is sent to us (in) may leave fields out, and holds no field unknown; what we
// send has all of its fields, but those that say nothing.
func (s *schemas) ref(v any, in bool) map[string]any {
	if v == nil {
		return map[string]any{}
	}
	return s.of(reflect.TypeOf(v), in)
}

func (s *schemas) of(t reflect.Type, in bool) map[string]any {
	switch {
	case t == timeType:
		return map[string]any{"type": "string", "format": "date-time"}
	case t == rawType:
		return map[string]any{"description": "Another form, which its own description tells."}
	case t.Implements(textType):
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem(), in)
	case reflect.Struct:
		return s.structOf(t, in)
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return map[string]any{"type": "string", "contentEncoding": "base64"}
		}
		return map[string]any{"type": "array", "items": s.of(t.Elem(), in)}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem(), in)}
	case reflect.String:
		out := map[string]any{"type": "string"}
		if v := values[t]; v != nil && !in {
			out["enum"] = v
		}
		return out
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Interface:
		return map[string]any{}
	}
	return map[string]any{"type": "integer"}
}

// structOf is a reference to a named schema. A type that is not ours is an object whose own standard says more.
func (s *schemas) structOf(t reflect.Type, in bool) map[string]any {
	if t.Name() == "" {
		return s.fields(t, in)
	}
	if !strings.HasPrefix(t.PkgPath(), "ingot/") {
		return map[string]any{"type": "object", "description": "As " + t.String() + " defines it."}
	}
	name := s.name(t, in)
	if _, ok := s.defs[name]; !ok {
		s.defs[name] = nil // so that a type that holds itself ends
		s.defs[name] = s.fields(t, in)
	}
	return map[string]any{"$ref": "#/components/schemas/" + name}
}

// name is the type's own, or with its package where that is not store.
func (s *schemas) name(t reflect.Type, in bool) string {
	name := t.Name()
	if pkg := t.PkgPath(); pkg != "ingot/store" {
		short := pkg[strings.LastIndexByte(pkg, '/')+1:]
		name = strings.ToUpper(short[:1]) + short[1:] + name
	}
	if in {
		name += "In"
	}
	return name
}

func (s *schemas) fields(t reflect.Type, in bool) map[string]any {
	props, required := map[string]any{}, []string{}
	s.addFields(t, in, props, &required)
	out := map[string]any{"type": "object", "properties": props, "additionalProperties": false}
	if len(required) > 0 && !in {
		slices.Sort(required)
		out["required"] = required
	}
	return out
}

// addFields takes the fields of a struct, and of those embedded in it.
func (s *schemas) addFields(t reflect.Type, in bool, props map[string]any, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && tag == "" {
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			s.addFields(inner, in, props, required)
			continue
		}
		if !f.IsExported() || tag == "-" {
			continue
		}
		if tag == "" {
			tag = f.Name
		}
		optional := strings.Contains(opts, "omitempty") || strings.Contains(opts, "omitzero")
		schema := s.of(f.Type, in)
		if !optional {
			*required = append(*required, tag)
			if k := f.Type.Kind(); k == reflect.Pointer || k == reflect.Slice || k == reflect.Map {
				schema = map[string]any{"anyOf": []any{schema, map[string]any{"type": "null"}}}
			}
		}
		props[tag] = schema
	}
}
