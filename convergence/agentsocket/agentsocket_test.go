package agentsocket

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

// A desk answers with what it was asked.
type desk struct{ err error }

func (d desk) Use(ctx context.Context, volume, mount string) (string, error) {
	if volume == "slow" {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return "/" + volume + "/" + mount, d.err
}

func (d desk) Release(string, string) error { return d.err }

func serve(t *testing.T, a Agent) Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "local") // short: sockets have names of limited length
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, dir, a, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if info, err := os.Stat(filepath.Join(dir, SocketName)); err == nil && info.Mode().Perm() == 0o600 {
			return Client{Dir: dir}
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody listens")
		}
	}
}

func TestCallsAndErrorsPass(t *testing.T) {
	c := serve(t, desk{})
	if path, err := c.Use(t.Context(), "v", "m"); err != nil || path != "/v/m" {
		t.Errorf("%q, %v", path, err)
	}
	if err := c.Release("v", "m"); err != nil {
		t.Error(err)
	}
	for _, kind := range []error{cluster.ErrNotFound, cluster.ErrConflict, cluster.ErrUnavailable} {
		c := serve(t, desk{cluster.WithHint(kind, "wait")})
		for _, err := range []error{c.Release("v", "m"), func() error { _, err := c.Use(t.Context(), "v", "m"); return err }()} {
			if !errors.Is(err, kind) || cluster.Hint(err) != "wait" || errors.Is(err, ErrAway) {
				t.Errorf("%v arrives as %v with the hint %q", kind, err, cluster.Hint(err))
			}
		}
	}
}

func TestAnAgentThatIsNotThereIsAway(t *testing.T) {
	c := Client{Dir: t.TempDir()}
	if err := c.Release("v", "m"); !errors.Is(err, ErrAway) || !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := serve(t, desk{}).Use(ctx, "slow", "m"); !errors.Is(err, ErrAway) {
		t.Errorf("no answer: %v", err)
	}
}
