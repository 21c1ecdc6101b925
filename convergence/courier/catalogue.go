package courier

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/durable"
)

// A catalogue is what this host knows of all volumes of the cluster: it follows the control service,
// and while that is away it is what was known last, over restarts too.
type catalogue struct {
	file string

	mu      sync.Mutex
	known   kept
	current bool // the service answered a short time ago
}

// kept is what is on disk.
type kept struct {
	Revision cluster.Revision                      `json:"revision"`
	AsOf     time.Time                             `json:"as_of"`
	Volumes  map[cluster.VolumeID]wire.VolumeBrief `json:"volumes"`
}

// openCatalogue reads what was known before a restart. What cannot be read is asked for again.
func openCatalogue(dir string, log *slog.Logger) *catalogue {
	c := &catalogue{file: filepath.Join(dir, "catalogue.json")}
	text, err := os.ReadFile(c.file)
	if err == nil {
		err = json.Unmarshal(text, &c.known)
	}
	if err != nil {
		c.known = kept{}
		log.Debug("no catalogue is known yet", "error", err)
	}
	if c.known.Volumes == nil {
		c.known.Volumes = map[cluster.VolumeID]wire.VolumeBrief{}
	}
	return c
}

// follow keeps the catalogue current until ctx ends.
func (c *catalogue) follow(ctx context.Context, control Control, log *slog.Logger) error {
	for ctx.Err() == nil {
		err := c.ask(ctx, control, pollWait, log)
		if err != nil && !c.lost() {
			log.Warn("the control service is away; the volumes are those that were known last", "error", err)
		}
		if err != nil {
			sleep(ctx, time.Second)
		}
	}
	return ctx.Err()
}

// ask takes in what has changed, waiting for it.
func (c *catalogue) ask(ctx context.Context, control Control, wait time.Duration, log *slog.Logger) error {
	c.mu.Lock()
	since := c.known.Revision
	c.mu.Unlock()
	news, changed, err := control.Catalogue(ctx, since, wait)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current, c.known.AsOf = true, time.Now()
	if !changed || news.Revision < c.known.Revision && !news.Whole {
		return nil
	}
	c.take(news)
	text, err := json.Marshal(c.known)
	if err == nil {
		err = durable.Replace(c.file, text, 0o600)
	}
	if err != nil {
		log.Error("the catalogue of volumes cannot be kept for the next start", "error", err)
	}
	return nil
}

func (c *catalogue) take(news wire.Catalogue) {
	c.known.Revision = news.Revision
	if news.Whole {
		clear(c.known.Volumes)
	}
	for _, v := range news.Volumes {
		if v.Gone {
			delete(c.known.Volumes, v.ID)
		} else {
			c.known.Volumes[v.ID] = v
		}
	}
}

// lost notes that the service does not answer, and reports whether that was known.
func (c *catalogue) lost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := !c.current
	c.current = false
	return was
}

// all returns the volumes by name.
func (c *catalogue) all() []wire.VolumeBrief {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.known.Volumes), func(a, b wire.VolumeBrief) int { return cmp.Compare(a.Name, b.Name) })
}

// find returns the volume of that name, since when that was so at the latest, and whether the service
// can be asked for more.
func (c *catalogue) find(name string) (v wire.VolumeBrief, asOf time.Time, current bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.known.Volumes {
		if v.Name == name {
			return v, c.known.AsOf, c.current
		}
	}
	return wire.VolumeBrief{}, c.known.AsOf, c.current
}

// sleep waits and reports whether ctx still lasts.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
