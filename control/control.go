// Package control is the control service: it accepts the configuration that users want, records
// the state that nodes report, and alone decides who owns which volume.
//
//	s, err := control.Open(ctx, store, control.Options{})
//	go s.Run(ctx)                                  // deadlines, back-offs, leases, liveness
//	doc, err := s.Configure(ctx, 0, configuration) // by a user
//	assignment, err := s.Assignment(ctx, node, since)        // by a node's agent, which waits here
//	err = s.Report(ctx, state)
//
// One write goes one way, whatever asked for it:
//
//	call -> edit -> reconcile (package rules, on one view) -> one batch to the store
//	                                                                |
//	      nodes that it concerns wake and get new assignments <- records changed
//
// The model is in memory and written through; what nodes report stays in memory, since they
// report it again. After a restart the service knows who owns what, and of the nodes nothing:
// it closes no route and creates nothing until it has heard of them.
//
// What is decided is in package rules, what is on record in package records, what a node gets in
// package assign, what people are told in package report: all of them functions of one package view.
// Here are the locks, the waiting, and what is remembered of nodes that are in touch.
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
	"github.com/drover/drover/control/records"
	"github.com/drover/drover/control/rules"
	"github.com/drover/drover/control/store"
	"github.com/drover/drover/control/view"
	"github.com/drover/drover/control/wire"
)

// A Service is the control service of one cluster. All methods may be called concurrently. What
// they return is shared with others and must not be changed, except for configurations. Use Open.
type Service struct {
	store   store.Store
	options Options
	clock   clock
	started time.Time
	life    string // what this life of the service is on record as

	// writing is held by one writer at a time, from its edit until it is applied.
	writing sync.Mutex
	// doubt: a write failed in a way that leaves open what the store holds. Guarded by writing.
	doubt bool

	// mu guards all that follows. It is never held while the store writes, so that readers and
	// heartbeats do not wait for a disk.
	mu sync.Mutex
	// model is replaced only by who holds both locks; a writer may read it without mu.
	model    *records.Model
	seen     *view.Seen
	sessions map[cluster.NodeID]*session
	// standings are what the sessions show, and shown counts how often that was looked at.
	standings     records.Map[cluster.NodeID, *standing]
	shown         int
	parted        map[cluster.NodeID]cluster.Revision // what nodes that were removed had been given
	logs          map[cluster.LogID]*logRequest
	watch         watch
	shared        shared
	volumeChanges volumeChanges
}

// Open loads what the store holds. The service keeps using the store but does not close it.
func Open(ctx context.Context, s store.Store, o Options) (*Service, error) {
	o.Timing = o.Timing.OrDefaults()
	clock := newClock(o.Clock)
	svc := &Service{
		store: s, options: o, clock: clock, started: clock.now(), life: cluster.NewUUID(), doubt: true,
		seen:          &view.Seen{},
		sessions:      map[cluster.NodeID]*session{},
		parted:        map[cluster.NodeID]cluster.Revision{},
		logs:          map[cluster.LogID]*logRequest{},
		watch:         watch{moves: map[cluster.MoveID]*movement{}},
		volumeChanges: volumeChanges{revision: cluster.Revision(clock.now().UnixNano())},
	}
	// Each start is written down: by that it is known later whether what a node was told is of this store. And the
	// store's revision, with those of all assignments to come, is above what any earlier process gave out.
	if _, err := svc.update(ctx, func(w *rules.Write) error { w.Start(svc.life); return nil }); err != nil {
		return nil, fmt.Errorf("open the control service: %w", err)
	}
	svc.watch.first = svc.next()
	svc.shared.revision = svc.watch.first
	// What was noted before is part of what whoever comes now is told whole.
	svc.shared.routes.from, svc.shared.nodes.from, svc.shared.keys.from = svc.watch.first, svc.watch.first, svc.watch.first
	svc.volumeChanges.from = svc.volumeChanges.revision
	svc.options.log().Info("control service opened", "revision", svc.model.Revision,
		"applications", svc.model.Applications.Len(), "volumes", svc.model.Volumes.Len())
	return svc, nil
}

// view returns everything as it is. The caller holds mu, for as long as it uses it; see also glance.
func (s *Service) view() view.View {
	return view.View{Model: s.model, Seen: s.seen, Started: s.started, Timing: s.options.Timing,
		Now: s.clock.now(), Wall: s.clock.wall(), KeptMoves: s.options.KeptMoves, NewID: cluster.NewUUID}
}

// Version says which build this is and which cluster it serves.
func (s *Service) Version() wire.Version {
	return wire.Version{Version: s.options.Version, Cluster: s.options.Cluster}
}
