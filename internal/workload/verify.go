package workload

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// A Check is what reading everything back has shown.
type Check struct {
	// Stored is how many entries the database holds. Entries whose acknowledgement was cut off
	// may be among them.
	Stored int
	// Lost are the acknowledged entries that are missing or different.
	Lost []string
}

// Verify reads the database back and compares it with every acknowledged write.
func (r *Runner) Verify(ctx context.Context) (Check, error) {
	stored, err := r.Database.Entries(ctx, r.Address)
	if err != nil {
		return Check{}, fmt.Errorf("read everything back: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	check := Check{Stored: len(stored)}
	for _, id := range slices.Sorted(maps.Keys(r.written)) {
		switch got, ok := stored[id]; {
		case !ok:
			check.Lost = append(check.Lost, id+" is missing")
		case got != r.written[id]:
			check.Lost = append(check.Lost, fmt.Sprintf("%s is %+v, acknowledged was %+v", id, got, r.written[id]))
		}
	}
	return check, nil
}
