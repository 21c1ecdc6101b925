package deploy

import (
	"fmt"
	"strconv"
)

// A value is a YAML value as the readers see it: aliases and merges are resolved, the keys of a
// mapping are distinct strings, and it knows where it stands.
type value struct {
	kind kind
	line int
	// text is the content of a scalar.
	text string
	// parts are those of a mapping or a list, in the order of the file.
	parts []*value

	parent *value
	key    string // in a parent that is a mapping
	index  int    // in a parent that is a list
}

// A kind is what a value is, as messages call it.
type kind string

const (
	aString kind = "a string"
	integer kind = "the integer"
	number  kind = "the number"
	boolean kind = "the boolean"
	nothing kind = "nothing"
	mapping kind = "a mapping"
	list    kind = "a list"
	instant kind = "the date"
	exotic  kind = "a value with the tag"
)

// longText is how many bytes of a string messages show.
const longText = 40

// String describes the value for messages.
func (v *value) String() string {
	switch v.kind {
	case nothing, mapping, list:
		return string(v.kind)
	case aString:
		if len(v.text) > longText {
			return "a long string"
		}
		return strconv.Quote(v.text)
	}
	return string(v.kind) + " " + v.text
}

// path leads to the value from the top of its file.
func (v *value) path() string {
	if v.parent == nil {
		return ""
	}
	if v.parent.kind == list {
		return fmt.Sprintf("%s[%d]", v.parent.path(), v.index)
	}
	return v.parent.pathOf(v.key)
}

// pathOf leads to a key of the mapping, whether or not it is there.
func (v *value) pathOf(key string) string {
	if v.parent == nil {
		return key
	}
	return v.path() + "." + key
}

// field returns the value of a key as it was written, or nil.
func (v *value) field(key string) *value {
	if v == nil {
		return nil
	}
	for _, part := range v.parts {
		if v.kind == mapping && part.key == key {
			return part
		}
	}
	return nil
}

// get returns the value of a key. A key without a value counts as absent: nil.
func (v *value) get(key string) *value {
	if part := v.field(key); part != nil && part.kind != nothing {
		return part
	}
	return nil
}

// all returns the parts of a value that may be absent.
func (v *value) all() []*value {
	if v == nil {
		return nil
	}
	return v.parts
}

// each calls do with a value that may be absent, and with all that is in it.
func (v *value) each(do func(*value)) {
	if v == nil {
		return
	}
	do(v)
	for _, part := range v.parts {
		part.each(do)
	}
}

// count says how many values it is, with all that is in it.
func (v *value) count() int {
	n := 0
	v.each(func(*value) { n++ })
	return n
}

// keys returns the keys of a mapping, in the order of the file.
func (v *value) keys() []string {
	var keys []string
	if v.kind == mapping {
		for _, part := range v.parts {
			keys = append(keys, part.key)
		}
	}
	return keys
}

// flocker is what Flocker's messages called a value of that kind.
func (k kind) flocker() string {
	switch k {
	case aString:
		return "str"
	case integer:
		return "int"
	case number:
		return "float"
	case boolean:
		return "bool"
	case nothing:
		return "NoneType"
	case mapping:
		return "dict"
	case list:
		return "list"
	}
	return "object"
}
