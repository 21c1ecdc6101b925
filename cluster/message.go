package cluster

import (
	"errors"
	"slices"
	"strings"
)

// kinds are the errors that stand for a kind, and say nothing of what happened.
var kinds = []error{ErrInvalid, ErrNotFound, ErrExists, ErrConflict, ErrStale, ErrRefused, ErrForbidden, ErrRemoved, ErrAwaited, ErrUnavailable, ErrUnsupported}

// Message is what people are told of an error: its text without the words of its kinds where these are
// labels ("move db: conflict: db is on b already" says "move db: db is on b already"). Where they are part
// of a sentence ("volume db: not found"), or what they label is hardly anything ("unavailable: EOF"), they stay.
func Message(err error) string {
	text := err.Error()
	for _, cause := range causes(err) {
		if slices.Contains(kinds, cause) {
			text = withoutLabel(text, cause.Error()+": ")
		} else if said, message := cause.Error(), Message(cause); message != said {
			text = strings.Replace(text, said, message, 1)
		}
	}
	return text
}

// causes are the errors that an error wraps.
func causes(err error) []error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		return several.Unwrap()
	}
	if one := errors.Unwrap(err); one != nil {
		return []error{one}
	}
	return nil
}

// fewestWords is how many words say enough without their label.
const fewestWords = 3

// withoutLabel returns a text without a label at the beginning of one of its parts.
func withoutLabel(text, label string) string {
	for at := 0; ; {
		i := strings.Index(text[at:], label)
		if i < 0 {
			return text
		}
		before, after := text[:at+i], text[at+i+len(label):]
		begins := before == "" || strings.HasSuffix(before, ": ") || strings.HasSuffix(before, "\n")
		if begins && len(strings.Fields(after)) >= fewestWords {
			return before + after
		}
		at += i + len(label)
	}
}
