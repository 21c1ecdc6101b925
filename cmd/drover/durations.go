package main

import (
	"cmp"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// durationsAsText returns the JSON of a value of that type with its durations as text ("1.5s"). What is
// stored and sent has numbers of nanoseconds, which agents of any version read; people and their scripts
// should not have to guess the unit.
func durationsAsText(text string, of reflect.Type) string {
	r := durationRewriter{text: text, tokens: json.NewDecoder(strings.NewReader(text)), fields: map[reflect.Type]map[string]reflect.Type{}}
	r.tokens.UseNumber()
	r.value(of)
	return r.out.String() + text[r.copied:]
}

// A durationRewriter copies a JSON text, and walks along the type that it was made of.
type durationRewriter struct {
	text   string
	tokens *json.Decoder
	copied int64 // of the text
	out    strings.Builder
	fields map[reflect.Type]map[string]reflect.Type // of structs, by their names in JSON
}

var durationType = reflect.TypeFor[time.Duration]()

// value passes over one value of a type; nil: of one in which there is nothing to do.
func (r *durationRewriter) value(of reflect.Type) {
	for of != nil && of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	token, err := r.tokens.Token()
	if err != nil {
		return // the text was just made: it is whole
	}
	switch token := token.(type) {
	case json.Number:
		if n, err := token.Int64(); err == nil && of == durationType {
			end := r.tokens.InputOffset()
			r.out.WriteString(r.text[r.copied : end-int64(len(token))])
			r.out.WriteString(strconv.Quote(time.Duration(n).String()))
			r.copied = end
		}
	case json.Delim:
		for r.tokens.More() {
			key := ""
			if token == '{' {
				name, _ := r.tokens.Token()
				key, _ = name.(string)
			}
			r.value(r.within(of, key))
		}
		_, _ = r.tokens.Token() // the end of it
	}
}

// within returns the type of what is in a value of a type, in a struct by its name in JSON.
func (r *durationRewriter) within(of reflect.Type, key string) reflect.Type {
	if of == nil {
		return nil
	}
	switch of.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		return of.Elem()
	case reflect.Struct:
		if r.fields[of] == nil {
			r.fields[of] = map[string]reflect.Type{}
			for _, field := range reflect.VisibleFields(of) {
				name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
				r.fields[of][cmp.Or(name, field.Name)] = field.Type
			}
		}
		return r.fields[of][key]
	}
	return nil
}
