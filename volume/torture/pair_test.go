package torture

import (
	"math/rand/v2"
	"testing"

	"github.com/drover/drover/cluster"
)

// A pair moves one volume between two nodes, step by step, without anything in its way.
type pair struct {
	t        testing.TB
	trial    *Trial
	from, to *Node
	// path is where the volume is now.
	path string
}

func newPair(t testing.TB, from, to *Node) *pair {
	t.Helper()
	trial := &Trial{Path: []*Node{from, to}, Log: t.Logf, ctx: t.Context(), tally: &Tally{}, epoch: 1, id: cluster.VolumeID(cluster.NewUUID()),
		r: rand.New(rand.NewPCG(1, 2)), Without: []string{"cut", "full disk", "restart"}}
	p := &pair{t: t, trial: trial, from: from, to: to, path: plant(t, from, trial.id)}
	t.Cleanup(func() {
		unmountBelow(from.Backend.Path(trial.id))
		if err := trial.clean(); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return p
}

// round ships a round while the volume is open.
func (p *pair) round() {
	p.t.Helper()
	if _, err := (&shipper{trial: p.trial, from: p.from, to: p.to}).rounds("round"); err != nil {
		p.t.Fatal(err)
	}
}

// move ends the move and judges. The volume is on the other node then.
func (p *pair) move() {
	p.t.Helper()
	want := look(p.t, p.path)
	path, err := p.hand(want)
	if err != nil {
		p.t.Fatal(err)
	}
	p.path, p.from, p.to = path, p.to, p.from
}

func (p *pair) hand(want View) (string, error) {
	s := &shipper{trial: p.trial, from: p.from, to: p.to}
	if err := p.from.Backend.Close(p.trial.ctx, p.trial.id); err != nil {
		return "", err
	}
	final, err := s.final()
	if err != nil {
		return "", err
	}
	return p.trial.commit(s, final, want)
}
