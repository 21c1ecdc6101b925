package mounts

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/mem"
)

// empty is an engine without any container.
type empty struct{}

func (empty) Containers(context.Context) ([]runtime.Container, error) { return nil, nil }

// newHost returns a host that owns the volume at an epoch, of which its copy is open at the first.
func newHost(t *testing.T, epoch cluster.Epoch) *Host {
	t.Helper()
	b := mem.New()
	ok(t, b.Create(t.Context(), data.ID, volume.Options{}))
	_, err := b.Open(t.Context(), data.ID, 1, "")
	ok(t, err)
	return &Host{Registry: open(t, t.TempDir(), "1"), Backend: b, Engine: empty{}, Log: slog.New(slog.DiscardHandler),
		Owned: func(string) (cluster.OwnedVolume, error) {
			return cluster.OwnedVolume{Volume: cluster.Volume{ID: data.ID, Name: data.Name},
				Ownership: cluster.Ownership{Volume: data.ID, Epoch: epoch}}, nil
		},
		Trouble: func(cluster.VolumeID) string { return "" }, Changed: func() {}}
}

// TestAUseEndsWithItsContainer, though nobody told of its end, and though that was the last one of the engine.
func TestAUseEndsWithItsContainer(t *testing.T) {
	h := newHost(t, 1)
	_, err := h.Use(t.Context(), data.Name, "m")
	ok(t, err)
	h.Refresh(t.Context())
	wantUsers(t, h.Registry)
}

// TestNoUseOfWhatIsAboutToBeOpenedAnew: the writers of an older epoch end first.
func TestNoUseOfWhatIsAboutToBeOpenedAnew(t *testing.T) {
	h := newHost(t, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if path, err := h.Use(ctx, data.Name, "m"); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("it gets %q, %v", path, err)
	}
	wantUsers(t, h.Registry)
}
