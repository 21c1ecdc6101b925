package api_test

import (
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/wire"
)

func TestConfigurationIsConditional(t *testing.T) {
	f := newFixture(t, api.Options{})
	const one = `{"configuration": {"applications": {"web": {"name": "web", "image": "nginx"}}, "volumes": {}}}`
	const none = `{"configuration": {"applications": {}, "volumes": {}}}`
	put := func(body string, headers ...string) int {
		w := f.do(user, "PUT", wire.PathConfiguration, body, headers...)
		return w.Code
	}
	get := func(headers ...string) (int, string) {
		w := f.do(user, "GET", wire.PathConfiguration, "", headers...)
		return w.Code, w.Header().Get("ETag")
	}
	if status, tag := get(); status != 200 || tag != `"1"` {
		t.Fatalf("get: %d, tag %s", status, tag)
	}
	if status, tag := get(`If-None-Match: "1"`); status != 304 || tag != `"1"` {
		t.Errorf("get what we have: %d, tag %s", status, tag)
	}
	w := f.do(user, "PUT", wire.PathConfiguration, one, `If-Match: "1"`)
	if w.Code != 200 || w.Header().Get("ETag") != `"2"` || !strings.Contains(w.Body.String(), `"changed":true`) {
		t.Errorf("put: %d %v %s", w.Code, w.Header(), w.Body)
	}
	for _, tt := range []struct {
		rule, body, match string
		status            int
	}{
		{"an older revision", none, `"1"`, 412},
		{"the present revision, to the same", one, `"2"`, 200},
		{"no revision", one, ``, 200},
		{"any revision", one, `*`, 200},
		{"a tag that is none of ours", none, `"abc"`, 400},
		{"a number without quotes", none, `2`, 400},
		{"an empty body stops nothing", `{}`, ``, 400},
		{"half a configuration stops nothing", `{"configuration": {"volumes": {}}}`, ``, 400},
		{"a slip stops nothing", `{"configuration": {"aplications": {}, "volumes": {}}}`, ``, 400},
		{"what is not valid", `{"configuration": {"applications": {"web": {"name": "other"}}, "volumes": {}}}`, ``, 400},
	} {
		var headers []string
		if tt.match != "" {
			headers = append(headers, "If-Match: "+tt.match)
		}
		if status := put(tt.body, headers...); status != tt.status {
			t.Errorf("%s: %d, want %d", tt.rule, status, tt.status)
		}
	}
	if c, revision := f.service.Configuration(); revision != 2 || len(c.Applications) != 1 {
		t.Errorf("the configuration is %v at revision %d, want that of the one write", c, revision)
	}
	if status, tag := get(`If-None-Match: "1"`); status != 200 || tag != `"2"` {
		t.Errorf("get after a change: %d, tag %s", status, tag)
	}
}

func TestAPatchIsConditional(t *testing.T) {
	f := newFixture(t, api.Options{})
	for _, tt := range []struct {
		rule, body, match string
		status            int
	}{
		{"a new application", `{"configuration": {"applications": {"web": {"name": "web", "image": "nginx"}}}}`, `"1"`, 200},
		{"a change of one member", `{"configuration": {"applications": {"web": {"image": "caddy"}}}}`, ``, 200},
		{"an older revision", `{"configuration": {"applications": {"web": null}}}`, `"1"`, 412},
		{"nothing", `{}`, `"3"`, 200},
		{"a slip", `{"configuration": {"aplications": {"web": null}}}`, ``, 400},
		{"a slip in an application", `{"configuration": {"applications": {"web": {"imagge": "x"}}}}`, ``, 400},
		{"no patch", `[]`, ``, 400},
	} {
		w := f.do(user, "PATCH", wire.PathConfiguration, tt.body, "If-Match: "+tt.match)
		if w.Code != tt.status {
			t.Errorf("%s: %d %s, want %d", tt.rule, w.Code, w.Body, tt.status)
		}
	}
	if c, revision := f.service.Configuration(); revision != 3 || c.Applications["web"].Image != "caddy" {
		t.Errorf("the configuration is %v at revision %d", c, revision)
	}
}

func TestPollsWait(t *testing.T) {
	own := "/v1/nodes/" + string(apitest.NodeA) + "/slice"
	for _, tt := range []struct {
		rule, cn, path string
		change         func(*apitest.World)
		changed        string // a part of the answer after the change
		status         int    // without one
	}{
		{"an assignment", nodeA, own + "?since=7&wait=20s", func(w *apitest.World) { w.Assignment.Revision = 8 }, `"revision":8`, 304},
		{"a move", user, "/v1/moves/m?since=7&wait=20s", func(w *apitest.World) { w.MoveRevision = 8 }, `"id":"m"`, 304},
		{"events", user, "/v1/events?since=7&wait=20s", func(w *apitest.World) { w.Events = []cluster.Event{{ID: 8}} }, `"id":8`, 200},
	} {
		world := func(w *apitest.World) {
			w.Assignment.Revision, w.MoveRevision = 7, 7
			w.Moves = []cluster.Move{{ID: "m"}}
			w.Events = []cluster.Event{{ID: 7}}
		}
		t.Run(tt.rule+" changes", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, api.Options{})
				f.service.Set(world)
				start := time.Now()
				go func() {
					time.Sleep(5 * time.Second)
					f.service.Set(tt.change)
				}()
				w := f.do(tt.cn, "GET", tt.path, "")
				if w.Code != 200 || !strings.Contains(w.Body.String(), tt.changed) || time.Since(start) != 5*time.Second {
					t.Errorf("%d %s after %s", w.Code, w.Body, time.Since(start))
				}
			})
		})
		t.Run(tt.rule+" stays", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, api.Options{})
				f.service.Set(world)
				for wait, took := range map[string]time.Duration{"20s": 20 * time.Second, "0": 0, "": 0, "48h": time.Minute} {
					start := time.Now()
					w := f.do(tt.cn, "GET", strings.Replace(tt.path, "20s", wait, 1), "")
					if w.Code != tt.status || time.Since(start) != took {
						t.Errorf("wait %q: %d %s after %s, want %d after %s", wait, w.Code, w.Body, time.Since(start), tt.status, took)
					}
				}
				for _, query := range []string{"wait=x", "wait=-1s", "since=x", "since=-1"} {
					w := f.do(tt.cn, "GET", strings.Replace(tt.path, "since=7&wait=20s", query, 1), "")
					if w.Code != 400 {
						t.Errorf("%s: %d %s, want 400", query, w.Code, w.Body)
					}
				}
			})
		})
	}
}

func TestMovesAndAssignmentsTellTheirRevision(t *testing.T) {
	f := newFixture(t, api.Options{})
	f.service.Set(func(w *apitest.World) {
		w.Assignment.Revision, w.MoveRevision, w.Moves = 7, 9, []cluster.Move{{ID: "m"}}
	})
	if tag := f.do(nodeA, "GET", "/v1/nodes/"+string(apitest.NodeA)+"/slice", "").Header().Get("ETag"); tag != `"7"` {
		t.Errorf("assignment: tag %s", tag)
	}
	if tag := f.do(user, "GET", "/v1/moves/m", "").Header().Get("ETag"); tag != `"9"` {
		t.Errorf("move: tag %s", tag)
	}
	want(t, f.do(user, "GET", "/v1/moves/other", ""), 404, "")
}

func TestReportsNameTheNodeOfTheCertificate(t *testing.T) {
	f := newFixture(t, api.Options{})
	for _, tt := range []struct {
		call, body string
		status     int
		want       apitest.Call
	}{
		{"ready", `{"attempt": 2, "refused": "full"}`, 204, apitest.Call{Method: "Ready", Arguments: []any{apitest.NodeB, cluster.MoveID("m"), wire.ReadyReport{Attempt: 2, Refused: "full"}}}},
		{"progress", `{"attempt": 2, "phase": "hold"}`, 204, apitest.Call{Method: "Progress", Arguments: []any{apitest.NodeB, cluster.MoveID("m"), wire.ProgressReport{Attempt: 2, Phase: cluster.PhaseHold}}}},
		{"hold", `{"attempt": 2}`, 200, apitest.Call{Method: "Hold", Arguments: []any{apitest.NodeB, cluster.MoveID("m"), wire.AttemptRequest{Attempt: 2}}}},
		{"commit", `{"attempt": 2, "epoch": 4, "base": "g"}`, 200, apitest.Call{Method: "Commit", Arguments: []any{apitest.NodeB, cluster.MoveID("m"), wire.CommitRequest{Attempt: 2, Epoch: 4, Base: "g"}}}},
		{"failed", `{"attempt": 2, "reason": "cut", "final": true}`, 204, apitest.Call{Method: "Failed", Arguments: []any{apitest.NodeB, cluster.MoveID("m"), wire.FailureReport{Attempt: 2, Reason: "cut", Final: true}}}},
	} {
		w := f.do(nodeB, "POST", "/v1/moves/m/"+tt.call, tt.body)
		want(t, w, tt.status, "")
		calls := f.service.Calls()
		if got := calls[len(calls)-1]; !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: the service was called with %+v, want %+v", tt.call, got, tt.want)
		}
		want(t, f.do(nodeB, "POST", "/v1/moves/m/"+tt.call, `{`), 400, "")
	}
}

func TestSnapshotsAreThoseThatTheOwnerKeeps(t *testing.T) {
	f := newFixture(t, api.Options{})
	copyOf := func(node cluster.NodeID, names ...cluster.SnapshotName) wire.CopyStatus {
		c := wire.CopyStatus{Node: node}
		for _, name := range names {
			c.Copy.Snapshots = append(c.Copy.Snapshots, cluster.Snapshot{Name: name, Kept: !strings.HasPrefix(string(name), "round")})
		}
		return c
	}
	f.service.Set(func(w *apitest.World) {
		w.Volumes = []wire.VolumeStatus{{
			Volume:    cluster.Volume{Name: "data"},
			Ownership: cluster.Ownership{Owner: apitest.NodeB},
			Copies:    []wire.CopyStatus{copyOf(apitest.NodeA, "old"), copyOf(apitest.NodeB, "mine", "round-1")},
		}}
	})
	w := f.do(user, "GET", "/v1/volumes/data/snapshots", "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"mine"`) || strings.Contains(w.Body.String(), "round") || strings.Contains(w.Body.String(), "old") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	want(t, f.do(user, "GET", "/v1/volumes/other/snapshots", ""), 404, "")
	want(t, f.do(user, "POST", "/v1/volumes/data/snapshots", `{"name": "now"}`), 204, "")
}

func TestOrdersAboutVolumes(t *testing.T) {
	f := newFixture(t, api.Options{})
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/v1/volumes", `{"name": "data", "node": "a"}`, 201},
		{"POST", "/v1/volumes", `{"name": "data", "size": 5}`, 400},
		{"POST", "/v1/volumes/data/resize", `{"maximum_size": 5}`, 200},
		{"POST", "/v1/volumes/data/resize", `{"maximum_size": "5G"}`, 400},
		{"POST", "/v1/volumes/data/takeover", `{"node": "b"}`, 200},
		{"POST", "/v1/volumes/data/takeover", `{}x`, 400},
		{"POST", "/v1/volumes/data/rollback", `{"snapshot": "s", "force": true}`, 200},
		{"POST", "/v1/volumes/data/rollback", `{}x`, 400},
		{"POST", "/v1/volumes/data/undelete", ``, 200},
		{"DELETE", "/v1/volumes/data", ``, 200},
		{"DELETE", "/v1/volumes/data/snapshots/s", ``, 200},
	} {
		w := f.do(user, tt.method, tt.path, tt.body)
		want(t, w, tt.status, "")
		if tt.status < 300 && !strings.Contains(w.Body.String(), `"name":"data"`) {
			t.Errorf("%s %s answers %s, want the volume", tt.method, tt.path, w.Body)
		}
		want(t, f.do(nodeA, tt.method, tt.path, tt.body), 403, "")
	}
}

func TestListsAreNeverNull(t *testing.T) {
	f := newFixture(t, api.Options{})
	for _, path := range []string{"/v1/nodes", "/v1/moves", "/v1/volumes", "/v1/events", "/v1/configuration/datasets",
		"/v1/configuration/containers", "/v1/configuration/leases", "/v1/state/datasets", "/v1/state/containers", "/v1/state/nodes"} {
		want(t, f.do(user, "GET", path, ""), 200, "[]")
	}
}
