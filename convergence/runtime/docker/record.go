package docker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/drover/drover/cluster"
)

// A record is what the engine does not know of a container. It is not synced: after the host went
// down the boot tells.
type record struct {
	// Boot is that in which it was started last.
	Boot string `json:"boot"`
	// Asked: its end was asked for, or came with the engine's.
	Asked bool `json:"asked"`
}

func (r *Runtime) recordPath(id string) string { return filepath.Join(r.o.Dir, id+".json") }

// keep writes the record of a container.
func (r *Runtime) keep(id string, rec record) error {
	b, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	path := r.recordPath(id)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// record reads that of a container. One that nobody has written is of no boot.
func (r *Runtime) record(id string) record {
	var rec record
	if b, err := os.ReadFile(r.recordPath(id)); err == nil {
		_ = json.Unmarshal(b, &rec) // what is not readable is of no boot either
	}
	return rec
}

func (r *Runtime) forget(id string) {
	r.unwatch(id)
	if err := os.Remove(r.recordPath(id)); err != nil && !os.IsNotExist(err) {
		r.log.Warn("a record of a container that is gone stays", "error", err)
	}
}

// bootID identifies this boot of the host.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return cluster.NewUUID() // then every start of the agent counts as a boot, which is safe
	}
	return strings.TrimSpace(string(b))
}
