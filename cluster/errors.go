package cluster

import (
	"errors"
	"io/fs"
	"slices"
	"syscall"
)

// The kinds of error that decide what a caller does next. They survive HTTP: package wire maps
// each to a status and back, so errors.Is works on both sides of a connection.
var (
	// ErrInvalid: the request can never work as it stands.
	ErrInvalid = errors.New("invalid")
	// ErrNotFound: what the request names is not there.
	ErrNotFound = errors.New("not found")
	// ErrExists: what should be made is there already.
	ErrExists = errors.New("already exists")
	// ErrConflict: the request contradicts the present state (a second move of one volume, a
	// copy that diverged). Someone has to decide.
	ErrConflict = errors.New("conflict")
	// ErrStale: the request was made from an older revision or epoch. Read again, then decide.
	ErrStale = errors.New("stale")
	// ErrRefused: a check said no before anything was changed.
	ErrRefused = errors.New("refused")
	// ErrForbidden: the caller's certificate does not allow this.
	ErrForbidden = errors.New("forbidden")
	// ErrRemoved: the node that calls was removed from the cluster by an operator. It must write nothing
	// any more.
	ErrRemoved = errors.New("removed")
	// ErrAwaited: another process was taken for who this one says it is, and may yet come. Ask again in a moment.
	ErrAwaited = errors.New("awaited")
	// ErrUnavailable: not now; the same request may work later.
	ErrUnavailable = errors.New("unavailable")
	// ErrUnsupported: this backend or runtime cannot do it at all.
	ErrUnsupported = errors.New("unsupported")
)

// Lasting reports whether the same request would meet the same error again: it was refused, this side
// or the other cannot do it at all, a file may not be read or made, or there is no space. What may
// pass is unavailable.
func Lasting(err error) bool {
	lasts := func(kind error) bool { return errors.Is(err, kind) }
	return !errors.Is(err, ErrUnavailable) &&
		(Full(err) || slices.ContainsFunc([]error{ErrRefused, ErrUnsupported, errors.ErrUnsupported, fs.ErrPermission}, lasts))
}

// Full reports whether an error is that of a file system, or of somebody's share of it, that has no
// space left, or no inodes.
func Full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// A hinted error carries advice for the user apart from its message.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// WithHint attaches advice ("free some space on b, or choose another node") to err. The message
// of err stays as it is. A nil err stays nil.
func WithHint(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return hinted{err, hint}
}

// Hint returns the advice attached to err or to an error that it wraps, or "".
func Hint(err error) string {
	var h hinted
	if errors.As(err, &h) {
		return h.hint
	}
	return ""
}
