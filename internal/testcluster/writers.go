package testcluster

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A writerWatch looks at the processes of this machine, not at what the agents say of them, and
// notes every instant at which an application ran on two nodes.
type writerWatch struct {
	dir    string
	ended  chan struct{}
	result chan []string
}

// watchWriters begins to watch the applications of the cluster whose data is below dir.
func watchWriters(dir string) *writerWatch {
	w := &writerWatch{dir: dir, ended: make(chan struct{}), result: make(chan []string, 1)}
	go w.run()
	return w
}

// stop ends the watch and returns what it saw.
func (w *writerWatch) stop() []string {
	close(w.ended)
	return <-w.result
}

func (w *writerWatch) run() {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	var broken []string
	for {
		select {
		case <-w.ended:
			w.result <- broken
			return
		case <-ticker.C:
		}
		for app, nodes := range w.writers() {
			if len(nodes) > 1 {
				if s := fmt.Sprintf("%s ran on %s at once", app, strings.Join(nodes, " and ")); !slices.Contains(broken, s) {
					broken = append(broken, s)
				}
			}
		}
	}
}

// writers returns, for each application with a volume, the nodes on which a process of it lives.
// A process tells by its environment: DROVER_APPLICATION and DROVER_VOLUME, a path below the
// node's directory.
func (w *writerWatch) writers() map[string][]string {
	found := map[string][]string{}
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return found
	}
	for _, file := range environments {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended, or belongs to somebody else
		}
		var app, path string
		for _, entry := range bytes.Split(b, []byte{0}) {
			name, value, _ := strings.Cut(string(entry), "=")
			switch name {
			case "DROVER_APPLICATION":
				app = value
			case "DROVER_VOLUME":
				path = value
			}
		}
		below, ok := strings.CutPrefix(path, w.dir+"/")
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
