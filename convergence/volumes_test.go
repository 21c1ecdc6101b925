package convergence

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/mem"
)

const data cluster.VolumeID = "data"

// A host runs two applications.
type host struct{ runtime.Runtime }

func (host) Instances(context.Context) ([]runtime.Instance, error) {
	return []runtime.Instance{{Name: "db", Volume: data, Running: true}, {Name: "web", Running: true}}, nil
}

func (host) Owner(cluster.Application) (uid, gid int, err error) { return 0, 0, nil }

// A shelf is a backend whose volumes may be out of sight.
type shelf struct {
	*mem.Backend
	unseen  error
	adopted string
}

func (h *shelf) Copies(ctx context.Context) ([]volume.Copy, error) {
	if h.unseen != nil {
		return nil, h.unseen
	}
	return h.Backend.Copies(ctx)
}

func (h *shelf) Adopt(ctx context.Context, id cluster.VolumeID, o volume.Options, name string) error {
	h.adopted = name
	return h.Create(ctx, id, o)
}

func newVolumeAgent(t *testing.T) (*Agent, *shelf) {
	t.Helper()
	h := &shelf{Backend: mem.New()}
	a := &Agent{Node: cluster.Node{ID: "a"}, Backend: h, Runtime: host{}, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Routes: noRoutes{}}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	return a, h
}

type noRoutes struct{}

func (noRoutes) Apply([]cluster.Route) error { return nil }

// lastRoutes are those that were to be in force last.
type lastRoutes struct{ routes []cluster.Route }

func (l *lastRoutes) Apply(routes []cluster.Route) error {
	l.routes = routes
	return nil
}

// TestVolumesOutOfSightAreUnknown: they are never reported as none, and what can be seen still is.
func TestVolumesOutOfSightAreUnknown(t *testing.T) {
	a, h := newVolumeAgent(t)
	if err := h.Create(t.Context(), data, volume.Options{}); err != nil {
		t.Fatal(err)
	}
	h.unseen = cluster.WithHint(errors.New("list the datasets: no such pool"), "import it")
	s, unseen, err := a.state(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.VolumesUnknown != "list the datasets: no such pool (import it)" || len(s.Volumes) != 0 || len(s.Applications) != 2 {
		t.Errorf("out of sight: %+v", s)
	}
	h.unseen = nil
	s, seen, err := a.state(t.Context())
	if err != nil || s.VolumesUnknown != "" || len(s.Volumes) != 1 {
		t.Errorf("in sight: %+v, %v", s, err)
	}
	if seen == unseen {
		t.Error("that they are in sight again would not be reported")
	}
}

// TestTheTrashIsLookedAtWhenACopyIsMissing, and only then.
func TestTheTrashIsLookedAtWhenACopyIsMissing(t *testing.T) {
	a, h := newVolumeAgent(t)
	create := plan.Step{Kind: plan.CreateVolume, Volume: data}
	if err := a.createVolume(t.Context(), create); err != nil {
		t.Fatal(err)
	}
	if err := h.Remove(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	observe := func() plan.Observed {
		seen, err := a.observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	if seen := observe(); len(seen.Trash) != 0 {
		t.Errorf("nobody misses anything, and the trash was read: %+v", seen.Trash)
	}
	a.setAssignment(cluster.Assignment{Volumes: []cluster.OwnedVolume{{Volume: cluster.Volume{ID: data}}}})
	if seen := observe(); len(seen.Trash) != 1 {
		t.Errorf("the trash is %+v, want the copy that is missing", seen.Trash)
	}
	if err := a.createVolume(t.Context(), create); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("a volume was created empty in place of one in the trash: %v", err)
	}
	// Nor in place of what was a replica: then another node had the volume.
	if err := h.Restore(t.Context(), data, 1); err != nil {
		t.Fatal(err)
	}
	_, err := h.Snapshot(t.Context(), data, "last", false)
	if err == nil {
		err = h.Demote(t.Context(), data, 2)
	}
	if err == nil {
		err = h.Remove(t.Context(), data)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := a.createVolume(t.Context(), create); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("a volume was created empty in place of a replica in the trash: %v", err)
	}
}

// TestTheFirstCopyComesFromTheOrigin, if the backend can get it there.
func TestTheFirstCopyComesFromTheOrigin(t *testing.T) {
	a, h := newVolumeAgent(t)
	make := func(o cluster.Origin) error {
		return a.createVolume(t.Context(), plan.Step{Volume: data, Wanted: cluster.Volume{ID: data, Origin: &o}})
	}
	a.Backend = struct{ volume.Backend }{h}
	if err := make(cluster.Origin{Volume: "other"}); !errors.Is(err, cluster.ErrUnsupported) {
		t.Errorf("a clone by a backend that has none: %v, want ErrUnsupported", err)
	}
	a.Backend = h
	if err := make(cluster.Origin{Adopt: "tank/db"}); err != nil || h.adopted != "tank/db" {
		t.Errorf("adopt: %v, adopted %q", err, h.adopted)
	}
}

// TestWhatWasWrittenAfterTheLastRoundIsKeptAndTold, also where the hand-off finds it: the move has happened,
// and ends.
func TestWhatWasWrittenAfterTheLastRoundIsKeptAndTold(t *testing.T) {
	a, h := newVolumeAgent(t)
	told := &hearing{}
	a.Control = told
	if err := a.createVolume(t.Context(), plan.Step{Volume: data}); err != nil {
		t.Fatal(err)
	}
	_, err := h.Open(t.Context(), data, 1, "")
	if err == nil {
		err = h.Close(t.Context(), data)
	}
	if err == nil {
		_, err = h.Snapshot(t.Context(), data, "final", false)
	}
	if err == nil {
		err = h.Put(data, "late", []byte("by whom nobody stopped"))
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time after a crash
		if err := a.closing().Demote(t.Context(), data, 2); err != nil {
			t.Error(err)
		}
	}
	if len(told.events) != 1 || told.events[0].Kind != "diverged" {
		t.Errorf("told: %+v", told.events)
	}
}
