package client_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control"
	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/store/mem"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

// TestWithTheRealService sends an application, and a dataset of Flocker's, all the way round:
// client, API, control service, and back to the agent of the node.
func TestWithTheRealService(t *testing.T) {
	ctx := t.Context()
	service, err := control.Open(ctx, mem.New(), control.Options{Log: slog.New(slog.DiscardHandler), Version: "v", Cluster: "c"})
	if err != nil {
		t.Fatal(err)
	}
	server := apitest.Serve(t, service, api.Options{})
	user := open(t, server.Address, server.Certificates, pki.User)
	agent := open(t, server.Address, server.NodeCertificates(apitest.NodeA), pki.Node)

	if _, _, err := agent.Assignment(ctx, apitest.NodeA, 0, 0); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("an assignment of a node that has not registered: %v, want ErrNotFound", err)
	}
	if err := agent.Register(ctx, cluster.Node{ID: apitest.NodeA, Name: "a", Address: "127.0.0.1", Era: "e"}); err != nil {
		t.Fatal(err)
	}
	if _, changed, err := agent.Assignment(ctx, apitest.NodeA, 0, 0); err != nil || changed {
		t.Errorf("a node that has not said what it holds was told something: %v, %v", changed, err)
	}
	if err := agent.Report(ctx, cluster.NodeState{Node: apitest.NodeA, Era: "e"}); err != nil {
		t.Fatal(err)
	}
	before, _, err := agent.Assignment(ctx, apitest.NodeA, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, changed, err := agent.Assignment(ctx, apitest.NodeA, before.Revision, 0); err != nil || changed {
		t.Errorf("nothing has changed, but: %v, %v", changed, err)
	}

	document, err := user.Configuration(ctx)
	if err != nil {
		t.Fatal(err)
	}
	next := document.Configuration.Clone()
	next.Applications["web"] = cluster.Application{Name: "web", Image: "nginx", Node: apitest.NodeA}
	document, err = user.Configure(ctx, document.Revision, next)
	if err != nil || !document.Changed {
		t.Fatalf("configure: %+v, %v", document, err)
	}
	if _, err := user.Configure(ctx, document.Revision+1, next); !errors.Is(err, cluster.ErrStale) {
		t.Errorf("from another revision: %v, want ErrStale", err)
	}
	after, changed, err := agent.Assignment(ctx, apitest.NodeA, before.Revision, time.Minute)
	if err != nil || !changed || len(after.Applications) != 1 || after.Applications[0].Name != "web" {
		t.Errorf("the agent was told %+v, %v, %v", after.Applications, changed, err)
	}

	const datasets = "/v1/configuration/datasets"
	const id = "47440eff-e933-4de0-b56c-d3469b61421f"
	dataset := `{"dataset_id":"` + id + `","primary":"` + string(apitest.NodeA) + `","metadata":{"name":"demo"}}`
	for _, want := range []int{http.StatusCreated, http.StatusConflict} {
		if status, answer := ask(t, server, http.MethodPost, datasets, dataset); status != want {
			t.Errorf("create the dataset: %d %s, want %d", status, answer, want)
		}
	}
	if status, err := user.Volume(ctx, "demo"); err != nil || status.Volume.ID != id {
		t.Errorf("the dataset as a volume: %+v, %v", status, err)
	}
	if _, err := user.RequestMove(ctx, wire.MoveRequest{Volume: "demo", To: "nowhere"}); err == nil {
		t.Error("a move to nowhere was accepted")
	}
	if events, err := user.Events(ctx, 0, 0); err != nil || len(events) == 0 {
		t.Errorf("events = %v, %v; want what happened", events, err)
	}
}

// ask sends a request as Flocker's clients do, without this client.
func ask(t *testing.T, s *apitest.Server, method, path, body string) (int, string) {
	t.Helper()
	config, err := pki.ClientTLS(s.Certificates, pki.User)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), method, "https://"+s.Address+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}
