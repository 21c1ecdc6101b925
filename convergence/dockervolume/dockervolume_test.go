package dockervolume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/convergence/agentsocket"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/internal/sleep"
	"github.com/drover/drover/volume/plugin"
)

// A world is a control service and an agent with one volume, as a Host of node a sees them.
type world struct {
	mu       sync.Mutex
	status   wire.VolumeStatus
	nodes    []wire.NodeStatus
	brief    []wire.VolumeBrief
	revision cluster.Revision
	moves    []cluster.Move // what Move answers, one after another
	away     bool           // the control service does not answer
	deleted  error          // what it says of the volume, if that is gone
	noAgent  bool
	refuse   error // of RequestMove
	calls    []string
	uses     []string
	released []string // the calls that ended uses
	loses    bool     // the answer to the next of them
}

func (w *world) call(format string, args ...any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		return fmt.Errorf("%w: reach the control service", cluster.ErrUnavailable)
	}
	w.calls = append(w.calls, fmt.Sprintf(format, args...))
	return nil
}

func (w *world) VolumeChanges(ctx context.Context, since cluster.Revision, wait time.Duration) (wire.VolumeChanges, bool, error) {
	if err := w.call("volumes"); err != nil {
		return wire.VolumeChanges{}, false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.revision == since {
		w.mu.Unlock()
		_ = sleep.For(ctx, wait)
		w.mu.Lock()
		return wire.VolumeChanges{}, false, ctx.Err()
	}
	return wire.VolumeChanges{Revision: w.revision, Reset: since == 0, Volumes: w.brief}, true, nil
}

func (w *world) Nodes(context.Context) ([]wire.NodeStatus, error) { return w.nodes, w.call("nodes") }

func (w *world) Volume(_ context.Context, name string) (wire.VolumeStatus, error) {
	err := w.call("look %s", name)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && w.deleted != nil {
		return wire.VolumeStatus{}, w.deleted
	}
	return w.status, err
}

func (w *world) CreateVolume(_ context.Context, r wire.VolumeRequest) (wire.VolumeStatus, error) {
	if err := w.call("create %s on %s", r.Name, r.Node); err != nil {
		return w.status, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status.Volume.Name != "" {
		return w.status, cluster.ErrExists
	}
	w.status.Volume = cluster.Volume{ID: "id", Name: r.Name, MaximumSize: r.MaximumSize, Metadata: r.Metadata}
	w.status.Ownership = cluster.Ownership{Owner: "a", Epoch: 1}
	return w.status, nil
}

func (w *world) DeleteVolume(_ context.Context, name string) (wire.VolumeStatus, error) {
	return w.status, w.call("delete %s", name)
}

func (w *world) RequestMove(_ context.Context, r wire.MoveRequest) (cluster.Move, error) {
	if err := w.call("move %s to %s alone %t", r.Volume, r.To, r.Alone); err != nil {
		return cluster.Move{}, err
	}
	return cluster.Move{ID: "m", Phase: cluster.PhaseWaiting}, w.refuse
}

func (w *world) Move(ctx context.Context, _ cluster.MoveID, since cluster.Revision, wait time.Duration) (cluster.Move, cluster.Revision, error) {
	if err := w.call("watch"); err != nil {
		return cluster.Move{}, 0, err
	}
	if int(since) == len(w.moves) {
		_ = sleep.For(ctx, wait)
		return cluster.Move{}, since, ctx.Err()
	}
	m := w.moves[since]
	if m.Phase.Committed() {
		w.status.Ownership.Owner = "a"
	}
	return m, since + 1, nil
}

// Use implements agentsocket.Agent.
func (w *world) Use(_ context.Context, volume, mount string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.noAgent:
		return "", agentsocket.ErrAway
	case w.status.Ownership.Owner != "a":
		return "", cluster.ErrNotFound
	}
	w.uses = append(w.uses, mount)
	return "/" + volume, nil
}

// Release implements agentsocket.Agent.
func (w *world) Release(mount, call string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.noAgent {
		return agentsocket.ErrAway
	}
	if w.loses {
		w.loses, w.released = false, append(w.released, call)
		return agentsocket.ErrAway
	}
	w.released = append(w.released, call)
	w.uses = slices.DeleteFunc(w.uses, func(m string) bool { return m == mount })
	return nil
}

func (w *world) host(t *testing.T) *Host {
	return New(&Host{Node: "a", Control: w, Agent: w, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
}

// onB is a volume of node b.
func onB() *world {
	return &world{status: wire.VolumeStatus{Volume: cluster.Volume{ID: "id", Name: "v", MaximumSize: 5, Metadata: map[string]string{"tier": "db"}},
		Ownership: cluster.Ownership{Owner: "b", Epoch: 1, Created: true}, Names: map[cluster.NodeID]string{"a": "node-a", "b": "node-b"}}}
}

// within runs a test in fake time with the patience of a driver.
func within(t *testing.T, test func(t *testing.T, ctx context.Context)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), plugin.Patience)
		defer cancel()
		test(t, ctx)
	})
}

func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error()+cluster.Hint(err), word) {
			t.Errorf("error %v (hint %q) does not say %q", err, cluster.Hint(err), word)
		}
	}
}

func TestMountBringsAVolume(t *testing.T) {
	within(t, func(t *testing.T, ctx context.Context) {
		w := onB()
		w.moves = []cluster.Move{{Phase: cluster.PhasePrecopy}, {Phase: cluster.PhasePromote}}
		path, err := w.host(t).Mount(ctx, "v", "m")
		if err != nil || path != "/id" || !slices.Contains(w.calls, "move v to a alone true") {
			t.Errorf("%q, %v, calls %v", path, err, w.calls)
		}
	})
}

func TestMountOfWhatIsHereAsksNobodyElse(t *testing.T) {
	within(t, func(t *testing.T, ctx context.Context) {
		w := onB()
		w.status.Ownership.Owner, w.away = "a", true
		if path, err := w.host(t).Mount(ctx, "v", "m"); err != nil || path != "/v" {
			t.Errorf("%q, %v", path, err)
		}
	})
}

func TestMountsThatAreRefused(t *testing.T) {
	for _, row := range []struct {
		rule  string
		set   func(w *world)
		at    time.Duration // when it is refused
		words []string
	}{
		{"in use", func(w *world) {
			w.status.Copies = []wire.CopyStatus{{Node: "b", Copy: cluster.Copy{Users: []string{"container web"}}}}
		}, 0, []string{"in use on node-b by container web", "stop that first"}},
		{"somebody removed it", func(w *world) {
			w.deleted = cluster.WithHint(fmt.Errorf("volume v: %w: it was deleted by Docker on node-b", cluster.ErrNotFound), "drover volume undelete v")
		}, 0, []string{"deleted by Docker on node-b", "drover volume undelete v"}},
		{"in use, as the service knows", func(w *world) { w.refuse = fmt.Errorf("%w: in use", cluster.ErrConflict) }, 0, []string{"in use"}},
		{"in use, as the owner says", func(w *world) {
			w.moves = []cluster.Move{{Phase: cluster.PhaseRolledBack, Reason: "in use on node-b by container web"}}
		}, 0, []string{"stays on node-b", "container web"}},
		{"it takes too long", func(w *world) {
			w.moves = []cluster.Move{{ID: "m", Phase: cluster.PhasePrecopy, Reason: "slow", Stats: cluster.Stats{EstimatedBytes: 9 << 20}}}
		}, plugin.Patience, []string{"on its way from node-b (precopy", "of 9 MiB", "slow", "drover move watch m"}},
		{"the service is away", func(w *world) { w.away = true }, controlWait, []string{"control service"}},
		{"the agent is away", func(w *world) { w.noAgent = true }, plugin.Patience, []string{"agent of this host does not answer"}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			within(t, func(t *testing.T, ctx context.Context) {
				w := onB()
				row.set(w)
				began := time.Now()
				_, err := w.host(t).Mount(ctx, "v", "m")
				wantError(t, err, row.words...)
				if took := time.Since(began); took < row.at || took > row.at+time.Second {
					t.Errorf("refused after %s, want %s", took, row.at)
				}
			})
		})
	}
}

// TestAPluginThatEndsSaysWhatItOwes: the agent that starts again brings another one.
func TestAPluginThatEndsSaysWhatItOwes(t *testing.T) {
	within(t, func(t *testing.T, ctx context.Context) {
		w := onB()
		w.status.Ownership.Owner = "a"
		c := w.host(t)
		if _, err := c.Mount(ctx, "v", "m"); err != nil {
			t.Fatal(err)
		}
		w.noAgent = true
		if err := c.Unmount(ctx, "v", "m"); err != nil {
			t.Error(err)
		}
		time.AfterFunc(time.Second, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.noAgent = false
		})
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if err := c.Run(ended); !errors.Is(err, context.Canceled) || len(w.uses) != 0 {
			t.Errorf("it ended with %v, and left the uses %v", err, w.uses)
		}
	})
}

// TestUnmountsOfAnAgentThatIsAway are made good when it is back, before the same mount begins again.
func TestUnmountsOfAnAgentThatIsAway(t *testing.T) {
	within(t, func(t *testing.T, ctx context.Context) {
		w := onB()
		w.status.Ownership.Owner = "a"
		c := w.host(t)
		mount := func() {
			if _, err := c.Mount(ctx, "v", "m"); err != nil {
				t.Error(err)
			}
		}
		mount()
		w.noAgent = true
		if err := c.Unmount(ctx, "v", "m"); err != nil {
			t.Error(err)
		}
		w.noAgent = false
		mount()
		if !slices.Equal(w.uses, []string{"m"}) {
			t.Errorf("uses %v", w.uses)
		}
		w.noAgent = true
		if err := c.Unmount(ctx, "v", "m"); err != nil {
			t.Error(err)
		}
		running, cancel := context.WithCancel(ctx)
		go c.Run(running)
		w.mu.Lock()
		w.noAgent = false
		w.mu.Unlock()
		time.Sleep(2 * time.Second)
		cancel()
		synctest.Wait()
		if len(w.uses) != 0 {
			t.Errorf("uses %v", w.uses)
		}
	})
}

// TestAnEndWhoseAnswerIsLostIsToldAgain as the same one.
func TestAnEndWhoseAnswerIsLostIsToldAgain(t *testing.T) {
	within(t, func(t *testing.T, ctx context.Context) {
		w := onB()
		c := w.host(t)
		w.loses = true
		for range 2 {
			if err := c.Unmount(ctx, "v", "m"); err != nil {
				t.Error(err)
			}
		}
		if len(w.released) != 3 || w.released[0] == "" || w.released[0] != w.released[1] || w.released[1] == w.released[2] {
			t.Errorf("the calls were %q", w.released)
		}
	})
}

// TestAMountWaitsForItsEndToBeTold: an agent that comes back between the two would end the new use.
func TestAMountWaitsForItsEndToBeTold(t *testing.T) {
	within(t, func(t *testing.T, ctx context.Context) {
		w := onB()
		w.status.Ownership.Owner = "a"
		c := w.host(t)
		c.Agent = hardOfHearing{w, time.Now().Add(time.Second)}
		if _, err := c.Mount(ctx, "v", "m"); err != nil {
			t.Fatal(err)
		}
		if err := c.Unmount(ctx, "v", "m"); err != nil {
			t.Error(err)
		}
		for _, mount := range []string{"other", "m"} {
			if _, err := c.Mount(ctx, "v", mount); err != nil {
				t.Error(err)
			}
			if waits := time.Since(c.Agent.(hardOfHearing).until) >= 0; waits != (mount == "m") {
				t.Errorf("mount %s waited: %t", mount, waits)
			}
		}
		if err := c.settle(); err != nil || !slices.Equal(w.uses, []string{"other", "m"}) {
			t.Errorf("uses %v, %v", w.uses, err)
		}
	})
}

// A hardOfHearing agent hears of no end until then.
type hardOfHearing struct {
	*world
	until time.Time
}

func (h hardOfHearing) Release(mount, call string) error {
	if time.Now().Before(h.until) {
		return agentsocket.ErrAway
	}
	return h.world.Release(mount, call)
}

func TestCreateWaitsForTheOwner(t *testing.T) {
	within(t, func(t *testing.T, ctx context.Context) {
		w := &world{}
		time.AfterFunc(3*time.Second, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.status.Ownership.Created = true
		})
		began := time.Now()
		if err := w.host(t).Create(ctx, plugin.Request{Name: "v"}); err != nil || time.Since(began) < 3*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		if w.calls[0] != "create v on a" {
			t.Errorf("calls %v", w.calls)
		}
	})
}

func TestWhatTheOwnerCannotMakeIsTakenBack(t *testing.T) {
	within(t, func(t *testing.T, ctx context.Context) {
		w := &world{nodes: []wire.NodeStatus{{Node: cluster.Node{ID: "a", Name: "node-a"}, Live: true, State: cluster.NodeState{
			Steps: []cluster.StepState{{Kind: string(plan.CreateVolume), Subject: "id", Error: "no space"}}}}}}
		began := time.Now()
		wantError(t, w.host(t).Create(ctx, plugin.Request{Name: "v"}), "by node node-a: no space")
		if time.Since(began) > 2*time.Second || !slices.Contains(w.calls, "delete id") {
			t.Errorf("after %s: calls %v", time.Since(began), w.calls)
		}
	})
}

func TestCreateOfWhatExists(t *testing.T) {
	for _, row := range []struct {
		r     plugin.Request
		words []string // none: it is as was asked for
	}{
		{plugin.Request{}, nil},
		{plugin.Request{Size: 5, Labels: map[string]string{"tier": "db"}}, nil},
		{plugin.Request{Size: 6}, []string{"its size is 5, not 6"}},
		{plugin.Request{Profile: "database"}, []string{`its profile is "", not database`}},
		{plugin.Request{Labels: map[string]string{"tier": "web"}, Settings: map[string]string{"zfs.x": "1"}}, []string{`its label tier is "db", not "web"`, "its setting zfs.x"}},
		{plugin.Request{Replicas: 2}, []string{"its label replicas"}},
		{plugin.Request{From: "other"}, []string{"it is no clone"}},
	} {
		w := onB()
		row.r.Name = "v"
		err := w.host(t).Create(t.Context(), row.r)
		if wantError(t, err, row.words...); row.words == nil && err != nil {
			t.Errorf("%+v: %v", row.r, err)
		}
		if slices.Contains(w.calls, "delete id") {
			t.Errorf("%+v: it was deleted", row.r)
		}
	}
}

func TestABackendThatTheNodeHasNot(t *testing.T) {
	w := &world{nodes: []wire.NodeStatus{{Node: cluster.Node{ID: "a", Name: "node-a", Backend: "dir"}}, {Node: cluster.Node{ID: "b", Name: "node-b", Backend: "zfs"}}}}
	wantError(t, w.host(t).Create(t.Context(), plugin.Request{Name: "v", Backend: "zfs"}), "node-a stores with dir, not with zfs", "-o node=: node-b")
}

// TestWhatIsKnownOutlivesTheService and the process: volumes are listed, and it is said how old that is.
func TestWhatIsKnownOutlivesTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := onB()
		w.revision, w.brief = 1, []wire.VolumeBrief{{ID: "id", Name: "v", Owner: "node-b", Epoch: 1}, {ID: "two", Name: "w"}}
		c := w.host(t)
		ctx, cancel := context.WithCancel(t.Context())
		go c.Run(ctx)
		synctest.Wait()
		if v, _ := c.Volume("v", true); v.Status["note"] != nil || v.Status["owner"] != "node-b" {
			t.Errorf("while the service is there: %v", v.Status)
		}
		w.mu.Lock()
		w.revision, w.brief = 2, []wire.VolumeBrief{{ID: "two", Name: "w", Deleted: true}, {ID: "three", Name: "x"}}
		w.mu.Unlock()
		if _, err := c.Volume("x", false); err != nil {
			t.Error("one that was just made is not known")
		}
		w.mu.Lock()
		w.deleted = cluster.WithHint(fmt.Errorf("%w: it was deleted by user me", cluster.ErrNotFound), "undelete it")
		w.mu.Unlock()
		_, err := c.Volume("w", false)
		wantError(t, err, "deleted by user me", "undelete it")
		cancel()
		synctest.Wait()
		w.away = true
		again := New(&Host{Node: "a", Control: w, Agent: w, Dir: c.Dir, Log: c.Log})
		var names []string
		for _, v := range again.Volumes() {
			names = append(names, v.Name)
		}
		if !slices.Equal(names, []string{"v", "x"}) {
			t.Errorf("after a restart: %v", names)
		}
		time.Sleep(time.Minute)
		if v, _ := again.Volume("v", true); v.Status["owner"] != "node-b" || !strings.Contains(fmt.Sprint(v.Status["note"]), "1m") {
			t.Errorf("after a restart: %v", v.Status)
		}
		if _, err := again.Volume("nothing", true); !errors.Is(err, cluster.ErrNotFound) {
			t.Error("it knows of nothing")
		}
		if errors.Is(again.Remove(t.Context(), "v"), cluster.ErrNotFound) {
			t.Error("no answer is taken for none")
		}
	})
}
