package ssh

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/pkg/sftp"

	"github.com/drover/drover/cluster"
)

// The status of an SFTP answer is a code that says little and a text. The kind of an error
// crosses in the text, in brackets behind the sentence: "no space left [refused]". Of an error
// with several kinds the first one here crosses.
var kinds = []struct {
	name string
	kind error
}{
	{"refused", cluster.ErrRefused},
	{"conflict", cluster.ErrConflict},
	{"stale", cluster.ErrStale},
	{"forbidden", cluster.ErrForbidden},
	{"unsupported", cluster.ErrUnsupported},
	{"invalid", cluster.ErrInvalid},
	{"exists", cluster.ErrExists},
	{"not found", cluster.ErrNotFound},
	{"unavailable", cluster.ErrUnavailable},
}

// status turns an error into one whose text carries its kind, and which wraps nothing: the SFTP
// server looks into errors for those of files, and would send their code without the text. Nil
// stays nil.
func status(err error) error {
	if err == nil {
		return nil
	}
	for _, k := range kinds {
		if errors.Is(err, k.kind) {
			return fmt.Errorf("%s [%s]", err.Error(), k.name)
		}
	}
	if cluster.Lasting(err) { // a file that this side may not make, say
		return fmt.Errorf("%s [refused]", err.Error())
	}
	return errors.New(err.Error())
}

// A remoteError is an error that the other side answered. Trying again would not help, unless
// its kind is cluster.ErrUnavailable.
type remoteError struct {
	text string
	kind error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.kind }

// answered returns the error that the other side answered as a *remoteError, or nil when err is
// about the way there.
func answered(err error) error {
	var answer *sftp.StatusError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &remoteError{"not found on the other side", cluster.ErrNotFound}
	case errors.Is(err, fs.ErrPermission):
		return &remoteError{"the other side does not allow this", cluster.ErrForbidden}
	case !errors.As(err, &answer):
		return nil
	}
	// sftp: "text" (code)
	text := strings.TrimPrefix(answer.Error(), "sftp: ")
	if quoted, err := strconv.QuotedPrefix(text); err == nil {
		text, _ = strconv.Unquote(quoted) // it was quoted
	}
	return remote(text)
}

// remote reads what status made of an error, or whatever else a peer says.
func remote(text string) *remoteError {
	for _, k := range kinds {
		if bare, found := strings.CutSuffix(text, " ["+k.name+"]"); found {
			return &remoteError{forPeople(bare), k.kind}
		}
	}
	return &remoteError{forPeople(text), nil}
}
