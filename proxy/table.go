package proxy

import (
	"cmp"
	"fmt"
	"net"
	"slices"

	"github.com/drover/drover/cluster"
)

// A table is a set of valid routes, sorted by external port, each of which occurs once. It is
// never changed once it is made.
type table []cluster.Route

// newTable returns the table of the given routes, which it does not keep.
func newTable(routes []cluster.Route) (table, error) {
	t := table(slices.Clone(routes))
	slices.SortStableFunc(t, func(a, b cluster.Route) int { return cmp.Compare(a.External, b.External) })
	for i, r := range t {
		if err := check(r); err != nil {
			return nil, fmt.Errorf("%w: route of %s on port %d: %w", cluster.ErrInvalid, r.Application, r.External, err)
		}
		if i > 0 && t[i-1].External == r.External {
			return nil, fmt.Errorf("%w: port %d leads to both %s and %s", cluster.ErrInvalid,
				r.External, t[i-1].Application, r.Application)
		}
	}
	return t, nil
}

func check(r cluster.Route) error {
	if r.External < 1 || r.External > 65535 {
		return fmt.Errorf("want a port from 1 to 65535")
	}
	if r.Mode != cluster.Forward && r.Mode != cluster.Hold {
		return fmt.Errorf("mode %q: want %s or %s", r.Mode, cluster.Forward, cluster.Hold)
	}
	if r.Endpoint != "" {
		if _, _, err := net.SplitHostPort(r.Endpoint); err != nil {
			return fmt.Errorf("endpoint %q: want host:port: %w", r.Endpoint, err)
		}
	}
	return nil
}

// has reports whether a route of the table has that external port.
func (t table) has(port int) bool {
	_, found := slices.BinarySearchFunc(t, port, func(r cluster.Route, port int) int {
		return cmp.Compare(r.External, port)
	})
	return found
}
