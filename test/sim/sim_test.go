package sim

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"
)

var (
	seeds   = flag.Int("sim.seeds", 100, "how many seeds to run")
	first   = flag.Uint64("sim.seed", 1, "the first seed")
	workers = flag.Int("sim.workers", runtime.NumCPU(), "how many processes share them")
	child   = flag.Bool("sim.child", false, "be one of them")
	verbose = flag.Bool("sim.v", false, "print what happens")
	stop    = flag.Bool("sim.stop", false, "end with the first breach")
	without = flag.String("sim.without", "", "faults and orders to leave out, separated by commas")
)

// TestSim runs seeds, and fails if a promise is broken by one of them.
func TestSim(t *testing.T) {
	began := time.Now()
	var all tally
	var mu sync.Mutex
	var done sync.WaitGroup
	each := (*seeds + *workers - 1) / *workers
	for begin := 0; begin < *seeds; begin += each {
		done.Go(func() {
			part := process(t, *first+uint64(begin), min(each, *seeds-begin))
			mu.Lock()
			defer mu.Unlock()
			all = tally{all.seeds + part.seeds, all.steps + part.steps, all.breaches + part.breaches, all.trace ^ part.trace}
		})
	}
	done.Wait()
	if all.breaches > 0 {
		t.Fail()
	}
	fmt.Printf("%s in %s\n", all, time.Since(began).Round(time.Second))
}

// TestReplay: a seed does the same thing again. Go's scheduler interrupts who has had the processor for
// 10 ms of real time; on a busy machine that may be somebody who in fact waited for it, and then the run is
// another one. It does not happen twice in the same way: what is seen twice is the seed's.
func TestReplay(t *testing.T) {
	const tries = 8
	seen := map[tally]bool{}
	for range tries {
		one := process(t, *first, 5)
		if seen[one] {
			return
		}
		seen[one] = true
	}
	t.Errorf("%d runs did %d different things: %v", tries, len(seen), seen)
}

// A tally is what came of some seeds.
type tally struct {
	seeds, steps, breaches int
	trace                  uint64
}

const tallyFormat = "sim: %d seeds, %d steps, %d breaches, trace %x"

func (a tally) String() string {
	return fmt.Sprintf(tallyFormat, a.seeds, a.steps, a.breaches, a.trace)
}

// process runs seeds in a process of their own. There, nothing but the seed chooses who of two goes first:
// one processor, and nobody is interrupted.
func process(t *testing.T, from uint64, n int) (all tally) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestSeeds$", "-test.timeout=24h", "-sim.child", "-sim.without="+*without,
		fmt.Sprint("-sim.v=", *verbose), fmt.Sprint("-sim.stop=", *stop), fmt.Sprint("-sim.seeds=", n), fmt.Sprint("-sim.seed=", from))
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1", "GOGC=400")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	at := strings.LastIndex(string(out), "sim: ")
	_, scanErr := fmt.Sscanf(string(out[max(0, at):]), tallyFormat, &all.seeds, &all.steps, &all.breaches, &all.trace)
	if scanErr != nil || err != nil {
		t.Errorf("seeds %d to %d: %v\n%s", from, from+uint64(n)-1, err, out)
	} else if all.breaches > 0 {
		t.Logf("%s", out)
	}
	return all
}

// TestSeeds is what such a process does.
func TestSeeds(t *testing.T) {
	if !*child {
		return
	}
	var all tally
	for n := range *seeds {
		seed := *first + uint64(n)
		r := run(t, seed)
		all.seeds++
		all.steps += r.Steps
		all.trace ^= r.Trace
		if r.Breach != "" {
			all.breaches++
			fmt.Printf("seed %d, after %d steps: %s\n", seed, r.Steps, r.Breach)
			if *stop {
				break
			}
		}
	}
	fmt.Println(all)
}

// run is one seed in a bubble of its own.
func run(t *testing.T, seed uint64) (r Result) {
	t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, seed)
		synctest.Test(t, func(t *testing.T) {
			o := Options{Seed: seed, Without: map[string]bool{}}
			for _, what := range strings.Split(*without, ",") {
				o.Without[what] = true
			}
			if *verbose {
				o.Verbose = func(line string) { fmt.Fprintln(os.Stderr, line) }
			}
			r = Run(t, o)
		})
	})
	return r
}
