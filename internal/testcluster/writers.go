package testcluster

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drover/drover/internal/writers"
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
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return found
	}
	for _, process := range processes {
		pid, err := strconv.Atoi(process.Name())
		if err != nil {
			continue
		}
		app, path := writers.Environment(pid)
		below, ok := strings.CutPrefix(path, dir+"/")
		if app == "" || !ok {
			continue
		}
		node, _, _ := strings.Cut(below, "/")
		if !slices.Contains(found[app], node) {
			found[app] = append(found[app], node)
		}
	}
	return found
}
