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
// crosses in the text, in brackets behind the sentence: "no space left [refused]".
var kinds = map[string]error{
	"refused":     cluster.ErrRefused,
	"conflict":    cluster.ErrConflict,
	"stale":       cluster.ErrStale,
	"forbidden":   cluster.ErrForbidden,
	"unsupported": cluster.ErrUnsupported,
	"invalid":     cluster.ErrInvalid,
	"not found":   cluster.ErrNotFound,
}

// status turns an error into one whose text carries its kind. Nil stays nil.
func status(err error) error {
	if err == nil {
		return nil
	}
	for name, kind := range kinds {
		if errors.Is(err, kind) {
			return fmt.Errorf("%w [%s]", err, name)
		}
	}
	return err
}

// A remoteError is an error that the other side answered. Trying again would not help.
type remoteError struct {
	text string
	kind error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.kind }

// answered returns the error that the other side answered, or nil when err is about the way
// there.
func answered(err error) *remoteError {
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
	e := &remoteError{text: text}
	for name, kind := range kinds {
		if bare, found := strings.CutSuffix(text, " ["+name+"]"); found {
			e.text, e.kind = bare, kind
		}
	}
	return e
}
