package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/wire"
)

// rules says who may call what: u is a user, a the node that the path names, b another one,
// p the plugin of a. What it may ask for there is in TestPluginsAskForLittle.
const rules = `
u a b p  GET    /v1/drover
u - - -  GET    /v1/status
u - - -  GET    /v1/pending
u - - -  GET    /v1/backup
u - - -  GET    /v1/configuration
u - - -  PUT    /v1/configuration
u - - -  PATCH  /v1/configuration
u - - -  POST   /v1/preview
u a b p  GET    /v1/nodes
- a - -  PUT    /v1/nodes/:node
- a - -  PUT    /v1/nodes/:node/state
- a - -  POST   /v1/nodes/:node/heartbeat
- a - -  GET    /v1/nodes/:node/slice
- a - -  POST   /v1/nodes/:node/events
u - - -  GET    /v1/applications/:application/logs
- a - -  POST   /v1/nodes/:node/logs/:request
u a b p  GET    /v1/events
u a b p  GET    /v1/moves
u - - p  POST   /v1/moves
u a b p  GET    /v1/moves/:move
u - - -  POST   /v1/moves/:move/abort
- a b -  POST   /v1/moves/:move/ready
- a b -  POST   /v1/moves/:move/progress
- a b -  POST   /v1/moves/:move/hold
- a b -  POST   /v1/moves/:move/commit
- a b -  POST   /v1/moves/:move/failed
u a b p  GET    /v1/volumes
u a b p  GET    /v1/volume-changes
u a b p  GET    /v1/volumes/:volume
u a b p  GET    /v1/volumes/:volume/snapshots
u - - -  POST   /v1/volumes/:volume/snapshots
u - - -  DELETE /v1/volumes/:volume/snapshots/:snapshot
u - - p  POST   /v1/volumes
u - - p  DELETE /v1/volumes/:volume
u - - -  POST   /v1/volumes/:volume/resize
u - - -  POST   /v1/volumes/:volume/undelete
u - - -  POST   /v1/volumes/:volume/takeover
u - - -  POST   /v1/volumes/:volume/rollback
u - - -  POST   /v1/nodes/:node/removal
u - - -  GET    /v1/removed-nodes
u - - -  DELETE /v1/removed-nodes/:node
u - - -  GET    /v1/recovery
u - - -  POST   /v1/recovery
u - - -  GET    /v1/keys
u - - -  PUT    /v1/keys/:key
u - - -  DELETE /v1/keys/:key
u - - -  GET    /v1/revocations
u - - -  PUT    /v1/revocations/:user
u - - -  GET    /v1/version
u - - -  GET    /v1/configuration/datasets
u - - -  POST   /v1/configuration/datasets
u - - -  POST   /v1/configuration/datasets/:dataset
u - - -  DELETE /v1/configuration/datasets/:dataset
u - - -  GET    /v1/configuration/containers
u - - -  POST   /v1/configuration/containers
u - - -  POST   /v1/configuration/containers/:name
u - - -  DELETE /v1/configuration/containers/:name
u - - -  GET    /v1/configuration/leases
u - - -  POST   /v1/configuration/leases
u - - -  DELETE /v1/configuration/leases/:dataset
u - - -  POST   /v1/configuration/_compose
u - - -  GET    /v1/state/datasets
u - - -  GET    /v1/state/containers
u - - -  GET    /v1/state/nodes
u - - -  GET    /v1/state/nodes/by_era/:era
`

func TestWhoMayCallWhat(t *testing.T) {
	f := newFixture(t, api.Options{})
	var ruled []string
	for line := range strings.Lines(strings.TrimSpace(rules)) {
		fields := strings.Fields(line)
		method, path := fields[4], fields[5]
		ruled = append(ruled, method+" "+path)
		target := strings.ReplaceAll(path, ":node", string(apitest.NodeA))
		for i, cn := range []string{user, nodeA, nodeB, pluginA} {
			allowed := fields[i] != "-"
			w := f.do(cn, method, target, "")
			if (w.Code != http.StatusForbidden) != allowed {
				t.Errorf("%s as %s: %d %s, want allowed %v", method+" "+path, cn, w.Code, w.Body, allowed)
			}
		}
		for _, cn := range []string{"", "control-service", "somebody"} {
			if w := f.do(cn, method, target, ""); w.Code != http.StatusForbidden {
				t.Errorf("%s as %q: %d %s, want 403", method+" "+path, cn, w.Code, w.Body)
			}
		}
	}
	for _, route := range api.Routes() {
		if !slices.Contains(ruled, route) {
			t.Errorf("%s has no rule here: say who may call it", route)
		}
	}
	if len(ruled) != len(api.Routes()) {
		t.Errorf("%d rules for %d routes", len(ruled), len(api.Routes()))
	}
}

func TestNodesSpeakForThemselvesOnly(t *testing.T) {
	f := newFixture(t, api.Options{})
	own := "/v1/nodes/" + string(apitest.NodeA)
	for _, tt := range []struct {
		rule, method, path, body string
		status                   int
	}{
		{"itself", "PUT", own, `{"id": "` + string(apitest.NodeA) + `"}`, 204},
		{"another in the body", "PUT", own, `{"id": "` + string(apitest.NodeB) + `"}`, 403},
		{"nobody in the body", "PUT", own, `{}`, 403},
		{"its own state", "PUT", own + "/state", `{"node": "` + string(apitest.NodeA) + `"}`, 204},
		{"the state of another", "PUT", own + "/state", `{"node": "` + string(apitest.NodeB) + `"}`, 403},
		{"its own event", "POST", own + "/events", `{"node": "` + string(apitest.NodeA) + `", "kind": "k"}`, 204},
		{"an event of its own by the path", "POST", own + "/events", `{"kind": "k"}`, 204},
		{"an event of another", "POST", own + "/events", `{"node": "` + string(apitest.NodeB) + `", "kind": "k"}`, 403},
		{"its id in upper case", "PUT", "/v1/nodes/" + strings.ToUpper(string(apitest.NodeA)), `{"id": "` + string(apitest.NodeA) + `"}`, 403},
	} {
		before := len(f.service.Calls())
		w := f.do(nodeA, tt.method, tt.path, tt.body)
		if w.Code != tt.status {
			t.Errorf("%s: %d %s, want %d", tt.rule, w.Code, w.Body, tt.status)
		}
		if called := len(f.service.Calls()) > before; called != (tt.status == 204) {
			t.Errorf("%s: the service was called: %v", tt.rule, called)
		}
	}
}

// TestARemovedNodeIsShutOut of every call, and so is its plugin.
func TestARemovedNodeIsShutOut(t *testing.T) {
	f := newFixture(t, api.Options{})
	f.service.Set(func(w *apitest.World) { w.Removed = []cluster.RemovedNode{{ID: apitest.NodeA}} })
	for line := range strings.Lines(strings.TrimSpace(rules)) {
		fields := strings.Fields(line)
		for i, cn := range []string{user, nodeA, nodeB, pluginA} {
			w := f.do(cn, fields[4], strings.ReplaceAll(fields[5], ":node", string(apitest.NodeA)), "")
			if out := w.Code == http.StatusGone; out != (fields[i] != "-" && (cn == nodeA || cn == pluginA)) {
				t.Errorf("%s as %s: %d %s", line, cn, w.Code, w.Body)
			}
		}
	}
}

func TestPluginsAskForLittle(t *testing.T) {
	f := newFixture(t, api.Options{})
	self := string(apitest.NodeA)
	f.service.Set(func(w *apitest.World) {
		w.Volumes = []wire.VolumeStatus{{Volume: cluster.Volume{Name: "used"}, Application: "app"}, {Volume: cluster.Volume{Name: "w"}}}
	})
	for _, tt := range []struct {
		rule, path, body string
		status           int
	}{
		{"a move to its node", "moves", `{"volume": "v", "to": "` + self + `", "alone": true}`, 201},
		{"a move with its application", "moves", `{"volume": "v", "to": "` + self + `"}`, 403},
		{"a move to another node", "moves", `{"volume": "v", "to": "` + string(apitest.NodeB) + `", "alone": true}`, 403},
		{"a move to its node by a name, which is another's to choose", "moves", `{"volume": "v", "to": "a", "alone": true}`, 403},
		{"a move of an application", "moves", `{"application": "app", "to": "` + self + `", "alone": true}`, 403},
		{"a new volume", "volumes", `{"name": "v", "node": "b"}`, 201},
		{"a clone", "volumes", `{"name": "v", "origin": {"volume": "w"}}`, 201},
		{"a clone of one that an application uses", "volumes", `{"name": "v", "origin": {"volume": "used"}}`, 403},
		{"what is not the cluster's", "volumes", `{"name": "v", "node": "b", "origin": {"adopt": "tank/secrets"}}`, 403},
	} {
		before := len(f.service.Calls())
		w := f.do(pluginA, "POST", "/v1/"+tt.path, tt.body)
		if called := len(f.service.Calls()) > before; w.Code != tt.status || called != (tt.status == 201) {
			t.Errorf("%s: %d %s, want %d; the service was called: %v", tt.rule, w.Code, w.Body, tt.status, called)
		}
	}
}
