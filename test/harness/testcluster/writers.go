package testcluster

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/drover/drover/test/harness/writers"
)

// A writerWatch looks at the processes of this machine, not at what the agents say of them, and
// notes every instant at which an application ran on two nodes.
type writerWatch struct {
	look   func() map[string][]string
	ended  chan struct{}
	result chan []string
}

// watchWriters begins to watch. Look returns, for each application with a volume, the nodes on
// which a process of it lives.
func watchWriters(every time.Duration, look func() map[string][]string) *writerWatch {
	w := &writerWatch{look: look, ended: make(chan struct{}), result: make(chan []string, 1)}
	go w.run(every)
	return w
}

// stop ends the watch and returns what it saw.
func (w *writerWatch) stop() []string {
	close(w.ended)
	return <-w.result
}

func (w *writerWatch) run(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var broken []string
	for {
		select {
		case <-w.ended:
			w.result <- broken
			return
		case <-ticker.C:
		}
		for app, nodes := range w.look() {
			if len(nodes) > 1 {
				if s := fmt.Sprintf("%s ran on %s at once", app, strings.Join(nodes, " and ")); !slices.Contains(broken, s) {
					broken = append(broken, s)
				}
			}
		}
	}
}

// writersBelow finds the processes whose volume is below the directory of a node in dir.
func writersBelow(dir string) map[string][]string {
	found := map[string][]string{}
	for _, w := range processesBelow(dir) {
		node, _, _ := strings.Cut(w.below, "/")
		if !slices.Contains(found[w.app], node) {
			found[w.app] = append(found[w.app], node)
		}
	}
	return found
}

// A writer is a process of an application whose volume is below a directory.
type writer struct {
	pid        int
	app, below string
}

func processesBelow(dir string) []writer {
	var found []writer
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, process := range processes {
		pid, err := strconv.Atoi(process.Name())
		if err != nil {
			continue
		}
		app, path := writers.Environment(pid)
		if below, ok := strings.CutPrefix(path, dir+"/"); ok && app != "" {
			found = append(found, writer{pid, app, below})
		}
	}
	return found
}

// LoseHost ends the agent of a node and its applications at once, as the loss of its host does. They must be
// processes.
func (c *Cluster) LoseHost(node string) {
	c.t.Helper()
	c.Kill(node)
	for deadline := time.Now().Add(Patience); ; time.Sleep(10 * time.Millisecond) {
		left := processesBelow(c.NodeDir(node))
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("what ran on %s does not end: %+v", node, left)
		}
		for _, w := range left {
			_ = syscall.Kill(w.pid, syscall.SIGKILL) // it may have ended
		}
	}
}
