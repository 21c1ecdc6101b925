package api_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/wire"
)

const (
	n0 = string(apitest.NodeA)
	n1 = string(apitest.NodeB)
	id = "47440eff-e933-4de0-b56c-d3469b61421f"

	datasets   = "/v1/configuration/datasets"
	containers = "/v1/configuration/containers"
	leases     = "/v1/configuration/leases"
)

// TestFlockersTranscripts holds one conversation with the API, call by call, as Flocker's clients
// had it.
func TestFlockersTranscripts(t *testing.T) {
	f := newFixture(t, api.Options{Compose: composed})
	dataset := func(primary, deleted string) string {
		return `{"dataset_id":"` + id + `","primary":"` + primary + `","deleted":` + deleted + `,"metadata":{"name":"demo"},"maximum_size":1073741824}`
	}
	const web = `"name":"webserver","image":"nginx:latest","restart_policy":{"name":"never"}}`
	create := `{"dataset_id":"` + id + `","primary":"` + n0 + `","maximum_size":1073741824,"metadata":{"name":"demo"}}`
	for _, step := range []struct {
		method, path, body string
		status             int
		answer             string
	}{
		{"GET", "/v1/version", "", 200, `{"flocker":"1.15.0"}`},
		{"POST", datasets, create, 201, dataset(n0, "false")},
		{"POST", datasets, create, 409, `{"description":"The provided dataset_id is already in use."}`},
		{"POST", datasets, `{}`, 400, `{"description":"The provided JSON doesn't match the required schema.","errors":["'primary' is a required property"]}`},
		{"POST", datasets, `{"primary":"` + n0 + `","junk":1}`, 400, `{"description":"The provided JSON doesn't match the required schema.","errors":["Additional properties are not allowed (u'junk' was unexpected)"]}`},
		{"POST", datasets, `{"primary`, 400, `{"description":"The request body could not be decoded according to the value of the\nContent-Type header."}`},
		{"POST", datasets, ``, 400, `{"description":"The request body could not be decoded according to the value of the\nContent-Type header."}`},
		{"GET", datasets, "", 200, `[` + dataset(n0, "false") + `]`},
		{"POST", datasets + "/" + id, `{"primary":"` + n1 + `"}`, 200, dataset(n1, "false")},
		{"POST", datasets + "/" + id, `{}`, 200, dataset(n1, "false")},
		{"POST", datasets + "/" + id, `{"maximum_size":1}`, 400, ""},
		{"POST", datasets + "/" + n0, `{}`, 404, `{"description":"Dataset not found."}`},

		{"POST", containers, `{"node_uuid":"` + n0 + `","name":"webserver","image":"nginx"}`, 201, `{"node_uuid":"` + n0 + `",` + web},
		{"POST", containers, `{"node_uuid":"` + n0 + `","name":"webserver","image":"nginx"}`, 409, `{"description":"The container name already exists."}`},
		{"POST", containers, `{"node_uuid":"` + n0 + `"}`, 400, `{"description":"The provided JSON doesn't match the required schema.","errors":["'name' is a required property","'image' is a required property"]}`},
		{"GET", containers, "", 200, `[{"node_uuid":"` + n0 + `",` + web + `]`},
		{"POST", containers + "/webserver", `{"node_uuid":"` + n1 + `"}`, 200, `{"node_uuid":"` + n1 + `",` + web},
		{"POST", containers + "/other", `{"node_uuid":"` + n1 + `"}`, 404, `{"description":"Container not found."}`},
		{"DELETE", containers + "/webserver", "not read", 200, `null`},
		{"DELETE", containers + "/webserver", "", 404, `{"description":"Container not found."}`},

		{"POST", leases, `{"dataset_id":"` + id + `","node_uuid":"` + n1 + `","expires":null}`, 201, `{"dataset_id":"` + id + `","node_uuid":"` + n1 + `","expires":null}`},
		{"POST", leases, `{"dataset_id":"` + id + `","node_uuid":"` + n1 + `","expires":null}`, 200, `{"dataset_id":"` + id + `","node_uuid":"` + n1 + `","expires":null}`},
		{"POST", leases, `{"dataset_id":"` + id + `","node_uuid":"` + n0 + `","expires":60}`, 409, `{"description":"Lease already held."}`},
		{"POST", leases, `{"dataset_id":"` + id + `","node_uuid":"` + n1 + `","expires":1e999}`, 400, `{"description":"The request body could not be decoded according to the value of the\nContent-Type header."}`},
		{"GET", leases, "", 200, `[{"dataset_id":"` + id + `","node_uuid":"` + n1 + `","expires":null}]`},
		{"DELETE", leases + "/" + id, "", 200, `{"dataset_id":"` + id + `","node_uuid":"` + n1 + `","expires":null}`},
		{"DELETE", leases + "/" + id, "", 404, `{"description":"Lease not found."}`},

		{"DELETE", datasets + "/" + id, "", 200, dataset(n1, "true")},
		{"DELETE", datasets + "/" + id, "", 200, dataset(n1, "true")},
		{"POST", datasets + "/" + id, `{}`, 405, `{"description":"The dataset has been deleted."}`},
		{"POST", datasets, create, 409, `{"description":"The provided dataset_id is already in use."}`},
		{"DELETE", datasets + "/" + n0, "", 404, `{"description":"Dataset not found."}`},

		{"POST", "/v1/configuration/_compose", `{"applications":{"lalala":"lololo"},"deployment":{}}`, 400, `{"description":"Application configuration has an error. Missing 'applications' key."}`},
		{"POST", "/v1/configuration/_compose", `{"applications":{"applications":{}}}`, 400, `{"description":"The provided JSON doesn't match the required schema.","errors":["'deployment' is a required property"]}`},
		{"POST", "/v1/configuration/_compose", `{"applications":{"applications":{}},"deployment":{}}`, 200, `null`},
		{"GET", containers, "", 200, `[{"node_uuid":"` + n0 + `","name":"composed","image":"busybox:latest","restart_policy":{"name":"never"}}]`},
	} {
		w := f.do(user, step.method, step.path, step.body)
		if w.Code != step.status || step.answer != "" && w.Body.String() != step.answer {
			t.Errorf("%s %s %s\ngot  %d %s\nwant %d %s", step.method, step.path, step.body, w.Code, w.Body, step.status, step.answer)
		}
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("%s %s: content type %s", step.method, step.path, got)
		}
	}
}

type deployed = func(cluster.Configuration, []cluster.Node) (cluster.Configuration, error)

// composed stands in for package deploy.
func composed(applications, deployment json.RawMessage) (deployed, error) {
	if !strings.Contains(string(applications), `"applications"`) {
		return nil, errors.New("Application configuration has an error. Missing 'applications' key.")
	}
	return func(current cluster.Configuration, _ []cluster.Node) (cluster.Configuration, error) {
		current.Applications["composed"] = cluster.Application{Name: "composed", Image: "busybox", Node: apitest.NodeA}
		return current, nil
	}, nil
}

// TestNobodyWaitsForFilesToBeRead: however long that takes, others write.
func TestNobodyWaitsForFilesToBeRead(t *testing.T) {
	reading, read := make(chan struct{}), make(chan struct{})
	f := newFixture(t, api.Options{Compose: func(applications, deployment json.RawMessage) (deployed, error) {
		close(reading)
		<-read
		return composed(applications, deployment)
	}})
	answer := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		answer <- f.do(user, "POST", "/v1/configuration/_compose", `{"applications":{"applications":{}},"deployment":{}}`)
	}()
	<-reading
	want(t, f.do(user, "POST", leases, `{"dataset_id":"`+id+`","node_uuid":"`+n1+`","expires":60}`), 201, "")
	close(read)
	want(t, <-answer, 200, "")
}

func TestComposeKnowsTheNodes(t *testing.T) {
	var nodes []cluster.Node
	f := newFixture(t, api.Options{Compose: func(_, _ json.RawMessage) (deployed, error) {
		return func(c cluster.Configuration, known []cluster.Node) (cluster.Configuration, error) {
			nodes = known
			return c, nil
		}, nil
	}})
	f.service.Set(func(w *apitest.World) {
		w.Nodes = []wire.NodeStatus{{Node: cluster.Node{ID: "x", Address: "10.0.0.1"}}}
	})
	want(t, f.do(user, "POST", "/v1/configuration/_compose", `{"applications":{},"deployment":{}}`), 200, "null")
	if len(nodes) != 1 || nodes[0].Address != "10.0.0.1" {
		t.Errorf("compose was told of the nodes %v", nodes)
	}
	without := newFixture(t, api.Options{})
	want(t, without.do(user, "POST", "/v1/configuration/_compose", `{"applications":{},"deployment":{}}`), 501, "")
}

func TestTheServerMakesAnIDAndRoundsTheSize(t *testing.T) {
	f := newFixture(t, api.Options{})
	w := f.do(user, "POST", datasets, `{"primary":"`+n0+`","maximum_size":1000000000,"metadata":{"type":"k8s-dynamic-prov","pvc":"p"}}`, "Content-Type: text/plain")
	if w.Code != 201 || !regexp.MustCompile(`^{"dataset_id":"[0-9a-f-]{36}","primary":"`+n0+`","deleted":false,"metadata":{"pvc":"p","type":"k8s-dynamic-prov"},"maximum_size":1000000512}$`).MatchString(w.Body.String()) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestLeasesRunOut(t *testing.T) {
	f := newFixture(t, api.Options{})
	w := f.do(user, "POST", leases, `{"dataset_id":"`+id+`","node_uuid":"`+n1+`","expires":60}`)
	var lease struct{ Expires float64 }
	if err := json.Unmarshal(w.Body.Bytes(), &lease); err != nil || w.Code != 201 || lease.Expires <= 0 || lease.Expires > 60 {
		t.Errorf("%d %s, %v", w.Code, w.Body, err)
	}
	c, _ := f.service.Configuration()
	if left := time.Until(c.Leases[id].Expires); left <= 0 || left > time.Minute {
		t.Errorf("the lease is kept for %s", left)
	}
	want(t, f.do(user, "POST", leases, `{"dataset_id":"`+id+`","node_uuid":"`+n1+`","expires":-1}`), 200, "")
	want(t, f.do(user, "GET", leases, ""), 200, "[]")
}

func TestConditionalRequests(t *testing.T) {
	f := newFixture(t, api.Options{})
	tag := func() string {
		return f.do(user, "GET", datasets, "").Header().Get("X-Configuration-Tag")
	}
	create := `{"dataset_id":"` + id + `","primary":"` + n0 + `"}`
	empty := tag()
	wrong := "X-If-Configuration-Matches: 0123"
	mismatch := `{"description":"Tag doesn't match. Required: 0123, current: ` + empty + `"}`

	// The tag is looked at before the body, and before what the path names.
	want(t, f.do(user, "POST", datasets, `{`, wrong), 412, mismatch)
	want(t, f.do(user, "POST", datasets+"/"+id, `{}`, wrong), 412, mismatch)
	want(t, f.do(user, "DELETE", datasets+"/"+id, "", wrong), 412, mismatch)

	want(t, f.do(user, "POST", datasets, create, wrong, "X-If-Configuration-Matches: "+empty), 201, "")
	first := tag()
	if first == empty {
		t.Error("a new dataset left the tag as it was")
	}
	want(t, f.do(user, "POST", datasets+"/"+id, `{}`, "X-If-Configuration-Matches: "+empty), 412, "")
	want(t, f.do(user, "POST", datasets+"/"+id, `{"primary":"`+n0+`"}`, "X-If-Configuration-Matches: "+first), 200, "")
	if tag() != first {
		t.Error("a write that changed nothing changed the tag")
	}
	// Other calls are not conditional.
	want(t, f.do(user, "POST", leases, `{"dataset_id":"`+id+`","node_uuid":"`+n1+`","expires":60}`, wrong), 201, "")
	want(t, f.do(user, "DELETE", datasets+"/"+id, "", "X-If-Configuration-Matches: "+first), 200, "")
	if w := f.do(user, "GET", containers, ""); w.Header().Get("X-Configuration-Tag") != "" {
		t.Error("containers have a tag")
	}
}

// An interloper makes a dataset between the first look at the tag and the write.
type interloper struct{ *apitest.Service }

func (i interloper) Configuration() (cluster.Configuration, cluster.Revision) {
	c, revision := i.Service.Configuration()
	i.Set(func(w *apitest.World) {
		w.Configuration.Volumes[id] = cluster.Volume{ID: id, Primary: apitest.NodeA}
		w.Revision++
	})
	return c, revision
}

func TestTheTagCountsAtTheWrite(t *testing.T) {
	f := newFixture(t, api.Options{})
	empty := f.do(user, "GET", datasets, "").Header().Get("X-Configuration-Tag")
	f.handler = api.New(interloper{f.service}, api.Options{})
	w := f.do(user, "POST", datasets, `{"primary":"`+n0+`"}`, "X-If-Configuration-Matches: "+empty)
	want(t, w, http.StatusPreconditionFailed, "")
	if c, _ := f.service.Configuration(); len(c.Volumes) != 1 {
		t.Errorf("volumes = %v, want the interloper's alone", c.Volumes)
	}
}

func TestState(t *testing.T) {
	f := newFixture(t, api.Options{})
	f.service.Set(func(w *apitest.World) {
		w.Nodes = []wire.NodeStatus{{
			Node: cluster.Node{ID: apitest.NodeA, Address: "10.0.0.1", Era: "e"},
			State: cluster.NodeState{
				Applications: []cluster.Instance{{Name: "web", Running: true}},
				Volumes: []cluster.Copy{
					{Volume: id, Role: cluster.Primary, Epoch: 1, Open: true, Path: "/flocker/" + id, MaximumSize: 1 << 30},
					{Volume: "886e0000", Role: cluster.Replica, MaximumSize: 1 << 30}},
			},
			Live: true,
		}}
		w.Configuration.Applications["web"] = cluster.Application{Name: "web", Image: "nginx", Node: apitest.NodeA}
	})
	for path, answer := range map[string]string{
		"datasets":          `[{"dataset_id":"` + id + `","primary":"` + n0 + `","path":"/flocker/` + id + `","maximum_size":1073741824},{"dataset_id":"886e0000","maximum_size":1073741824}]`,
		"containers":        `[{"node_uuid":"` + n0 + `","name":"web","image":"nginx:latest","restart_policy":{"name":"never"},"running":true}]`,
		"nodes":             `[{"uuid":"` + n0 + `","host":"10.0.0.1"}]`,
		"nodes/by_era/e":    `{"uuid":"` + n0 + `"}`,
		"nodes/by_era/none": `{"description":"No node found with given era."}`,
	} {
		status := 200
		if path == "nodes/by_era/none" {
			status = 404
		}
		want(t, f.do(user, "GET", "/v1/state/"+path, ""), status, answer)
	}
}

// FuzzFlockerBodies sends any body to each call that has one: the answer is never a fault of the
// server, and what is accepted leaves a valid configuration.
func FuzzFlockerBodies(f *testing.F) {
	paths := []string{datasets, datasets + "/" + id, containers, containers + "/web", leases, "/v1/configuration/_compose",
		"/v1/configuration", "/v1/moves"}
	for i, body := range []string{
		`{"dataset_id":"` + id + `","primary":"` + n0 + `","maximum_size":67108864,"metadata":{"name":"é"},"deleted":false}`,
		`{"primary":"` + n1 + `"}`,
		`{"node_uuid":"` + n0 + `","name":"webserver","image":"a/b:c","ports":[{"internal":1,"external":2}],"environment":{"A=":"b"},` +
			`"restart_policy":{"name":"on-failure","maximum_retry_count":1},"command_line":["x"],"swappiness":1,"volumes":[{"dataset_id":"` + id + `","mountpoint":"/"}],` +
			`"cpu_shares":1,"memory_limit":1048576,"links":[{"alias":"a","local_port":1,"remote_port":2}]}`,
		`{"node_uuid":"` + n0 + `"}`,
		`{"dataset_id":"` + id + `","node_uuid":"` + n0 + `","expires":1e300}`,
		`{"applications":{},"deployment":{}}`,
		`{"configuration":{"applications":{},"volumes":{}}}`,
		`{"application":"web"}`,
	} {
		f.Add(i, []byte(body))
	}
	f.Fuzz(func(t *testing.T, which int, body []byte) {
		fixture := newFixture(t, api.Options{Compose: composed})
		fixture.service.Set(func(w *apitest.World) {
			w.Configuration.Applications["web"] = cluster.Application{Name: "web", Image: "nginx", Node: apitest.NodeA}
			w.Configuration.Volumes[id] = cluster.Volume{ID: id, Primary: apitest.NodeA}
		})
		path := paths[(which%len(paths)+len(paths))%len(paths)]
		method := http.MethodPost
		if path == "/v1/configuration" {
			method = http.MethodPut
		}
		w := fixture.do(user, method, path, string(body))
		if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %q: %d %s\n%s", path, body, w.Code, w.Body, fixture.log)
		}
		if c, _ := fixture.service.Configuration(); c.Validate() != nil {
			t.Errorf("%s %q was accepted: %v", path, body, c.Validate())
		}
	})
}
