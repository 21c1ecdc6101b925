package deploy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/suggest"
)

// A reader takes values for what they should be and collects what is wrong with them. All its
// methods accept nil for a value that is absent, and return the zero value for it. What is wrong
// reads as the zero value too.
type reader struct {
	file string
	// prefix is what Flocker put before the texts of errors in the present part of the file.
	prefix string
	errors Errors
}

// fail says what is wrong with a value.
func (r *reader) fail(v *value, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	flocker := r.prefix + message
	if path := v.path(); path != "" {
		flocker = r.prefix + path + ": " + message
	}
	r.failAt(v.line, v.path(), message, flocker)
}

// failAs is fail with the text that Flocker had for it.
func (r *reader) failAs(flocker string, v *value, format string, args ...any) {
	r.failAt(v.line, v.path(), fmt.Sprintf(format, args...), flocker)
}

// missing says that a mapping lacks a key.
func (r *reader) missing(v *value, key, flocker, want string) {
	r.failAt(v.line, v.pathOf(key), "is missing: want "+want, flocker)
}

// top returns the value of a key that must be there, of a mapping that may have any others.
func (r *reader) top(root *value, key, want string) *value {
	v := root.get(key)
	if v != nil {
		return v
	}
	if near := suggest.Word(key, root.keys()); near != "" {
		want += fmt.Sprintf("; is %q meant to be it?", near)
	}
	r.missing(root, key, fmt.Sprintf("%sMissing '%s' key.", r.prefix, key), want)
	return nil
}

func (r *reader) failAt(line int, path, message, flocker string) {
	r.errors = append(r.errors, Error{File: r.file, Line: line, Path: path, Message: message, flocker: flocker})
}

// isMapping reports whether v is there and a mapping.
func (r *reader) isMapping(v *value, what string) bool {
	if v == nil {
		return false
	}
	if v.kind != mapping {
		r.fail(v, "want %s; got %s", what, v)
	}
	return v.kind == mapping
}

// mapping is isMapping, and refuses keys other than the known ones.
func (r *reader) mapping(v *value, what string, known ...string) bool {
	if !r.isMapping(v, what) {
		return false
	}
	var unknown []*value
	for _, part := range v.parts {
		if !slices.Contains(known, part.key) {
			unknown = append(unknown, part)
		}
	}
	if len(unknown) == 0 {
		return true
	}
	flocker := r.prefix + "Unrecognised keys: " + joinKeys(unknown) + "."
	for _, part := range unknown {
		message := "unknown key"
		if near := suggest.Word(part.key, known); near != "" {
			message += fmt.Sprintf(": did you mean %s?", near)
		}
		r.failAs(flocker, part, "%s (known here: %s)", message, strings.Join(known, ", "))
	}
	return true
}

// joinKeys sorts the parts of a mapping by their keys, and lists these.
func joinKeys(parts []*value) string {
	slices.SortFunc(parts, func(a, b *value) int { return cmp.Compare(a.key, b.key) })
	keys := make([]string, len(parts))
	for i, part := range parts {
		keys[i] = part.key
	}
	return strings.Join(keys, ", ")
}

// items returns the parts of a list.
func (r *reader) items(v *value, what string) []*value {
	if v == nil {
		return nil
	}
	if v.kind != list {
		r.fail(v, "want %s; got %s", what, v)
		return nil
	}
	return v.parts
}

func (r *reader) text(v *value) string {
	switch {
	case v == nil:
		return ""
	case v.kind == aString:
		return v.text
	case v.kind == mapping || v.kind == list || v.kind == nothing:
		r.fail(v, "want a string; got %s", v)
	default:
		r.fail(v, "want a string; got %s: put quotes around it", v)
	}
	return ""
}

func (r *reader) texts(v *value) []string {
	var texts []string
	for _, item := range r.items(v, "a list of strings") {
		texts = append(texts, r.text(item))
	}
	return texts
}

func (r *reader) integer(v *value) int64 {
	if v == nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(v.text, "_", ""), 0, 64)
	if v.kind != integer || err != nil {
		r.fail(v, "want an integer; got %s", v)
		return 0
	}
	return n
}

// size reads a number of bytes: an integer, or a string with a unit.
func (r *reader) size(v *value) int64 {
	if v == nil {
		return 0
	}
	if v.kind != integer && v.kind != aString {
		r.fail(v, `want a number of bytes, or a string such as "2.5G"; got %s`, v)
		return 0
	}
	n, err := cluster.ParseSize(v.text)
	if err != nil {
		r.fail(v, `want a number of bytes greater than zero, or one with K, M, G or T such as "2.5G"; got %s`, v)
	}
	return n
}

// duration reads a time: a whole number of seconds, or a string with a unit.
func (r *reader) duration(v *value) time.Duration {
	if v == nil {
		return 0
	}
	d, err := time.ParseDuration(v.text)
	if v.kind == integer {
		d, err = time.ParseDuration(v.text + "s")
	}
	if err != nil || d <= 0 || (v.kind != integer && v.kind != aString) {
		r.fail(v, `want a positive time such as "10s", or a number of seconds; got %s`, v)
		return 0
	}
	return d
}

// version checks that a file says version 1.
func (r *reader) version(root *value) {
	v := r.top(root, "version", "version: 1")
	if v != nil && (v.kind != integer || v.text != "1") {
		r.failAs(r.prefix+"Incorrect version specified.", v, "want 1; got %s", v)
	}
}
