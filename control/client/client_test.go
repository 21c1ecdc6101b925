package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

// A fixture is a service, behind its API, with the client of a user and that of a node.
type fixture struct {
	service *apitest.Service
	server  *apitest.Server
	user    *client.Client
	node    *client.Client
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	service := apitest.NewService()
	server := apitest.Serve(t, service, api.Options{})
	return fixture{
		service: service,
		server:  server,
		user:    open(t, server.Address, server.Certificates, pki.User),
		node:    open(t, server.Address, server.NodeCertificates(apitest.NodeA), pki.Node),
	}
}

func open(t *testing.T, address, dir, name string) *client.Client {
	t.Helper()
	c, err := client.FromFiles(address, dir, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestWhatIsReadArrivesWhole(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	world := apitest.World{
		Configuration: cluster.Configuration{
			Applications: map[cluster.AppName]cluster.Application{"db": {Name: "db", Image: "postgres", Stop: cluster.StopPolicy{Timeout: time.Second}}},
			Volumes:      map[cluster.VolumeID]cluster.Volume{"v": {ID: "v", Name: "data"}},
			Leases:       map[cluster.VolumeID]cluster.Lease{"v": {Volume: "v", Expires: at}},
		},
		Revision: 42,
		Nodes:    []wire.NodeStatus{{Node: cluster.Node{ID: "n"}, Live: true, Heard: at}},
		Moves:    []cluster.Move{{ID: "m", Phase: cluster.PhaseHold, Stats: cluster.Stats{Pause: time.Second}}},
		Volumes: []wire.VolumeStatus{{Volume: cluster.Volume{ID: "v", Name: "my data +%é"}, Ownership: cluster.Ownership{Owner: "n", Epoch: 3},
			Copies: []wire.CopyStatus{{Node: "n", Copy: cluster.Copy{Snapshots: []cluster.Snapshot{{Name: "s", Created: at, Kept: true}}}}}}},
		Keys:     []cluster.UserKey{{Name: "me", Key: "k", Added: at}},
		Removed:  []cluster.RemovedNode{{ID: "gone", Name: "g", At: at, By: "user me", Replacement: "n"}},
		Recovery: wire.Recovery{Recovering: true, Noticed: at, Why: "a has acted on more", Consequences: []string{"v goes on"}},
		Events:   []cluster.Event{{ID: 7, Time: at, Kind: "moved"}},
	}
	f.service.Set(func(w *apitest.World) { *w = world })

	same := func(what string, got any, err error, want any) {
		t.Helper()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", what, err, diff)
		}
	}
	version, err := f.user.Version(ctx)
	same("version", version, err, f.service.Version())
	document, err := f.user.Configuration(ctx)
	same("configuration", document, err, wire.ConfigurationDocument{Revision: 42, Configuration: world.Configuration})
	status, err := f.user.Status(ctx)
	same("status", status, err, f.service.Status())
	nodes, err := f.node.Nodes(ctx)
	same("nodes", nodes, err, world.Nodes)
	moves, err := f.node.Moves(ctx)
	same("moves", moves, err, world.Moves)
	volumes, err := f.node.Volumes(ctx)
	same("volumes", volumes, err, world.Volumes)
	volume, err := f.user.Volume(ctx, "my data +%é")
	same("a volume whose name needs quoting", volume, err, world.Volumes[0])
	snapshots, err := f.user.Snapshots(ctx, "v")
	same("snapshots", snapshots, err, world.Volumes[0].Copies[0].Copy.Snapshots)
	keys, err := f.user.Keys(ctx)
	same("keys", keys, err, world.Keys)
	removed, err := f.user.RemovedNodes(ctx)
	same("the removed nodes", removed, err, world.Removed)
	recovery, err := f.user.Recovery(ctx)
	same("the recovery", recovery, err, world.Recovery)
	events, err := f.user.Events(ctx, 6, 0)
	same("events", events, err, world.Events)
}

func TestWhatIsSaidArrivesWhole(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	node := cluster.Node{ID: apitest.NodeA, Name: "a", Labels: map[string]string{"disk": "ssd"}}
	state := cluster.NodeState{Node: apitest.NodeA, Seen: 7, Applications: []cluster.Instance{}, Volumes: []cluster.Copy{}}
	event := cluster.Event{Node: apitest.NodeA, Kind: "conflict", Message: "It differs."}
	progress := wire.ProgressReport{Attempt: 2, Phase: cluster.PhasePrecopy, Stats: cluster.Stats{Rounds: []cluster.Round{{Bytes: 9}}}}
	commit := wire.CommitRequest{Attempt: 2, Epoch: 4, Base: "guid"}
	failure := wire.FailureReport{Attempt: 2, Reason: "cut", Final: true}
	created := wire.VolumeRequest{Name: "data", Node: "a", Options: map[string]string{"zfs.copies": "2"}, Origin: &cluster.Origin{Adopt: "tank/db"}}
	for _, tt := range []struct {
		method    string
		call      func() error
		arguments []any
	}{
		{"Register", func() error { return f.node.Register(ctx, node) }, []any{node}},
		{"Report", func() error { return f.node.Report(ctx, state) }, []any{state}},
		{"Heartbeat", func() error { return f.node.Heartbeat(ctx, apitest.NodeA, wire.Heartbeat{Sequence: 9}) },
			[]any{apitest.NodeA, wire.Heartbeat{Sequence: 9}}},
		{"Record", func() error { return f.node.Record(ctx, event) }, []any{event}},
		{"RequestMove", func() error {
			move, err := f.user.RequestMove(ctx, wire.MoveRequest{Application: "db", To: "b"})
			return expect(err, move, cluster.Move{ID: "m", Application: "db", To: "b"})
		}, []any{wire.MoveRequest{Application: "db", To: "b"}}},
		{"AbortMove", func() error {
			move, err := f.user.AbortMove(ctx, "m")
			return expect(err, move, cluster.Move{ID: "m", Aborting: true})
		}, []any{cluster.MoveID("m")}},
		{"Ready", func() error { return f.node.Ready(ctx, "m", wire.ReadyReport{Attempt: 2, Refused: "full"}) },
			[]any{apitest.NodeA, cluster.MoveID("m"), wire.ReadyReport{Attempt: 2, Refused: "full"}}},
		{"Progress", func() error { return f.node.Progress(ctx, "m", progress) }, []any{apitest.NodeA, cluster.MoveID("m"), progress}},
		{"Hold", func() error {
			result, err := f.node.Hold(ctx, "m", wire.AttemptRequest{Attempt: 2})
			return expect(err, result, wire.HoldResult{Holding: 2, Missing: []cluster.NodeID{apitest.NodeB}})
		}, []any{apitest.NodeA, cluster.MoveID("m"), wire.AttemptRequest{Attempt: 2}}},
		{"Commit", func() error {
			ownership, err := f.node.Commit(ctx, "m", commit)
			return expect(err, ownership, cluster.Ownership{Owner: apitest.NodeB, Epoch: 5, Base: "guid"})
		}, []any{apitest.NodeA, cluster.MoveID("m"), commit}},
		{"Failed", func() error { return f.node.Failed(ctx, "m", failure) }, []any{apitest.NodeA, cluster.MoveID("m"), failure}},
		{"AddKey", func() error { return f.user.AddKey(ctx, "me", wire.KeyRequest{Key: "k"}) }, []any{"me", wire.KeyRequest{Key: "k"}}},
		{"AcceptRecovery", func() error {
			_, err := f.user.AcceptRecovery(ctx, wire.AcceptRequest{Without: []string{"a"}})
			return err
		}, []any{wire.AcceptRequest{Without: []string{"a"}}}},
		{"RemoveNode", func() error {
			r, err := f.user.RemoveNode(ctx, "a", wire.RemovalRequest{Replacement: "b", Leave: true, Confirmed: true})
			return expect(err, r.Done, true)
		}, []any{"a", wire.RemovalRequest{Replacement: "b", Leave: true, Confirmed: true}}},
		{"ReadmitNode", func() error {
			n, err := f.user.ReadmitNode(ctx, "a")
			return expect(err, n, cluster.RemovedNode{ID: "a"})
		}, []any{"a"}},
		{"RemoveKey", func() error { return f.user.RemoveKey(ctx, "me") }, []any{"me"}},
		{"RequestSnapshot", func() error { return f.user.RequestSnapshot(ctx, "data", wire.SnapshotRequest{Name: "now"}) },
			[]any{"data", wire.SnapshotRequest{Name: "now"}}},
		{"DropSnapshot", func() error {
			v, err := f.user.DropSnapshot(ctx, "data", "now")
			return expect(err, v.Volume.Name, "data")
		}, []any{"data", cluster.SnapshotName("now")}},
		{"CreateVolume", func() error {
			v, err := f.user.CreateVolume(ctx, created)
			return expect(err, v.Volume.Name, "data")
		}, []any{created}},
		{"ResizeVolume", func() error {
			v, err := f.user.ResizeVolume(ctx, "data", wire.ResizeRequest{MaximumSize: 9})
			return expect(err, v.Volume.Name, "data")
		}, []any{"data", wire.ResizeRequest{MaximumSize: 9}}},
		{"DeleteVolume", func() error {
			v, err := f.user.DeleteVolume(ctx, "data")
			return expect(err, v.Volume.Name, "data")
		}, []any{"data"}},
		{"UndeleteVolume", func() error {
			v, err := f.user.UndeleteVolume(ctx, "data")
			return expect(err, v.Volume.Name, "data")
		}, []any{"data"}},
		{"TakeOverVolume", func() error {
			v, err := f.user.TakeOverVolume(ctx, "data", wire.TakeoverRequest{Node: "b"})
			return expect(err, v.Volume.Name, "data")
		}, []any{"data", wire.TakeoverRequest{Node: "b"}}},
		{"RollbackVolume", func() error {
			v, err := f.user.RollbackVolume(ctx, "data", wire.RollbackRequest{Snapshot: "now", Force: true})
			return expect(err, v.Volume.Name, "data")
		}, []any{"data", wire.RollbackRequest{Snapshot: "now", Force: true}}},
	} {
		if err := tt.call(); err != nil {
			t.Errorf("%s: %v", tt.method, err)
			continue
		}
		calls := f.service.Calls()
		if diff := cmp.Diff(apitest.Call{Method: tt.method, Arguments: tt.arguments}, calls[len(calls)-1]); diff != "" {
			t.Errorf("%s: what arrived differs:\n%s", tt.method, diff)
		}
	}
}

func expect(err error, got, want any) error {
	if err == nil && !reflect.DeepEqual(got, want) {
		return fmt.Errorf("answer = %+v, want %+v", got, want)
	}
	return err
}

func TestConfigure(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	web := cluster.Configuration{Applications: map[cluster.AppName]cluster.Application{"web": {Name: "web", Image: "nginx"}}}
	document, err := f.user.Configure(ctx, 1, web)
	if err != nil || document.Revision != 2 || !document.Changed {
		t.Fatalf("from the present revision: %+v, %v", document, err)
	}
	if _, err := f.user.Configure(ctx, 1, cluster.Configuration{}); !errors.Is(err, cluster.ErrStale) {
		t.Errorf("from an older revision: %v, want ErrStale", err)
	}
	document, err = f.user.Configure(ctx, 0, cluster.Configuration{})
	if err != nil || document.Revision != 3 || len(document.Configuration.Applications) != 0 {
		t.Errorf("from no revision, to nothing: %+v, %v", document, err)
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	f := newFixture(t)
	for _, kind := range []error{cluster.ErrInvalid, cluster.ErrNotFound, cluster.ErrExists, cluster.ErrConflict, cluster.ErrStale,
		cluster.ErrRefused, cluster.ErrForbidden, cluster.ErrUnavailable, cluster.ErrUnsupported} {
		f.service.Set(func(w *apitest.World) { w.Err = cluster.WithHint(fmt.Errorf("move db: %w: because", kind), "do this") })
		_, err := f.user.RequestMove(t.Context(), wire.MoveRequest{})
		if !errors.Is(err, kind) || err.Error() != "move db: "+kind.Error()+": because" || cluster.Hint(err) != "do this" {
			t.Errorf("%v came back as %v with hint %q", kind, err, cluster.Hint(err))
		}
	}
	f.service.Set(func(w *apitest.World) { w.Err = nil; w.Panic = "a bug" })
	if _, err := f.user.Moves(t.Context()); err == nil || errors.Is(err, cluster.ErrUnavailable) || !strings.Contains(cluster.Hint(err), "incident") {
		t.Errorf("a panic came back as %v with hint %q", err, cluster.Hint(err))
	}
}

func TestTheCertificateDecides(t *testing.T) {
	f := newFixture(t)
	other := cluster.Node{ID: apitest.NodeB}
	for rule, err := range map[string]error{
		"a node writes another":       f.node.Register(t.Context(), other),
		"a node reports for another":  f.node.Report(t.Context(), cluster.NodeState{Node: apitest.NodeB}),
		"a user writes a node":        f.user.Register(t.Context(), other),
		"a node asks for a move":      second(f.node.RequestMove(t.Context(), wire.MoveRequest{})),
		"a node reads what users see": second(f.node.Configuration(t.Context())),
		"a user commits":              second(f.user.Commit(t.Context(), "m", wire.CommitRequest{})),
	} {
		if !errors.Is(err, cluster.ErrForbidden) {
			t.Errorf("%s: %v, want ErrForbidden", rule, err)
		}
	}
	if err := f.node.Record(t.Context(), cluster.Event{}); !errors.Is(err, cluster.ErrInvalid) {
		t.Errorf("an event of no node: %v, want ErrInvalid", err)
	}
	if calls := f.service.Calls(); len(calls) != 0 {
		t.Errorf("the service was called: %v", calls)
	}
}

func second[T any](_ T, err error) error { return err }

func TestAServiceThatDoesNotAnswerIsUnavailable(t *testing.T) {
	f := newFixture(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := listener.Addr().String()
	listener.Close()

	_, err = open(t, nobody, f.server.Certificates, pki.User).Nodes(t.Context())
	if !errors.Is(err, cluster.ErrUnavailable) || !strings.Contains(err.Error(), "reach the control service at "+nobody) {
		t.Errorf("nobody listens: %v", err)
	}

	stranger := t.TempDir()
	if _, err := pki.Init(stranger, "other"); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, f.server.Address, stranger, pki.User).Nodes(t.Context())
	if !errors.Is(err, cluster.ErrUnavailable) || !strings.Contains(cluster.Hint(err), "authority") {
		t.Errorf("another cluster: %v, hint %q", err, cluster.Hint(err))
	}

	if _, err := client.FromFiles(nobody, t.TempDir(), pki.User); err == nil {
		t.Error("a directory without certificates will do")
	}
	if _, err := open(t, "no address", f.server.Certificates, pki.User).Nodes(t.Context()); !errors.Is(err, cluster.ErrInvalid) {
		t.Errorf("an address that is none: %v, want ErrInvalid", err)
	}
}

func TestTheCallersContextIsTheCallersError(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.user.Nodes(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("cancelled: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := f.user.Events(ctx, 0, time.Minute); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("out of time: %v", err)
	}
}
