package torture

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
	transfermem "github.com/drover/drover/volume/transfer/mem"
)

// A shipper ships one volume from a node to another one, round by round.
type shipper struct {
	trial    *Trial
	from, to *Node
}

// attempts is how often a round is tried that is cut, or finds the disk full.
const attempts = 8

// A hurdle is what stands in the way of one attempt.
type hurdle struct {
	cut  int64
	full bool
}

// round ships a round while the volume is written to.
func (s *shipper) round(tree *Tree) error {
	pause := time.Duration(1+s.trial.r.IntN(10)) * time.Millisecond
	writer := tree.Write(pause)
	defer writer.Stop()
	_, err := s.rounds("round")
	return err
}

// final ships the last round, of a volume that nobody writes to.
func (s *shipper) final() (cluster.Snapshot, error) { return s.rounds("final") }

// rounds ships one snapshot, through whatever comes in its way. A round that does not work out goes
// on where it was, or with another snapshot; a last one goes on.
func (s *shipper) rounds(kind string) (cluster.Snapshot, error) {
	t := s.trial
	name := s.next(kind)
	for n := 1; ; n++ {
		h := s.hurdle(n)
		snapshot, err := s.attempt(name, h)
		if t.ctx.Err() != nil {
			return cluster.Snapshot{}, context.Cause(t.ctx)
		}
		switch {
		case err == nil:
			t.tally.Add("rounds")
			return snapshot, s.forget(snapshot)
		case n == attempts, h == hurdle{}:
			return cluster.Snapshot{}, fmt.Errorf("%s %s, attempt %d: %w", kind, name, n, err)
		}
		t.Log("%s, attempt %d with %+v: %v", name, n, h, err)
		if t.r.IntN(3) == 0 && !slices.Contains(t.Without, "restart") {
			at := t.r.IntN(2)
			if err := s.crash([]*Node{s.to, s.from}[at], at == 0 || kind == "final"); err != nil { // the other is in use
				return cluster.Snapshot{}, err
			}
		}
		if t.r.IntN(3) == 0 {
			name = s.next(kind)
		}
	}
}

func (s *shipper) next(kind string) cluster.SnapshotName {
	s.trial.names++
	return cluster.SnapshotName(fmt.Sprintf("%s-%d", kind, s.trial.names))
}

// hurdle chooses what stands in the way; less and less with each attempt.
func (s *shipper) hurdle(attempt int) (h hurdle) {
	r := s.trial.r
	if attempt > 4 {
		return h
	}
	switch n := r.IntN(16); {
	case n < 6 && !slices.Contains(s.trial.Without, "cut"):
		h.cut = 1 + int64(math.Exp(r.Float64()*math.Log(4<<20)))
	case n == 6 && !slices.Contains(s.trial.Without, "full disk"):
		h.full = true
	}
	return h
}

// attempt ships a snapshot over a connection of its own, as a move's attempt does: it finds out what
// both sides hold and builds on it.
func (s *shipper) attempt(name cluster.SnapshotName, h hurdle) (cluster.Snapshot, error) {
	t := s.trial
	if h.full {
		free, err := s.fill()
		if err != nil {
			return cluster.Snapshot{}, err
		}
		defer free()
	}
	cut := false
	wire := &transfermem.Transport{Nodes: map[cluster.NodeID]volume.Backend{"to": s.to.Backend},
		Cut: func(volume.Delta) int64 { return h.cut }}
	session, err := wire.Dial(t.ctx, cluster.Node{ID: "to"})
	if err != nil {
		return cluster.Snapshot{}, err
	}
	snapshot, err := s.from.Backend.Snapshot(t.ctx, t.id, name, false)
	if err != nil {
		return cluster.Snapshot{}, fmt.Errorf("make a snapshot: %w", err)
	}
	for _, build := range []func(cluster.SnapshotName, transfer.Session) (volume.Delta, error){s.goOn, s.build, s.whole} {
		d, buildErr := build(name, session)
		if buildErr != nil {
			return cluster.Snapshot{}, buildErr
		}
		n, sendErr := session.Send(t.ctx, d, s.from.Backend, transfer.Options{})
		t.tally.AddN("bytes shipped", int(n))
		cut = cut || (h.cut > 0 && n >= h.cut)
		err = sendErr
		if !errors.Is(err, cluster.ErrStale) || d.From == "" && len(d.Resume) == 0 {
			break
		}
		t.tally.Add("stale base")
	}
	if cut {
		t.tally.Add("cuts")
	}
	return snapshot, err
}

// fill leaves little or no space on one of the two sides, until the function that it returns is called.
func (s *shipper) fill() (free func(), err error) {
	t := s.trial
	full := []*Node{s.to, s.to, s.from}[t.r.IntN(3)]
	if !full.Fills {
		return func() {}, nil
	}
	give, err := full.fill(t.r.Int64N(3 << 20))
	if err != nil {
		return nil, fmt.Errorf("fill %s: %w", full.Name, err)
	}
	t.tally.Add("full disk")
	return func() {
		if err := give(); err != nil {
			t.Log("give the space back: %v", err)
		}
	}, nil
}

// goOn is what goes on with a transfer that was cut; if there is none, build.
func (s *shipper) goOn(name cluster.SnapshotName, session transfer.Session) (volume.Delta, error) {
	theirs, err := session.Copy(s.trial.ctx, s.trial.id)
	if errors.Is(err, cluster.ErrNotFound) {
		return s.whole(name, session)
	}
	if err != nil {
		return volume.Delta{}, fmt.Errorf("ask the target: %w", err)
	}
	if p := theirs.Partial; p != nil && p.To == name && len(p.Token) > 0 {
		mine, err := volume.Find(s.trial.ctx, s.from.Backend, s.trial.id)
		if err != nil {
			return volume.Delta{}, err
		}
		held := p.From == "" || slices.ContainsFunc(slices.Concat(mine.Snapshots, mine.Bases), func(s cluster.Snapshot) bool { return s.Name == p.From })
		if held {
			s.trial.tally.Add("resumed")
			d, err := s.whole(name, session)
			d.From, d.Resume = p.From, p.Token
			return d, err
		}
	}
	return s.build(name, session)
}

// build is what builds on the newest snapshot that both sides hold; if there is none, whole.
func (s *shipper) build(name cluster.SnapshotName, session transfer.Session) (volume.Delta, error) {
	d, err := s.whole(name, session)
	if err != nil {
		return d, err
	}
	mine, err := volume.Find(s.trial.ctx, s.from.Backend, s.trial.id)
	if err != nil {
		return d, err
	}
	theirs, err := session.Copy(s.trial.ctx, s.trial.id)
	if errors.Is(err, cluster.ErrNotFound) {
		return d, nil
	}
	if err != nil {
		return d, err
	}
	ours := slices.DeleteFunc(slices.Concat(mine.Snapshots, mine.Bases), func(s cluster.Snapshot) bool { return s.Name == name })
	if common, ok := volume.Common(theirs.Snapshots, ours); ok {
		i := slices.IndexFunc(ours, func(s cluster.Snapshot) bool { return s.GUID == common.GUID })
		d.From = ours[i].Name
	}
	return d, nil
}

// whole is everything.
func (s *shipper) whole(name cluster.SnapshotName, _ transfer.Session) (volume.Delta, error) {
	return volume.Delta{Volume: s.trial.id, To: name, Files: s.from.Kind() != s.to.Kind()}, nil
}

// forget drops what nothing builds on any more, as the owner does. Last rounds of earlier moves may
// be the base that another node is at.
func (s *shipper) forget(newest cluster.Snapshot) error {
	t := s.trial
	mine, err := volume.Find(t.ctx, s.from.Backend, t.id)
	if err != nil {
		return err
	}
	for _, old := range mine.Snapshots {
		if old.GUID == newest.GUID || old.Name[0] == 'f' && t.r.IntN(4) > 0 {
			continue
		}
		if err := s.from.Backend.Drop(t.ctx, t.id, old.Name); err != nil {
			return fmt.Errorf("drop %s: %w", old.Name, err)
		}
	}
	return nil
}

// crash ends the process of a node's agent and starts it again; now and then the host has lost its power, if it
// may.
func (s *shipper) crash(n *Node, mayCut bool) error {
	if n.Reopen == nil {
		return nil
	}
	cut := mayCut && n.PowerCut != nil && s.trial.r.IntN(2) == 0 && !slices.Contains(s.trial.Without, "power cut")
	b, err := n.Reopen(func() {
		if cut {
			n.PowerCut()
			s.trial.tally.Add("power cuts")
			s.trial.Log("%s has lost its power", n.Name)
		}
	})
	if err != nil {
		return fmt.Errorf("start %s again (after a power cut: %v): %w", n.Name, cut, err)
	}
	n.Backend = b
	s.trial.tally.Add("restarts")
	return nil
}
