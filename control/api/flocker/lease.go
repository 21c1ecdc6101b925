package flocker

import (
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/drover/drover/cluster"
)

// A Lease is a hold on a dataset as Flocker's API writes it.
type Lease struct {
	Dataset string `json:"dataset_id"`
	Node    string `json:"node_uuid"`
	// Expires is how many seconds are left; nil: it lasts until it is released.
	Expires *float64 `json:"expires"`
}

// Leases returns those that have not expired, sorted by dataset.
func Leases(c cluster.Configuration, now time.Time) []Lease {
	leases := []Lease{}
	for _, id := range slices.Sorted(maps.Keys(c.Leases)) {
		if l := c.Leases[id]; !l.Expired(now) {
			leases = append(leases, leaseOf(l, now))
		}
	}
	return leases
}

func leaseOf(l cluster.Lease, now time.Time) Lease {
	lease := Lease{Dataset: string(l.Volume), Node: string(l.Node)}
	if !l.Expires.IsZero() {
		left := l.Expires.Sub(now).Seconds()
		lease.Expires = &left
	}
	return lease
}

// AcquireLease takes a lease or, for the node that holds it, renews it with the new expiry. It
// reports whether the lease is new. The dataset need not exist.
func AcquireLease(c *cluster.Configuration, r Lease, now time.Time) (lease Lease, isNew bool, err error) {
	id := cluster.VolumeID(strings.ToLower(r.Dataset))
	if !cluster.IsUUID(string(id)) {
		return Lease{}, false, refuse(http.StatusBadRequest, "The dataset_id is not a UUID.")
	}
	held, exists := c.Leases[id]
	exists = exists && !held.Expired(now)
	taken := cluster.Lease{Volume: id, Node: nodeID(r.Node), Expires: expiry(r.Expires, now)}
	if exists && held.Node != taken.Node {
		return Lease{}, false, refuse(http.StatusConflict, "Lease already held.")
	}
	if c.Leases == nil {
		c.Leases = map[cluster.VolumeID]cluster.Lease{}
	}
	c.Leases[id] = taken
	return leaseOf(taken, now), !exists, nil
}

// expiry returns when a lease of that many seconds ends: never, if that is beyond what a duration
// can hold (292 years).
func expiry(seconds *float64, now time.Time) time.Time {
	if seconds == nil || *seconds*float64(time.Second) >= math.MaxInt64 {
		return time.Time{}
	}
	return now.Add(time.Duration(max(*seconds*float64(time.Second), math.MinInt64)))
}

// ReleaseLease ends a lease, whoever holds it, and returns it as it was.
func ReleaseLease(c *cluster.Configuration, dataset string, now time.Time) (Lease, error) {
	id := cluster.VolumeID(strings.ToLower(dataset))
	held, ok := c.Leases[id]
	if !ok || held.Expired(now) {
		return Lease{}, refuse(http.StatusNotFound, "Lease not found.")
	}
	delete(c.Leases, id)
	return leaseOf(held, now), nil
}
