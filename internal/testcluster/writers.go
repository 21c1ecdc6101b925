package testcluster

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A writerWatch looks at the processes of this machine, not at what the agents say of them, and
// notes every instant at which an application ran on two nodes.
type writerWatch struct {
	writers func() map[string][]string
	ended   chan struct{}
	result  chan []string
}

// watchWriters begins to watch. Writers returns, for each application with a volume, the nodes on
// which a process of it lives.
func watchWriters(writers func() map[string][]string) *writerWatch {
	w := &writerWatch{writers: writers, ended: make(chan struct{}), result: make(chan []string, 1)}
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
		app, path := environmentOf(pid)
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

// environmentOf returns the name of the application that a process belongs to, and where its volume
// is, as its environment tells.
func environmentOf(pid int) (app, volume string) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return "", "" // it has ended, or belongs to somebody else
	}
	for _, entry := range bytes.Split(b, []byte{0}) {
		name, value, _ := strings.Cut(string(entry), "=")
		switch name {
		case "DROVER_APPLICATION":
			app = value
		case "DROVER_VOLUME":
			volume = value
		}
	}
	return app, volume
}
