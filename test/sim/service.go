package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	ctl "github.com/drover/drover/control"
	"github.com/drover/drover/control/store"
	"github.com/drover/drover/control/store/mem"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/sleep"
)

// A service is the control service, with the process that it runs in and the disk that it writes to.
type service struct {
	world *world

	mu     sync.Mutex
	disk   *mem.Store
	now    *ctl.Service // nil: it is down
	life   context.Context
	end    context.CancelCauseFunc
	ended  chan struct{}
	backup *mem.Store // an older state of the disk
	back   bool       // which was put back
	clock  *clock
	past   []cluster.MoveID // the moves that were on record as ended, when that was last looked at

	// When nodes last said how they are, and when it last was not told that it had written; guarded by the world's mu.
	heard  map[cluster.NodeID]time.Time
	unsure time.Time
}

// errCrashed is the cause of what a crash broke off.
var errCrashed = errors.New("crashed")

func newService(w *world) *service {
	return &service{world: w, disk: mem.New(), clock: newClock(w, control), heard: map[cluster.NodeID]time.Time{}}
}

// start begins a life of the service on what the disk holds.
func (s *service) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != nil {
		return
	}
	s.life, s.end = context.WithCancelCause(context.Background())
	svc, err := ctl.Open(s.life, &forgetful{Store: s.disk, world: s.world}, ctl.Options{Log: quiet, Version: "sim", Cluster: "sim", Clock: s.clock.now, KeptMoves: keptMoves})
	if err != nil { // whoever watches over it starts it again
		s.end(errCrashed)
		s.world.go_(func() { s.world.wait(time.Second); s.start() })
		return
	}
	s.now, s.ended, s.past = svc, make(chan struct{}), nil
	life, ended := s.life, s.ended
	go func() { defer close(ended); _ = svc.Run(life) }() // it ends with its life only
}

// stop ends the life at once. What it had begun to answer is not answered, what it had begun to write is
// written or not.
func (s *service) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return
	}
	s.end(errCrashed)
	s.now = nil
	s.disk = s.disk.Reopen()
	<-s.ended
}

// wait returns the service once it is up.
func (s *service) wait() *ctl.Service {
	for {
		s.mu.Lock()
		now := s.now
		s.mu.Unlock()
		if now != nil {
			return now
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// backUp keeps a copy of the disk.
func (s *service) backUp() {
	s.mu.Lock()
	s.backup = s.disk.Backup()
	s.mu.Unlock()
	s.world.happened("the store is backed up")
}

// restore puts the copy back. The service must be down.
func (s *service) restore() {
	s.mu.Lock()
	if s.backup != nil && s.now == nil {
		s.disk, s.back = s.backup.Backup(), true
	}
	s.mu.Unlock()
	s.world.happened("the store is put back")
}

// wentBack reports whether that has ever been done.
func (s *service) wentBack() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.back
}

// ask has a call carried out. An error that is cluster.ErrUnavailable leaves open whether it was.
func (s *service) ask(ctx context.Context, from, what string, call func(context.Context, *ctl.Service) error) error {
	net := s.world.net
	if err := net.send(ctx, from, control, what); err != nil {
		return err
	}
	s.mu.Lock()
	svc, life := s.now, s.life
	s.mu.Unlock()
	if svc == nil {
		return fmt.Errorf("%w: the control service is down", cluster.ErrUnavailable)
	}
	if what == "report" || what == "register" || what == "heartbeat" {
		s.hears(cluster.NodeID(strings.TrimSuffix(from, "'")))
	}
	if d := s.world.dice("ghosts " + from + " " + what); !s.world.without("ghost") && d.one(200) {
		s.haunt(context.WithoutCancel(ctx), d, life, svc, call)
		_ = sleep.For(ctx, silence)
		return fmt.Errorf("%w: no answer from the control service", cluster.ErrUnavailable)
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(life, func() { cancel(errCrashed) })()
	err := call(inner, svc)
	if life.Err() != nil {
		return fmt.Errorf("%w: the control service broke off", cluster.ErrUnavailable)
	}
	if lost := net.send(ctx, control, from, what); lost != nil {
		return lost
	}
	return err
}

// present returns the service; nil if it is down.
func (s *service) present() *ctl.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *service) hears(node cluster.NodeID) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	s.heard[node] = time.Now()
}

// inTouch checks that a node to which a volume was given has said lately how it is.
func (s *service) inTouch(node cluster.NodeID) {
	s.world.mu.Lock()
	silent, sure := time.Since(s.heard[node]), time.Since(s.unsure) > time.Minute
	s.world.mu.Unlock()
	if sure && silent > wire.LivenessWindow+time.Second {
		s.world.breached("a volume is given to nobody who is not there: %s was not heard of for %s", node, silent)
	}
}

// keptMoves is how many of the moves that have ended are kept.
const keptMoves = 3

// checkMoves checks that no move that has ended vanishes from the records before so many others have.
func (s *service) checkMoves() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return
	}
	var ended []cluster.MoveID
	for _, m := range s.now.Moves() {
		if m.Phase.Ended() {
			ended = append(ended, m.ID)
		}
	}
	gone := slices.ContainsFunc(s.past, func(id cluster.MoveID) bool { return !slices.Contains(ended, id) })
	if gone && len(ended) < keptMoves {
		s.world.breached("the last %d moves that have ended are on record: there are %d", keptMoves, len(ended))
	}
	s.past = ended
}

// haunt has a call carried out long after its caller gave up: it was on its way for that long.
func (s *service) haunt(ctx context.Context, d *dice, life context.Context, svc *ctl.Service, call func(context.Context, *ctl.Service) error) {
	late := d.between(time.Second, 40*time.Second)
	s.world.go_(func() {
		if sleep.For(life, late) == nil {
			ctx, cancel := context.WithTimeout(ctx, silence)
			defer cancel()
			defer context.AfterFunc(life, cancel)()
			err := call(ctx, svc)
			s.world.happened("a ghost: %v", err)
		}
	})
}

// A forgetful store now and then does not say that it has written.
type forgetful struct {
	store.Store
	world *world
}

func (f *forgetful) Write(ctx context.Context, b store.Batch) (cluster.Revision, error) {
	d := f.world.dice("disk of control")
	sick := !f.world.without("disk")
	if sick && d.one(300) {
		return 0, errors.New("the disk is sick")
	}
	revision, err := f.Store.Write(ctx, b)
	if err == nil && sick && d.one(300) {
		f.world.mu.Lock()
		f.world.service.unsure = time.Now()
		f.world.mu.Unlock()
		return 0, errors.New("the disk did not answer")
	}
	return revision, err
}
