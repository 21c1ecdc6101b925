package proxy

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
)

func TestNewTable(t *testing.T) {
	route := func(change func(*cluster.Route)) cluster.Route {
		r := cluster.Route{External: 80, Application: "web", Mode: cluster.Forward, Endpoint: here}
		change(&r)
		return r
	}
	plain := route(func(*cluster.Route) {})
	for _, tt := range []struct {
		name   string
		routes []cluster.Route
		want   string // in the error; empty: valid
	}{
		{"an empty table is valid", nil, ""},
		{"a route that forwards is valid", []cluster.Route{plain}, ""},
		{"a route that holds is valid", []cluster.Route{route(func(r *cluster.Route) { r.Mode = cluster.Hold })}, ""},
		{"an endpoint may be unknown", []cluster.Route{route(func(r *cluster.Route) { r.Endpoint = "" })}, ""},
		{"an endpoint may have a name", []cluster.Route{route(func(r *cluster.Route) { r.Endpoint = "localhost:80" })}, ""},
		{"an endpoint may be IPv6", []cluster.Route{route(func(r *cluster.Route) { r.Endpoint = "[::1]:80" })}, ""},
		{"an endpoint needs a port", []cluster.Route{route(func(r *cluster.Route) { r.Endpoint = "10.0.0.1" })}, "want host:port"},
		{"a port is not 0", []cluster.Route{route(func(r *cluster.Route) { r.External = 0 })}, "from 1 to 65535"},
		{"a port is not above 65535", []cluster.Route{route(func(r *cluster.Route) { r.External = 65536 })}, "from 1 to 65535"},
		{"a mode is forward or hold", []cluster.Route{route(func(r *cluster.Route) { r.Mode = "drop" })}, `mode "drop"`},
		{"a port leads to one application",
			[]cluster.Route{plain, route(func(r *cluster.Route) { r.Application = "shop" })}, "port 80 leads to both web and shop"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newTable(tt.routes)
			if tt.want == "" {
				if err != nil || len(got) != len(tt.routes) {
					t.Errorf("newTable = %v, %v; want it valid", got, err)
				}
				return
			}
			if !errors.Is(err, cluster.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("newTable: %v, want an ErrInvalid with %q", err, tt.want)
			}
		})
	}
}

func TestTableIsSortedAndItsOwn(t *testing.T) {
	var routes []cluster.Route
	for _, port := range []int{30, 10, 20} {
		routes = append(routes, cluster.Route{External: port, Mode: cluster.Forward})
	}
	given := slices.Clone(routes)
	tab, err := newTable(routes)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(routes, given) {
		t.Error("the caller's routes were changed")
	}
	for i, port := range []int{10, 20, 30} {
		if tab[i].External != port || !tab.has(port) {
			t.Errorf("the table is %v, want port %d at %d", tab, port, i)
		}
	}
	for _, port := range []int{5, 15, 35} {
		if tab.has(port) {
			t.Errorf("the table %v has port %d", tab, port)
		}
	}
}
