// Package schema checks JSON values against the part of JSON Schema (draft 4) that Flocker's
// published schemas use, and says what is wrong in the words that Flocker's clients know: those
// of Python's jsonschema.
//
//	value, err := schema.Parse(body)
//	problems := schema.Schema{Type: schema.Object, Required: []string{"primary"}}.Check(value)
//	// ["'primary' is a required property"]
//
// A Schema is data and reads like the published file. The package resolves no references and
// knows no formats: it is no general implementation of JSON Schema.
package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Type is a JSON type.
type Type string

// The types. A number is an Integer when it is written as one: 1.0 is not.
const (
	Null    Type = "null"
	Boolean Type = "boolean"
	Integer Type = "integer"
	Number  Type = "number"
	String  Type = "string"
	Array   Type = "array"
	Object  Type = "object"
)

// A Schema says what a value must be. The zero value of each field asks for nothing, except that
// an object has no other members than those that Properties or Keys allow.
type Schema struct {
	Type Type
	// OrNull allows null beside Type.
	OrNull bool

	// Range bounds an integer.
	Range *Range

	// MinLength and MaxLength count the characters of a string.
	MinLength, MaxLength int
	// Pattern is found in a string.
	Pattern *regexp.Regexp
	Enum    []string

	// MinItems and MaxItems count the items of an array.
	MinItems, MaxItems int
	// Unique: no two items of an array are equal.
	Unique bool
	Items  *Schema

	Properties map[string]Schema
	Required   []string
	// Keys is found in the name of every further member, which is as Values says. Without Keys
	// an object has no further members.
	Keys          *regexp.Regexp
	Values        *Schema
	MaxProperties int
	// Open objects have any members.
	Open bool

	// OneOf: the value is as one of these says.
	OneOf []Schema
}

// A Range is inclusive at both ends.
type Range struct{ Min, Max int64 }

// Parse reads one JSON document. Numbers stay as they are written.
func Parse(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON document")
	}
	return v, nil
}

// Check returns what is wrong with a value from Parse, in a stable order.
func (s Schema) Check(v any) []string {
	if v == nil && s.OrNull {
		return nil
	}
	if s.Type != "" && !s.Type.matches(v) {
		return []string{pythonRepr(v) + " is not of type " + s.types()}
	}
	var problems []string
	switch v := v.(type) {
	case json.Number:
		problems = s.checkInteger(v)
	case string:
		problems = s.checkString(v)
	case []any:
		problems = s.checkArray(v)
	case map[string]any:
		problems = s.checkObject(v)
	}
	if len(s.OneOf) > 0 && !slices.ContainsFunc(s.OneOf, func(one Schema) bool { return len(one.Check(v)) == 0 }) {
		problems = append(problems, pythonRepr(v)+" is not valid under any of the given schemas")
	}
	return problems
}

func (s Schema) types() string {
	if s.OrNull {
		return fmt.Sprintf("'%s', 'null'", s.Type)
	}
	return fmt.Sprintf("'%s'", s.Type)
}

func (t Type) matches(v any) bool {
	switch v := v.(type) {
	case nil:
		return t == Null
	case bool:
		return t == Boolean
	case json.Number:
		return t == Number || t == Integer && !strings.ContainsAny(v.String(), ".eE")
	case string:
		return t == String
	case []any:
		return t == Array
	default:
		return t == Object
	}
}

func (s Schema) checkInteger(n json.Number) []string {
	value, ok := new(big.Int).SetString(n.String(), 10)
	if s.Range == nil || !ok {
		return nil
	}
	switch {
	case value.Cmp(big.NewInt(s.Range.Min)) < 0:
		return []string{fmt.Sprintf("%s is less than the minimum of %d", n, s.Range.Min)}
	case value.Cmp(big.NewInt(s.Range.Max)) > 0:
		return []string{fmt.Sprintf("%s is greater than the maximum of %d", n, s.Range.Max)}
	}
	return nil
}

func (s Schema) checkString(v string) []string {
	var problems []string
	length := utf8.RuneCountInString(v)
	if length < s.MinLength {
		problems = append(problems, pythonRepr(v)+" is too short")
	}
	if s.MaxLength > 0 && length > s.MaxLength {
		problems = append(problems, pythonRepr(v)+" is too long")
	}
	if s.Pattern != nil && !s.Pattern.MatchString(v) {
		problems = append(problems, pythonRepr(v)+" does not match "+pythonQuote(s.Pattern.String()))
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
		allowed := make([]string, len(s.Enum))
		for i, e := range s.Enum {
			allowed[i] = pythonQuote(e)
		}
		problems = append(problems, fmt.Sprintf("%s is not one of [%s]", pythonRepr(v), strings.Join(allowed, ", ")))
	}
	return problems
}

func (s Schema) checkArray(v []any) []string {
	var problems []string
	if len(v) < s.MinItems {
		problems = append(problems, pythonRepr(v)+" is too short")
	}
	if s.MaxItems > 0 && len(v) > s.MaxItems {
		problems = append(problems, pythonRepr(v)+" is too long")
	}
	if s.Unique && !unique(v) {
		problems = append(problems, pythonRepr(v)+" has non-unique elements")
	}
	if s.Items != nil {
		for _, item := range v {
			problems = append(problems, s.Items.Check(item)...)
		}
	}
	return problems
}

func unique(v []any) bool {
	seen := make(map[string]bool, len(v))
	for _, item := range v {
		seen[pythonRepr(item)] = true
	}
	return len(seen) == len(v)
}

func (s Schema) checkObject(v map[string]any) []string {
	var problems, extra []string
	for _, name := range slices.Sorted(maps.Keys(v)) {
		property, known := s.Properties[name]
		switch {
		case known:
			problems = append(problems, property.Check(v[name])...)
		case s.Keys != nil && s.Keys.MatchString(name):
			problems = append(problems, s.Values.Check(v[name])...)
		case !s.Open:
			extra = append(extra, pythonRepr(name))
		}
	}
	for _, name := range s.Required {
		if _, present := v[name]; !present {
			problems = append(problems, pythonQuote(name)+" is a required property")
		}
	}
	if s.MaxProperties > 0 && len(v) > s.MaxProperties {
		problems = append(problems, pythonRepr(v)+" has too many properties")
	}
	switch len(extra) {
	case 0:
		return problems
	case 1:
		return append(problems, fmt.Sprintf("Additional properties are not allowed (%s was unexpected)", extra[0]))
	default:
		return append(problems, fmt.Sprintf("Additional properties are not allowed (%s were unexpected)", strings.Join(extra, ", ")))
	}
}
