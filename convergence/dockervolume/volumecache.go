package dockervolume

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
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
	"github.com/drover/drover/internal/sleep"
)

// A volumeCache is what this host knows of all volumes of the cluster: it follows the control service,
// and while that is away it is what was known last, over restarts too.
type volumeCache struct {
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

// openVolumeCache reads what was known before a restart. What cannot be read is asked for again.
func openVolumeCache(dir string, log *slog.Logger) *volumeCache {
	c := &volumeCache{file: filepath.Join(dir, "volumes.json")}
	text, err := os.ReadFile(c.file)
	if err == nil {
		c.known, err = parseKept(text)
	}
	if err != nil {
		c.known = kept{Volumes: map[cluster.VolumeID]wire.VolumeBrief{}}
		log.Debug("no volumes are known yet", "error", err)
	}
	return c
}

// parseKept reads what was on disk. Of what is not as it was written, nothing counts.
func parseKept(text []byte) (k kept, err error) {
	if err := durable.ParseJSON(text, &k); err != nil {
		return k, err
	}
	for id, v := range k.Volumes {
		if v.ID != id || !cluster.ValidName(string(id)) || v.Name != "" && !cluster.ValidName(v.Name) {
			return k, fmt.Errorf("%w: volume %s is kept as %s", cluster.ErrInvalid, cluster.Shown(string(v.ID)), cluster.Shown(string(id)))
		}
	}
	if k.Volumes == nil {
		k.Volumes = map[cluster.VolumeID]wire.VolumeBrief{}
	}
	return k, nil
}

// follow keeps the volumes current until ctx ends.
func (c *volumeCache) follow(ctx context.Context, control Control, log *slog.Logger) error {
	for ctx.Err() == nil {
		err := c.ask(ctx, control, pollWait, log)
		if err != nil && !c.lost() {
			log.Warn("the control service is away; the volumes are those that were known last", "error", err)
		}
		if err != nil {
			_ = sleep.For(ctx, time.Second)
		}
	}
	return ctx.Err()
}

// ask takes in what has changed, waiting for it.
func (c *volumeCache) ask(ctx context.Context, control Control, wait time.Duration, log *slog.Logger) error {
	c.mu.Lock()
	since := c.known.Revision
	c.mu.Unlock()
	news, changed, err := control.VolumeChanges(ctx, since, wait)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current, c.known.AsOf = true, time.Now()
	if !changed || news.Revision < c.known.Revision && !news.Reset {
		return nil
	}
	c.take(news)
	text, err := json.Marshal(c.known)
	if err == nil {
		err = durable.ReplaceFile(c.file, text, 0o600)
	}
	if err != nil {
		log.Error("the list of volumes cannot be kept for the next start", "error", err)
	}
	return nil
}

func (c *volumeCache) take(news wire.VolumeChanges) {
	c.known.Revision = news.Revision
	if news.Reset {
		clear(c.known.Volumes)
	}
	for _, v := range news.Volumes {
		if v.Deleted {
			delete(c.known.Volumes, v.ID)
		} else {
			c.known.Volumes[v.ID] = v
		}
	}
}

// lost notes that the service does not answer, and reports whether that was known.
func (c *volumeCache) lost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := !c.current
	c.current = false
	return was
}

// all returns the volumes by name.
func (c *volumeCache) all() []wire.VolumeBrief {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.known.Volumes), func(a, b wire.VolumeBrief) int { return cmp.Compare(a.Name, b.Name) })
}

// find returns the volume of that name, since when that was so at the latest, and whether the service
// can be asked for more.
func (c *volumeCache) find(name string) (v wire.VolumeBrief, asOf time.Time, current bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.known.Volumes {
		if v.Name == name {
			return v, c.known.AsOf, c.current
		}
	}
	return wire.VolumeBrief{}, c.known.AsOf, c.current
}
