package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// A container is what somebody has Docker start on a host, with a volume that Drover's plugin mounts for it.
type container struct {
	runtime.Container
	app    *register
	volume cluster.VolumeID // which is not always that of app: somebody may have made one of the same name
}

// Containers implements mounts.Engine.
func (h *host) Containers(context.Context) ([]runtime.Container, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := []runtime.Container{}
	for _, c := range h.containers {
		all = append(all, c.Container)
	}
	return all, nil
}

// has reports whether a container is there yet, and gives it another state.
func (h *host) has(c *container, running bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.Running = running
	return slices.Contains(h.containers, c)
}

func (h *host) drop(c *container) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.containers = slices.DeleteFunc(h.containers, func(other *container) bool { return other == c })
}

// dock is the life of somebody who starts containers.
func (w *world) dock() {
	d := w.dice("docker")
	for n := 0; w.wait(d.between(2*time.Second, 40*time.Second)); n++ {
		h, app := w.hosts[d.below(len(w.hosts))], w.apps[d.below(len(w.apps))]
		if !w.without("docker") && h.alive() != nil {
			w.contain(d, h, &container{runtime.Container{ID: fmt.Sprint("container ", n), Name: fmt.Sprint("c", n), Volumes: []string{string(app.name)}}, app, ""})
		}
	}
}

// contain is the life of a container.
func (w *world) contain(d *dice, h *host, c *container) {
	h.mu.Lock()
	h.containers = append(h.containers, c)
	h.mu.Unlock()
	defer h.drop(c)
	mount := "mount of " + c.ID
	defer h.release(mount, c.ID+" ends", 1+d.below(2))
	if !h.mount(c, mount) || !h.has(c, true) {
		return
	}
	w.happened("%s: %s uses %s", h.name, c.Name, c.app.name)
	left := d.between(time.Second, 20*time.Second)
	if d.one(2) { // somebody copies out of it: the same mount once more, and the answer to its end is lost
		w.wait(left / 3)
		if h.mount(c, mount) {
			h.release(mount, c.ID+" was copied", 1+d.below(2))
		}
	}
	for range 10 {
		if !w.wait(left/10) || w.calmNow() || !h.has(c, true) {
			break
		}
	}
	if h.has(c, false) {
		w.happened("%s: %s ends", h.name, c.Name)
	}
}

// mount asks the agent for a volume, as the plugin does when Docker starts a container.
func (h *host) mount(c *container, mount string) bool {
	l := h.alive()
	if l == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(l.ctx, 5*time.Second)
	defer cancel()
	path, err := l.agent.Mounts().Use(ctx, string(c.app.name), mount)
	if err == nil {
		c.volume = cluster.VolumeID(strings.TrimPrefix(path, "mem:"))
	}
	return err == nil && !l.dead()
}

// release says so many times that a use has ended once.
func (h *host) release(mount, call string, times int) {
	for range times {
		if l := h.alive(); l != nil {
			_ = l.agent.Mounts().Release(mount, call)
		}
	}
}

// checkContainers checks that no volume is taken away under a container.
func (w *world) checkContainers(h *host) {
	h.mu.Lock()
	running := slices.DeleteFunc(slices.Clone(h.containers), func(c *container) bool { return !c.Running })
	h.mu.Unlock()
	for _, c := range running {
		if !h.isOpen(c.volume) {
			w.breached("no volume is taken away under a container: %s on %s uses %s, which is not open there", c.Name, h.name, c.app.name)
		}
	}
}
