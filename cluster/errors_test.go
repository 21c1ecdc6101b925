package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"
)

func TestHintTravelsApartFromTheMessage(t *testing.T) {
	cause := fmt.Errorf("create db: %w: no space", ErrRefused)
	err := fmt.Errorf("deploy: %w", WithHint(cause, "free some space on b"))
	if got, want := err.Error(), "deploy: create db: refused: no space"; got != want {
		t.Errorf("message: got %q, want %q", got, want)
	}
	if got := Hint(err); got != "free some space on b" {
		t.Errorf("hint: got %q", got)
	}
	if !errors.Is(err, ErrRefused) || !errors.Is(err, cause) {
		t.Errorf("%v lost its kind or its cause", err)
	}
}

func TestTheOuterHintWins(t *testing.T) {
	if got := Hint(WithHint(WithHint(ErrStale, "inner"), "outer")); got != "outer" {
		t.Errorf("got %q, want outer", got)
	}
}

func TestWithoutHint(t *testing.T) {
	if err := WithHint(nil, "hint"); err != nil {
		t.Errorf("a hint made an error of nil: %v", err)
	}
	if err := WithHint(ErrStale, ""); err != ErrStale {
		t.Errorf("an empty hint changed the error: %v", err)
	}
	for _, err := range []error{nil, ErrStale, fmt.Errorf("x: %w", ErrStale)} {
		if got := Hint(err); got != "" {
			t.Errorf("%v: got %q, want no hint", err, got)
		}
	}
}

// TestWhatLasts is not tried again by itself.
func TestWhatLasts(t *testing.T) {
	full := fmt.Errorf("write a: %w", syscall.ENOSPC)
	for _, err := range []error{ErrRefused, ErrUnsupported, fs.ErrPermission, full, fmt.Errorf("write a: %w", syscall.EDQUOT)} {
		if !Lasting(err) {
			t.Errorf("%v passes by itself", err)
		}
	}
	for _, err := range []error{nil, ErrUnavailable, ErrStale, syscall.ECONNRESET, fmt.Errorf("%w: %w", ErrUnavailable, full)} {
		if Lasting(err) {
			t.Errorf("%v lasts", err)
		}
	}
}

// TestPeopleAreNotToldTheKind of an error, wherever it stands, unless nothing would be left.
func TestPeopleAreNotToldTheKind(t *testing.T) {
	on := fmt.Errorf("%w: db is on b already", ErrConflict)
	cut := fmt.Errorf("%w: the connection to b broke: %w", ErrUnavailable, syscall.ECONNRESET)
	for _, row := range []struct {
		err  error
		want string
	}{
		{on, "db is on b already"},
		{fmt.Errorf("move db: %w", on), "move db: db is on b already"},
		{fmt.Errorf("deploy: %w", WithHint(fmt.Errorf("move db: %w", on), "wait")), "deploy: move db: db is on b already"},
		{fmt.Errorf("%w: %w", ErrUnavailable, fmt.Errorf("send db: %w", cut)), "send db: the connection to b broke: connection reset by peer"},
		{errors.Join(on, cut), "db is on b already\nthe connection to b broke: connection reset by peer"},
		{fmt.Errorf("check the backup: %w: %w", ErrInvalid, errors.New("it ends too early")), "check the backup: it ends too early"},
		// Part of a sentence, or all that there is.
		{fmt.Errorf("volume %q: %w", "x", ErrNotFound), `volume "x": not found`},
		{fmt.Errorf("%w; the volumes are: a", fmt.Errorf("volume %q: %w", "x", ErrNotFound)), `volume "x": not found; the volumes are: a`},
		{fmt.Errorf("volume %s %w: its size is 1, not 2", "x", ErrExists), "volume x already exists: its size is 1, not 2"},
		{fmt.Errorf("%w: volume x", ErrNotFound), "not found: volume x"},
		{fmt.Errorf("%w: EOF", ErrUnavailable), "unavailable: EOF"},
		{ErrStale, "stale"},
		// What others wrote is theirs.
		{fmt.Errorf("read app.yml: %w", errors.New("refused: to be or not")), "read app.yml: refused: to be or not"},
	} {
		if got := Message(row.err); got != row.want {
			t.Errorf("%v: people are told %q, want %q", row.err, got, row.want)
		}
	}
}
