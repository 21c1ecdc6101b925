// Package control is the control service: it accepts the configuration that users want, records
// the state that nodes report, and alone decides who owns which volume.
//
//	s, err := control.Open(ctx, store, control.Options{})
//	go s.Run(ctx)                                  // deadlines, back-offs, leases, liveness
//	doc, err := s.Configure(ctx, 0, configuration) // by a user
//	slice, err := s.Slice(ctx, node, since)        // by a node's agent, which waits here
//	err = s.Report(ctx, state)
//
// One write goes one way, whatever asked for it:
//
//	call -> draft: edit -> reconcile volumes -> derive routes -> one batch to the store
//	                                                                  |
//	           nodes that it concerns wake and get new slices <- model swapped
//
// The model is in memory and written through; what nodes report stays in memory, since they
// report it again. After a restart the service knows who owns what, and of the nodes nothing:
// it closes no route and creates nothing until it has heard of them.
//
// The package speaks no HTTP (package api does), runs nothing on nodes (their agents do) and
// ships no data.
package control

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/store"
	"github.com/drover/drover/control/wire"
)

// A Service is the control service of one cluster. All methods may be called concurrently. What
// they return is shared with others and must not be changed, except for configurations. Use Open.
type Service struct {
	store   store.Store
	options Options
	started time.Time

	// writing is held by one writer at a time, while it drafts, writes and applies.
	writing sync.Mutex
	// doubt: a write failed in a way that leaves open what the store holds. Guarded by writing.
	doubt bool

	// mu guards all that follows. It is never held while the store writes, so that readers and
	// heartbeats do not wait for a disk.
	mu sync.Mutex
	// model is changed only by who holds both locks; a writer may read it without mu.
	model     *model
	sessions  map[cluster.NodeID]*session
	observed  observed
	progress  map[cluster.MoveID]progress
	conflicts map[cluster.VolumeID]string // those that an event told of
	logs      map[cluster.LogID]*logRequest
	watch     watch
	catalogue catalogue
}

// Open loads what the store holds. The service keeps using the store but does not close it.
func Open(ctx context.Context, s store.Store, o Options) (*Service, error) {
	svc := &Service{
		store: s, options: o, started: now(), doubt: true,
		sessions:  map[cluster.NodeID]*session{},
		observed:  newObserved(),
		progress:  map[cluster.MoveID]progress{},
		conflicts: map[cluster.VolumeID]string{},
		logs:      map[cluster.LogID]*logRequest{},
		watch:     watch{moves: map[cluster.MoveID]*movement{}},
	}
	// Each start is written down, so that the store's revision, and with it those of all slices
	// to come, are above what any earlier process gave out.
	if _, err := svc.update(ctx, func(d *draft) error { d.start = true; return nil }); err != nil {
		return nil, fmt.Errorf("open the control service: %w", err)
	}
	svc.watch.first = svc.next()
	svc.watch.shared = svc.watch.first
	svc.options.log().Info("control service opened", "revision", svc.model.revision,
		"applications", len(svc.model.applications.rows), "volumes", len(svc.model.volumes.rows))
	return svc, nil
}

// Version says which build this is and which cluster it serves.
func (s *Service) Version() wire.Version {
	return wire.Version{Version: s.options.Version, Cluster: s.options.Cluster}
}

// now is the present as it is written down: in UTC, without the reading of a process's own clock.
func now() time.Time { return time.Now().UTC().Round(0) }
