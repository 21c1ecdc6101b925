package wire

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/drover/drover/cluster"
)

// ErrorBody is the body of every answer that is not a success. Flocker's paths carry the
// description and errors alone.
type ErrorBody struct {
	Description string   `json:"description"`
	Errors      []string `json:"errors,omitempty"`
	Kind        string   `json:"kind,omitempty"`
	Hint        string   `json:"hint,omitempty"`
}

// kinds is the one table between the kinds of error, their names and their HTTP statuses.
var kinds = []struct {
	err    error
	name   string
	status int
}{
	{cluster.ErrInvalid, "invalid", http.StatusBadRequest},
	{cluster.ErrForbidden, "forbidden", http.StatusForbidden},
	{cluster.ErrNotFound, "not_found", http.StatusNotFound},
	{cluster.ErrExists, "exists", http.StatusConflict},
	{cluster.ErrConflict, "conflict", http.StatusConflict},
	{cluster.ErrStale, "stale", http.StatusPreconditionFailed},
	{cluster.ErrRefused, "refused", http.StatusUnprocessableEntity},
	{cluster.ErrUnsupported, "unsupported", http.StatusNotImplemented},
	{cluster.ErrRemoved, "removed", http.StatusGone},
	{cluster.ErrUnavailable, "unavailable", http.StatusServiceUnavailable},
	{cluster.ErrAwaited, "awaited", http.StatusServiceUnavailable}, // to who does not know it, unavailable
}

// EncodeError returns the status and the body for an error.
func EncodeError(err error) (int, ErrorBody) {
	body := ErrorBody{Description: cluster.Message(err), Hint: cluster.Hint(err)}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			body.Kind = k.name
			return k.status, body
		}
	}
	return http.StatusInternalServerError, body
}

// A RemoteError is an error that the control service answered. errors.Is sees its kind.
type RemoteError struct {
	Status int
	Body   ErrorBody
	kind   error
}

func (e *RemoteError) Error() string { return e.Body.Description }

// Unwrap returns the kind of the error.
func (e *RemoteError) Unwrap() error { return e.kind }

// DecodeError returns the error that an answer stands for: its kind by the name in the body,
// else by the status.
func DecodeError(status int, body ErrorBody) error {
	e := &RemoteError{Status: status, Body: body}
	if e.Body.Description == "" {
		e.Body.Description = fmt.Sprintf("the control service answered %d %s", status, http.StatusText(status))
	}
	for _, k := range kinds {
		if k.name == body.Kind || (body.Kind == "" && k.status == status) {
			e.kind = k.err
			break
		}
	}
	return cluster.WithHint(e, body.Hint)
}
