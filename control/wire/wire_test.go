package wire

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"testing"

	"github.com/drover/drover/cluster"
)

func TestErrorsKeepTheirKindAcrossHTTP(t *testing.T) {
	names := map[string]bool{}
	for _, k := range kinds {
		err := cluster.WithHint(fmt.Errorf("move db: %w: no space on b", k.err), "free some")
		status, body := EncodeError(err)
		if status != k.status || body.Description != "move db: no space on b" || body.Hint != "free some" {
			t.Errorf("%s: encoded as %d %+v", k.name, status, body)
		}
		if names[body.Kind] {
			t.Errorf("two kinds are called %s", body.Kind)
		}
		names[body.Kind] = true

		back := DecodeError(status, body)
		if back.Error() != body.Description || cluster.Hint(back) != "free some" {
			t.Errorf("%s: decoded as %q with hint %q", k.name, back, cluster.Hint(back))
		}
		for _, other := range kinds {
			if errors.Is(back, other.err) != (other.err == k.err) {
				t.Errorf("%s: is it %s: %v", k.name, other.name, errors.Is(back, other.err))
			}
		}
	}
}

func TestErrorsWithoutAKind(t *testing.T) {
	status, body := EncodeError(errors.New("disk full"))
	if status != http.StatusInternalServerError || body.Kind != "" {
		t.Errorf("encoded as %d %+v", status, body)
	}
	for status, want := range map[int]error{
		http.StatusNotFound:            cluster.ErrNotFound, // as Flocker's paths answer: by status alone
		http.StatusPreconditionFailed:  cluster.ErrStale,
		http.StatusServiceUnavailable:  cluster.ErrUnavailable,
		http.StatusInternalServerError: nil,
		http.StatusTeapot:              nil,
	} {
		err := DecodeError(status, ErrorBody{})
		var remote *RemoteError
		if !errors.As(err, &remote) || remote.Status != status || err.Error() == "" {
			t.Errorf("%d: decoded as %v", status, err)
		}
		if errors.Unwrap(remote) != want {
			t.Errorf("%d: is %v, want %v", status, errors.Unwrap(remote), want)
		}
	}
}

func TestETag(t *testing.T) {
	for _, revision := range []cluster.Revision{0, 42, math.MaxUint64} {
		if got, err := ParseETag(ETag(revision)); err != nil || got != revision {
			t.Errorf("%d came back as %d, %v", revision, got, err)
		}
	}
	for _, text := range []string{``, `""`, `42`, `"42`, `42"`, `W/"42"`, `"-1"`, `"x"`, `"18446744073709551616"`, `"1", "2"`} {
		if got, err := ParseETag(text); !errors.Is(err, cluster.ErrInvalid) {
			t.Errorf("%s: %d, %v; want ErrInvalid", text, got, err)
		}
	}
}

func FuzzParseETag(f *testing.F) {
	f.Add(`"42"`)
	f.Fuzz(func(t *testing.T, text string) {
		revision, err := ParseETag(text)
		if err != nil {
			return
		}
		if again, err := ParseETag(ETag(revision)); err != nil || again != revision {
			t.Errorf("%q: %d came back as %d, %v", text, revision, again, err)
		}
	})
}
