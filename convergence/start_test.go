package convergence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
	memruntime "github.com/drover/drover/convergence/runtime/mem"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/mem"
)

// TestNothingWaitsForVolumesAtTheStart: routes are in force, and whoever asks is answered, while a slow
// backend still looks at what it has.
func TestNothingWaitsForVolumesAtTheStart(t *testing.T) {
	a, h := newVolumeAgent(t)
	if _, err := saveAssignment(a.Dir, cluster.Assignment{Revision: 7, Node: "a", Routes: []cluster.Route{{External: 80, Mode: cluster.Forward, Endpoint: "10.0.0.2:80"}}}); err != nil {
		t.Fatal(err)
	}
	applied := make(chan []cluster.Route, 10)
	registered := make(chan struct{}, 10)
	slow := &Agent{Node: a.Node, Backend: roomy{Backend: h, block: make(chan struct{})}, Runtime: aloneHost{}, Dir: a.Dir, Log: a.Log,
		Routes: routing(applied), Control: present{registered: registered}}
	ctx, cancel := context.WithCancel(t.Context())
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- slow.Run(ctx) }()
	for what, is := range map[string]func() bool{
		"the routes are in force": func() bool { return len(applied) > 0 },
		"the node has registered": func() bool { return len(registered) > 0 },
	} {
		for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("while the volumes are looked at it is not so that %s", what)
			}
		}
	}
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type routing chan []cluster.Route

func (r routing) Apply(routes []cluster.Route) error { r <- routes; return nil }

// present is a control service that has nothing to say.
type present struct {
	Control
	registered chan struct{}
}

func (p present) Register(context.Context, cluster.Node) error {
	p.registered <- struct{}{}
	return nil
}

func (present) Assignment(ctx context.Context, _ cluster.NodeID, _ cluster.Revision, _ time.Duration) (cluster.Assignment, bool, error) {
	<-ctx.Done()
	return cluster.Assignment{}, false, ctx.Err()
}

func (present) Report(context.Context, cluster.NodeState) error { return nil }

// aloneHost has nothing that starts or ends.
type aloneHost struct{ host }

func (aloneHost) Instances(context.Context) ([]runtime.Instance, error) { return nil, nil }

func (aloneHost) Changed() <-chan struct{} { return nil }

// roomy is a backend that says how much room there is.
type roomy struct {
	volume.Backend
	free  int64
	block chan struct{} // nil: it answers at once
}

func (r roomy) Space(ctx context.Context) (volume.Space, error) {
	return volume.Space{Free: r.free, Total: r.free}, r.wait(ctx)
}

func (r roomy) Copies(ctx context.Context) ([]volume.Copy, error) {
	if err := r.wait(ctx); err != nil {
		return nil, err
	}
	return r.Backend.Copies(ctx)
}

func (r roomy) wait(ctx context.Context) error {
	if r.block == nil {
		return nil
	}
	select {
	case <-r.block:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// expelling is a control service that knows of this node that it was removed.
type expelling struct{ present }

func (expelling) Register(context.Context, cluster.Node) error {
	return cluster.WithHint(fmt.Errorf("%w: by somebody", cluster.ErrRemoved), "readmit it")
}

func (expelling) Report(context.Context, cluster.NodeState) error { return cluster.ErrRemoved }

// TestANodeThatWasRemovedStartsNothing of what it was told before, which another node may have by now; and it
// opens nothing without having asked.
func TestANodeThatWasRemovedStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		app := cluster.Application{Name: "db", Node: "a", Volume: &cluster.Attachment{Volume: data, Mountpoint: "/data"}}
		served := &lastRoutes{}
		_, err := saveAssignment(dir, cluster.Assignment{Revision: 7, Node: "a", Applications: []cluster.Application{app}, Routes: []cluster.Route{{External: 80}},
			Volumes: []cluster.OwnedVolume{{Volume: cluster.Volume{ID: data}, Ownership: cluster.Ownership{Volume: data, Owner: "a", Epoch: 1}, Application: "db"}}})
		if err != nil {
			t.Fatal(err)
		}
		disk, apps := mem.New(), memruntime.New(func(runtime.Spec) memruntime.Behaviour { return memruntime.Behaviour{} })
		a := &Agent{Node: cluster.Node{ID: "a"}, Backend: disk, Runtime: apps, Dir: dir, Log: slog.New(slog.DiscardHandler), Routes: served, Control: expelling{}}
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		for range 20 {
			time.Sleep(time.Second)
			copies, _ := disk.Copies(ctx)
			instances, _ := apps.Instances(ctx)
			if len(copies)+len(instances) > 0 {
				t.Fatalf("it has made %+v, %+v", copies, instances)
			}
		}
		kept, _, err := loadAssignment(dir)
		if err != nil || !kept.Removed || len(kept.Applications)+len(kept.Volumes) > 0 {
			t.Errorf("after a restart it would go on by %+v, %v", kept, err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(served.routes) > 0 || len(kept.Routes) > 0 {
			t.Errorf("it serves %+v, and would again by %+v: nobody tells it where they lead now", served.routes, kept.Routes)
		}
	})
}
