package docker

import (
	"encoding/json"
	"testing"

	"github.com/moby/moby/api/types/container"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// FuzzLabels: labels are what everybody who may use the engine can write, also on a container that
// is called as one of an application.
func FuzzLabels(f *testing.F) {
	r := &Runtime{o: Options{Prefix: "drover"}}
	b, err := json.Marshal(r.labels(runtime.Spec{Epoch: 7, Application: cluster.Application{Name: "db", Scratch: []string{"/cache"},
		Health: &cluster.HealthCheck{Command: []string{"true"}}, Volume: &cluster.Attachment{Volume: "v", Mountpoint: "/data"}}},
		roleApplication, map[int]string{80: "10.0.0.1:1234"}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"drover.endpoints":"null","drover.health":"null","drover.scratch":"null","drover.patience":"-1h","drover.epoch":"-1"}`))
	f.Add([]byte(`{"drover.endpoints":"{\"99999999\":\"x\"}","drover.health":"{\"interval\":-5}"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var labels map[string]string
		if json.Unmarshal(b, &labels) != nil {
			return
		}
		m := readLabels(labels)
		if m.patience <= 0 { // a stop would have no end
			t.Errorf("%q reads as %+v", labels, m)
		}
		for _, at := range keeps(container.InspectResponse{Config: &container.Config{Labels: labels}}) {
			t.Errorf("%q keeps %s", labels, at)
		}
	})
}

// FuzzKept: what names volumes with data is believed whole, or not at all.
func FuzzKept(f *testing.F) {
	f.Add([]byte(`{"/data": "4fe1"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if kept, err := parseKept(b); err == nil && kept == nil {
			t.Errorf("%q reads as nothing", b)
		}
	})
}
