package handoff

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/fault"
	"github.com/drover/drover/internal/sleep"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// precopy ships the volume round by round while the application runs, until what is left should
// fit the pause.
func (h *Handoff) precopy(ctx context.Context) error {
	if err := h.findBase(ctx); err != nil {
		return err
	}
	p := h.predictor()
	shortest := best{at: time.Now()}
	for n := 1; ; n++ {
		fault.Point("handoff.precopy")
		name, past := h.next(n)
		done, err := h.round(ctx, name)
		if err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
		if past {
			continue // it says nothing of what is written now
		}
		p.add(done)
		shortest.add(done)
		switch next, why := p.next(); next {
		case enough:
			h.Log.Info("pre-copy is done", "rounds", n, "reason", why)
			return nil
		case tooMuch:
			return &Error{Final: true, cause: pauseTooLong(why)}
		case later:
			if time.Since(shortest.at) > h.waitPatience() {
				return &Error{Final: true, cause: pauseTooLong(fmt.Sprintf("no round got shorter for %s: %s", h.waitPatience(), why))}
			}
			h.Log.Info("pre-copy waits", "rounds", n, "reason", why)
			h.stats.wait("another round is tried until one is short enough: " + why)
			if err := sleep.For(ctx, p.budget); err != nil {
				return err
			}
		case another:
		}
	}
}

// best is the shortest round so far, but for a tenth, and when it was.
type best struct {
	took time.Duration
	at   time.Time
}

func (b *best) add(r round) {
	if r.incremental && (b.took == 0 || r.took < b.took*9/10) {
		b.took, b.at = r.took, time.Now()
	}
}

// predictor returns one that has seen no round yet.
func (h *Handoff) predictor() predictor {
	return predictor{budget: h.pauseBudget(), hold: h.holdPatience(), stop: h.Move.Stats.Stop,
		maxRounds: h.maxRounds(), policy: h.OverBudget}
}

// pauseTooLong is why a move ends before anything is stopped, with the ways out.
func pauseTooLong(why string) error {
	return cluster.WithHint(fmt.Errorf("%w: the pause would be too long: %s", cluster.ErrRefused, why),
		"move when less is written, or give the agents and proxies a longer --hold-patience")
}

// next names the snapshot of the next round. Past is one that was made before this attempt.
func (h *Handoff) next(n int) (name cluster.SnapshotName, past bool) {
	switch {
	case h.partial != nil:
		return h.partial.To, false
	case len(h.past) > 0:
		name, h.past = h.past[0], h.past[1:]
		return name, true
	}
	return h.roundName(fmt.Sprint(n)), false
}

// round ships one round while the application runs.
func (h *Handoff) round(ctx context.Context, name cluster.SnapshotName) (round, error) {
	// What is left of a round that was cut says nothing of how long a whole one takes.
	difference, whole, began := h.shared, h.partial == nil, time.Now()
	h.stats.begin()
	h.estimate(ctx, name)
	_, err := h.ship(ctx, name, h.BytesPerSecond)
	if errors.Is(err, cluster.ErrStale) && !whole {
		h.Log.Warn("what has arrived of the round is of no use: it is shipped anew", "error", err)
		whole = true
		_, err = h.ship(ctx, name, h.BytesPerSecond)
	}
	if errors.Is(err, cluster.ErrStale) && difference && h.native() {
		h.Log.Warn("what both sides hold is not of one lineage: the difference is shipped file by file", "error", err)
		h.byFiles = true
		_, err = h.ship(ctx, name, h.BytesPerSecond)
	}
	if difference && (errors.Is(err, cluster.ErrStale) || h.byFiles && cannot(err)) {
		h.Log.Warn("the snapshot that both sides hold is of no use: the volume is shipped in full", "error", err)
		h.shared, h.byFiles, difference = false, false, false
		_, err = h.ship(ctx, name, h.BytesPerSecond)
	}
	return round{took: time.Since(began), incremental: difference && whole}, err
}

// cannot reports whether a difference could not even be made: without the content of its base, say.
func cannot(err error) bool {
	return errors.Is(err, cluster.ErrUnsupported) || errors.Is(err, cluster.ErrNotFound)
}

// native reports whether rounds are in a stream of the backends' own, which a difference by files
// could stand in for.
func (h *Handoff) native() bool {
	p := h.Backend.Properties()
	return p.Proof != "" && p.Name == h.Target.Backend && !h.byFiles
}

// findBase looks up the newest snapshot that both sides know, and drops the remains of earlier
// attempts on this side.
func (h *Handoff) findBase(ctx context.Context) error {
	mine, err := volume.Find(ctx, h.Backend, h.Move.Volume)
	if err != nil {
		return err
	}
	h.stats.expect(mine.UsedBytes)
	old := cluster.OldRounds(mine.Snapshots)
	theirs, err := h.session.Copy(ctx, h.Move.Volume)
	if err != nil && !errors.Is(err, cluster.ErrNotFound) {
		return fmt.Errorf("ask %s for its copy: %w", h.Target.Name, err)
	}
	// The other side must hold it, so the order is theirs; the name is ours.
	if newest, ok := volume.Common(theirs.Snapshots, slices.Concat(mine.Snapshots, mine.Bases)); ok {
		h.buildOn(mine, func(s cluster.Snapshot) bool { return s.GUID == newest.GUID })
	}
	h.goOn(mine, theirs)
	for _, s := range mine.Snapshots {
		if s.Kept || (h.shared && s.GUID == h.base.GUID) || (h.partial != nil && s.Name == h.partial.To) {
			continue
		}
		if h.keepsFinals() && s.Final() && !slices.Contains(old, s) {
			if h.goesFirst(mine, theirs, s) {
				h.past = append(h.past, s.Name)
			}
			continue
		}
		if err := h.Backend.Drop(ctx, h.Move.Volume, s.Name); err != nil {
			return fmt.Errorf("drop snapshot %s of an earlier attempt: %w", s.Name, err)
		}
	}
	return nil
}

// keepsFinals reports whether the last rounds of past moves are of use as a base.
func (h *Handoff) keepsFinals() bool {
	p := h.Backend.Properties()
	return (p.AnyBase || p.Bases) && p.Name == h.Target.Backend
}

// goesFirst reports whether a last round of a past move, which other nodes may be at, is shipped
// before this attempt's own rounds: then the target holds it when the volume goes on from there.
func (h *Handoff) goesFirst(mine, theirs volume.Copy, s cluster.Snapshot) bool {
	at := func(is func(cluster.Snapshot) bool) int { return slices.IndexFunc(mine.Snapshots, is) }
	same := func(other cluster.Snapshot) bool { return other.GUID == s.GUID }
	switch {
	case slices.ContainsFunc(theirs.Snapshots, same):
		return false
	case h.partial != nil:
		return at(same) > at(func(m cluster.Snapshot) bool { return m.Name == h.partial.To })
	case !h.shared:
		return true
	case h.bare:
		return s.Created.After(h.base.Created)
	}
	return at(same) > at(func(m cluster.Snapshot) bool { return m.GUID == h.base.GUID })
}

// buildOn makes what is here of a snapshot the base of the next round, and reports whether there is
// anything of it.
func (h *Handoff) buildOn(mine volume.Copy, is func(cluster.Snapshot) bool) bool {
	for _, held := range []struct {
		snapshots []cluster.Snapshot
		bare      bool
	}{{mine.Snapshots, false}, {mine.Bases, true}} {
		if i := slices.IndexFunc(held.snapshots, is); i >= 0 {
			h.base, h.shared, h.bare = held.snapshots[i], true, held.bare
			return true
		}
	}
	return false
}

// goOn takes up a transfer of an earlier attempt that was cut, if this side still has what it takes.
// Its first round then ships what has not arrived.
func (h *Handoff) goOn(mine, theirs volume.Copy) {
	p := theirs.Partial
	named := func(name cluster.SnapshotName) func(cluster.Snapshot) bool {
		return func(s cluster.Snapshot) bool { return s.Name == name }
	}
	switch {
	case p == nil || len(p.Token) == 0 || !slices.ContainsFunc(mine.Snapshots, named(p.To)):
	case p.From == "" || h.buildOn(mine, named(p.From)):
		h.partial, h.byFiles = p, p.Listed && h.native()
	}
}

// ship makes a snapshot, ships what it adds to the shared base, and makes it the new base.
func (h *Handoff) ship(ctx context.Context, name cluster.SnapshotName, rate int64) (cluster.Snapshot, error) {
	began := time.Now()
	snapshot, err := h.Backend.Snapshot(ctx, h.Move.Volume, name, false)
	if err != nil {
		return cluster.Snapshot{}, fmt.Errorf("make snapshot %s: %w", name, err)
	}
	d := h.delta(name)
	h.partial = nil
	made := time.Since(began)
	bytes, err := h.session.Send(ctx, d, h.Backend, transfer.Options{BytesPerSecond: rate, Progress: h.stats.shipped})
	h.stats.end(bytes, time.Since(began))
	h.Log.Debug("a round was shipped", "delta", d, "bytes", bytes, "snapshot_took", made, "took", time.Since(began))
	if err != nil {
		return cluster.Snapshot{}, fmt.Errorf("send %s to %s: %w", d, h.Target.Name, err)
	}
	if h.shared && !h.bare && !h.base.Kept && !(h.keepsFinals() && h.base.Final()) {
		// The target holds the new one, so nothing needs the old one any more.
		if err := h.Backend.Drop(ctx, h.Move.Volume, h.base.Name); err != nil {
			h.Log.Warn("could not drop an old snapshot; it is dropped with the next move", "snapshot", h.base.Name, "error", err)
		}
	}
	h.base, h.shared, h.bare = snapshot, true, false
	return snapshot, nil
}

// estimate says what the round under way should come to, where the backend can tell. In a round that
// goes on with what has arrived already, nobody can.
func (h *Handoff) estimate(ctx context.Context, name cluster.SnapshotName) {
	estimator, ok := volume.As[volume.Estimator](h.Backend)
	d := h.delta(name)
	if !ok || len(d.Resume) > 0 {
		return
	}
	_, err := h.Backend.Snapshot(ctx, h.Move.Volume, name, false) // the one that is shipped next
	if err == nil {
		var bytes int64
		if bytes, err = estimator.Estimate(ctx, d); err == nil {
			h.stats.expectRound(bytes)
			return
		}
	}
	h.Log.Debug("the round could not be estimated", "error", err)
}

// delta is what the next round ships.
func (h *Handoff) delta(name cluster.SnapshotName) volume.Delta {
	d := volume.Delta{Volume: h.Move.Volume, To: name, Files: h.byFiles || h.Target.Backend != h.Backend.Properties().Name}
	if h.shared {
		d.From = h.base.Name
	}
	if p := h.partial; p != nil {
		d.From, d.Resume = p.From, p.Token
	}
	return d
}

// finalName names the last round after the moment, too: where the store of the control service has gone back, an
// attempt of that number may have been here before, and its last round must not be taken for that of now.
func (h *Handoff) finalName() cluster.SnapshotName {
	return h.roundName(strconv.FormatInt(time.Now().UnixNano(), 36) + cluster.FinalSuffix)
}

// roundName names a snapshot after the move, the attempt and the round, so that no two attempts
// mean different content by the same name.
func (h *Handoff) roundName(round string) cluster.SnapshotName {
	return cluster.SnapshotName(fmt.Sprintf("move-%.8s-%d-%s", h.Move.ID, h.Move.Attempt, round))
}
