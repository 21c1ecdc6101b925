package cluster

import (
	"errors"
	"fmt"
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
