// Package torture moves volumes with everything in them that a file system holds, changes them
// meanwhile, cuts the transfers, fills the disks, and lets rsync judge what arrives.
//
//	trial := torture.Trial{Seed: seed, Nodes: nodes, Log: t.Logf}
//	err := trial.Run(ctx, &tally)      // an error is a fault, with the seed that finds it again
//
// A trial is one volume: a tree that grows at random, changes between and during the rounds, and
// goes from node to node, each time as a move does it:
//
//	source   Snapshot Send ... Close Snapshot Send   Demote
//	             |                       |
//	target   Receive ...               Receive       Open (next epoch)
//
// Two judges compare what was on the source with what is on the target: rsync, and a walk of this
// package that also sees what rsync does not: flags, nanoseconds, holes that were filled.
//
// The package knows backends by their contract only, and makes none: its tests do.
package torture

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// A Node is a place for copies of volumes.
type Node struct {
	// Name tells the backend and what it stands on: "dir on xfs".
	Name    string
	Backend volume.Backend
	// Dir is a directory on the same file system, for what fills it.
	Dir string
	// Can is what a volume there can hold.
	Can Can
	// Peek shows what a copy holds at a snapshot, without changing it, until done is called.
	Peek func(id cluster.VolumeID, at cluster.SnapshotName) (path string, done func(), err error)
	// Reopen opens the backend again, as after a crash of its process, once meanwhile has been called.
	Reopen func(meanwhile func()) (volume.Backend, error)
	// PowerCut, if set, cuts the power of the host: what is not on the disk is lost. Nothing there may be open.
	PowerCut func()
	// Fills: it can be full, and not be so again.
	Fills bool
	// Settle, if set, waits until space that was given back can be used again.
	Settle func()
}

// Kind is the name of the node's backend.
func (n *Node) Kind() string { return n.Backend.Properties().Name }

// A Tally counts what trials did. The zero Tally is ready.
type Tally struct {
	mu     sync.Mutex
	trees  int
	counts map[string]int
	pairs  map[string]int
	faults int
}

// Add counts one more of something: "round", "cut", "change".
func (t *Tally) Add(what string) { t.AddN(what, 1) }

// AddN counts n more of something.
func (t *Tally) AddN(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	t.counts[what] += n
}

// Tree counts a trial, and whether it found a fault.
func (t *Tally) Tree(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trees++
	if err != nil {
		t.faults++
	}
}

// Join adds what another process has done.
func (t *Tally) Join(trees, rounds, faults int) {
	t.AddN("rounds", rounds)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trees += trees
	t.faults += faults
}

// Pair counts a move from one kind of backend to another one.
func (t *Tally) Pair(from, to *Node) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pairs == nil {
		t.pairs = map[string]int{}
	}
	t.pairs[from.Kind()+" to "+to.Kind()]++
}

// Faults is how many trials found one.
func (t *Tally) Faults() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.faults
}

// Ran reports whether there was a trial at all.
func (t *Tally) Ran() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.trees > 0
}

// Details are the counts, sorted, one a line.
func (t *Tally) Details() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	for _, counts := range []map[string]int{t.pairs, t.counts} {
		for _, what := range slices.Sorted(maps.Keys(counts)) {
			lines = append(lines, fmt.Sprintf("%7d %s", counts[what], what))
		}
	}
	return lines
}

// String is the one line that says it all.
func (t *Tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("torture: %d trees, %d rounds, %d pairs, %d faults", t.trees, t.counts["rounds"], len(t.pairs), t.faults)
}
