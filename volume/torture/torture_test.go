package torture

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

var (
	seedFlag = flag.Uint64("torture.seed", 0, "run the trial of this seed, and no other")
	forFlag  = flag.Duration("torture.for", 10*time.Second, "begin trials for this long")
	without  = flag.String("torture.without", "", "leave these changes out, comma-separated: to look behind a fault that is known")
	onlyFlag = flag.String("torture.only", "", "use only nodes whose name begins with one of these, comma-separated")
)

// total is of all trials of this process.
var total Tally

// TestMain ends with the line that says what was done.
func TestMain(m *testing.M) {
	if code, played := play(); played {
		os.Exit(code)
	}
	if code, done := onAHostOfItsOwn(); done {
		os.Exit(code)
	}
	flag.Parse()
	code := m.Run()
	if total.Ran() {
		for _, line := range total.Details() {
			fmt.Println(line)
		}
		fmt.Println(total.String())
	}
	os.Exit(code)
}

// TestTorture moves volumes with everything in them between all backends that this machine has, and
// lets rsync judge.
func TestTorture(t *testing.T) {
	all := only(nodes(t))
	if *seedFlag != 0 {
		trial(t, *seedFlag, all)
		return
	}
	// A quarter of the time is the ordinary user's.
	for end := time.Now().Add(*forFlag * 3 / 4); time.Now().Before(end); {
		trial(t, rand.Uint64()>>16|1, all)
	}
}

// names is how large trees are: where all of this is emulated, small.
func names() int {
	if hasZFS() {
		return 20
	}
	return 0
}

// trial runs one and reports its fault.
func trial(t *testing.T, seed uint64, nodes []*Node) {
	t.Helper()
	var story []string // of a trial that went well it is noise
	tr := Trial{Seed: seed, Nodes: nodes, Path: overZFS(nodes, seed), Names: names(), Without: strings.Split(*without, ","),
		Log: func(format string, args ...any) { story = append(story, fmt.Sprintf(format, args...)) }}
	if err := tr.Run(t.Context(), &total); err != nil {
		t.Errorf("%s\nFAULT: %v\nagain: go test ./volume/torture -run TestTorture -torture.seed=%d", strings.Join(story, "\n"), err, seed)
	}
}

// overZFS is the way of a trial where all of this is emulated: each move is from or to ZFS. What goes between
// others goes where nothing is emulated.
func overZFS(nodes []*Node, seed uint64) []*Node {
	if !hasZFS() {
		return nil
	}
	var some []*Node
	for _, n := range nodes {
		if n.Kind() == "zfs" {
			some = append(some, n)
		}
	}
	if len(some) == 0 {
		return nil
	}
	r := rand.New(rand.NewPCG(seed, 0x2f5))
	a, b := some[r.IntN(len(some))], nodes[r.IntN(len(nodes))]
	return [][]*Node{{a, b, a}, {b, a, b}, {b, a, nodes[r.IntN(len(nodes))]}}[r.IntN(3)]
}

// only returns the nodes that were asked for.
func only(all []*Node) []*Node {
	if *onlyFlag == "" {
		return all
	}
	var some []*Node
	for _, n := range all {
		for prefix := range strings.SplitSeq(*onlyFlag, ",") {
			if strings.HasPrefix(n.Name, prefix) {
				some = append(some, n)
				break
			}
		}
	}
	return some
}

// TestEveryPathThroughThreeNodes of any kinds and back; twice around, where that is not emulated.
func TestEveryPathThroughThreeNodes(t *testing.T) {
	byKind := map[string][]*Node{}
	var kinds []string
	for _, n := range nodes(t) {
		if byKind[n.Kind()] == nil {
			kinds = append(kinds, n.Kind())
		}
		byKind[n.Kind()] = append(byKind[n.Kind()], n)
	}
	for _, a := range kinds {
		for _, b := range kinds {
			for _, c := range kinds {
				if hasZFS() && a != "zfs" && b != "zfs" && c != "zfs" {
					continue // it is walked where nothing is emulated
				}
				t.Run(fmt.Sprintf("%s, %s, %s", a, b, c), func(t *testing.T) {
					tr := Trial{Seed: 28, Path: []*Node{byKind[a][0], byKind[b][1], byKind[c][2]}, Log: t.Logf, Names: 30}
					if hasZFS() {
						tr.Names, tr.Without = 6, []string{"cut", "full disk", "restart", "file of holes"}
					} else {
						tr.Path = append(tr.Path, tr.Path...)
					}
					tr.Path = append(tr.Path, tr.Path[0])
					if err := tr.Run(t.Context(), &total); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}

// TestTreesHoldEverything: a change that the kernel always refuses tests nothing.
func TestTreesHoldEverything(t *testing.T) {
	for _, n := range nodes(t) {
		t.Run(n.Name, func(t *testing.T) {
			done := map[string]int{}
			for seed := range uint64(12) {
				id := cluster.VolumeID(cluster.NewUUID())
				path := plant(t, n, id)
				tree, err := OpenTree(path, n.Can, rand.New(rand.NewPCG(seed, 0)))
				if err != nil {
					t.Fatal(err)
				}
				tree.Grow(150)
				tree.Close()
				for what, count := range tree.Done() {
					done[what] += count
				}
			}
			for _, all := range [][]change{makers, changers} {
				for _, c := range all {
					if (c.of == nil || c.of(n.Can)) && done[c.name] == 0 {
						t.Errorf("%q was never done", c.name)
					}
				}
			}
			t.Logf("%+v", n.Can)
		})
	}
}
