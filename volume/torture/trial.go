package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// A Trial moves one volume around. Everything that it chooses comes of its seed, but for how its
// writers and the kernel take turns.
type Trial struct {
	Seed uint64
	// Nodes are those that it chooses from; at least two.
	Nodes []*Node
	// Path, if set, is where the volume goes instead.
	Path []*Node
	// Names is about how many names a tree begins with at most; zero is 130.
	Names int
	// Without are names of changes that are not made, and of hurdles: to look behind a fault that is
	// known.
	Without []string
	// Log is told what happens.
	Log func(format string, args ...any)

	ctx   context.Context
	tally *Tally
	r     *rand.Rand
	can   Can
	id    cluster.VolumeID
	epoch cluster.Epoch
	names int // of snapshots that were made
}

// Run runs the trial and counts it. An error is a fault of what is tested.
func (t *Trial) Run(ctx context.Context, tally *Tally) (err error) {
	t.ctx, t.tally, t.epoch = ctx, tally, 1
	t.r = rand.New(rand.NewPCG(t.Seed, 0xd20ce2))
	t.id = cluster.VolumeID(cluster.NewUUID())
	if t.Path == nil {
		t.Path = t.choose()
	}
	t.can = t.Path[0].Can
	var path []string
	for _, n := range t.Path {
		t.can = t.can.Both(n.Can)
		path = append(path, n.Name)
	}
	t.Log("seed %d: %s", t.Seed, strings.Join(path, ", "))
	defer func() {
		if ctx.Err() != nil {
			err = nil // it was ended, and says nothing
		}
		tally.Tree(err)
	}()
	err = t.run()
	if err != nil {
		_ = t.clean() // what stands in the way of that is the same fault
		return err
	}
	return t.clean()
}

// choose returns a way through the nodes: there and back, or around three of them.
func (t *Trial) choose() []*Node {
	way := t.r.Perm(len(t.Nodes))
	a, b, c := t.Nodes[way[0]], t.Nodes[way[1]], t.Nodes[way[2%len(way)]]
	switch t.r.IntN(4) {
	case 0:
		return []*Node{a, b, c, a}
	case 1:
		return []*Node{a, b, c, b, a}
	case 2:
		return []*Node{a, b}
	}
	return []*Node{a, b, a}
}

func (t *Trial) run() error {
	first := t.Path[0]
	if err := first.Backend.Create(t.ctx, t.id, volume.Options{}); err != nil {
		return fmt.Errorf("create on %s: %w", first.Name, err)
	}
	path, err := first.Backend.Open(t.ctx, t.id, t.epoch, "")
	if err != nil {
		return fmt.Errorf("open on %s: %w", first.Name, err)
	}
	for leg := range t.Path[1:] {
		from, to := t.Path[leg], t.Path[leg+1]
		if from == to {
			continue
		}
		if path, err = t.move(from, to, path, leg == 0); err != nil {
			return fmt.Errorf("from %s to %s (leg %d): %w", from.Name, to.Name, leg+1, err)
		}
		t.tally.Pair(from, to)
	}
	return nil
}

// move moves the volume once, as a handoff does, and judges. It returns where the volume is then.
func (t *Trial) move(from, to *Node, path string, grow bool) (string, error) {
	tree, err := OpenTree(path, t.can, rand.New(rand.NewPCG(t.r.Uint64(), 1)))
	if err != nil {
		return "", err
	}
	defer func() { tree.Close() }() // again, if all went well
	tree.Without = t.Without
	if grow {
		tree.Grow(t.most()/13 + t.r.IntN(t.most()))
	} else {
		for range t.r.IntN(t.most()/3 + 1) {
			tree.Change()
		}
	}
	s := &shipper{trial: t, from: from, to: to}
	for range t.r.IntN(4) {
		err := s.round(tree)
		if err != nil {
			return "", err
		}
		for range t.r.IntN(20) {
			tree.Change()
		}
		if t.r.IntN(6) == 0 && !slices.Contains(t.Without, "restart") {
			if tree, err = s.interrupt(tree, path); err != nil {
				return "", err
			}
		}
	}
	if err := t.leave(tree); err != nil { // nobody uses the volume any more
		return "", err
	}
	want, err := Look(path)
	if err != nil {
		return "", fmt.Errorf("the source: %w", err)
	}
	if err := from.Backend.Close(t.ctx, t.id); err != nil {
		return "", fmt.Errorf("close: %w", err)
	}
	final, err := s.final()
	if err != nil {
		return "", err
	}
	return t.commit(s, final, want)
}

// leave ends the changing of a tree and counts what was changed.
func (t *Trial) leave(tree *Tree) error {
	for what, n := range tree.Done() {
		t.tally.AddN("of "+what, n)
	}
	return tree.Close()
}

// interrupt ends the agent of one of both nodes, or its host, between two rounds. The application goes on with
// what it finds then.
func (s *shipper) interrupt(tree *Tree, path string) (*Tree, error) {
	t := s.trial
	if t.r.IntN(2) == 0 {
		return tree, s.crash(s.to, true)
	}
	err := t.leave(tree)
	if err == nil {
		err = s.crash(s.from, true)
	}
	if err == nil {
		_, err = s.from.Backend.Open(t.ctx, t.id, t.epoch, "")
	}
	if err != nil {
		return tree, err
	}
	again, err := OpenTree(path, t.can, rand.New(rand.NewPCG(t.r.Uint64(), 2)))
	if err != nil {
		return tree, err
	}
	again.Without = t.Without
	return again, nil
}

func (t *Trial) most() int {
	if t.Names > 0 {
		return t.Names
	}
	return 130
}

// commit makes the target the owner, and judges what it has.
func (t *Trial) commit(s *shipper, final cluster.Snapshot, want View) (string, error) {
	t.epoch++
	demote := func() error { return s.from.Backend.Demote(t.ctx, t.id, t.epoch) }
	early := t.r.IntN(2) == 0
	if early {
		if err := demote(); err != nil {
			return "", fmt.Errorf("demote: %w", err)
		}
	}
	if t.r.IntN(4) == 0 {
		if err := s.crash([]*Node{s.to, s.from}[t.r.IntN(2)], true); err != nil {
			return "", err
		}
	}
	path, err := s.to.Backend.Open(t.ctx, t.id, t.epoch, final.GUID)
	if err != nil {
		return "", fmt.Errorf("open: %w", err)
	}
	if !early {
		if err := demote(); err != nil {
			return "", fmt.Errorf("demote: %w", err)
		}
	}
	return path, t.judge(s, final, want, path)
}

// judge compares what is on the target with what was on the source.
func (t *Trial) judge(s *shipper, final cluster.Snapshot, want View, path string) error {
	got, err := Look(path)
	if err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	wrong := want.Differences(got)
	source, done, err := s.from.Peek(t.id, final.Name)
	if err != nil {
		return fmt.Errorf("look at the source: %w", err)
	}
	defer done()
	was, err := Look(source)
	if err != nil {
		return fmt.Errorf("the source after the move: %w", err)
	}
	for _, what := range want.Differences(was) {
		wrong = append(wrong, "the source's own copy: "+what)
	}
	lines, err := Rsync(t.ctx, source, path)
	if err != nil {
		return err
	}
	for _, line := range lines {
		wrong = append(wrong, "rsync: "+line)
	}
	if len(wrong) == 0 {
		return nil
	}
	more := ""
	if n := len(wrong) - 12; n > 0 {
		wrong, more = wrong[:12], fmt.Sprintf("\n  and %d more", n)
	}
	return fmt.Errorf("the target is not what the source was:\n  %s%s", strings.Join(wrong, "\n  "), more)
}

// clean takes the volume away everywhere, for good.
func (t *Trial) clean() error {
	ctx := context.WithoutCancel(t.ctx)
	var errs []error
	seen := map[*Node]bool{}
	for _, n := range t.Path {
		if seen[n] {
			continue
		}
		seen[n] = true
		err := n.Backend.Close(ctx, t.id)
		if errors.Is(err, cluster.ErrNotFound) {
			err = nil
		}
		if err == nil {
			err = n.Backend.Remove(ctx, t.id)
		}
		if trash, is := volume.As[volume.Trasher](n.Backend); is && err == nil {
			err = trash.Purge(ctx, time.Now().Add(time.Hour))
			if err != nil && !strings.Contains(err.Error(), string(t.id)) {
				err = nil // that is what an earlier trial has found
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("clean up on %s: %w", n.Name, err))
		}
	}
	return errors.Join(errs...)
}
