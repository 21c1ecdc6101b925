package runtime_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
)

// TestFingerprintsOutliveAnUpgrade: a version that finds another fingerprint for the same definition restarts every
// application of a host whose agent is upgraded. These are of the first version.
func TestFingerprintsOutliveAnUpgrade(t *testing.T) {
	for want, s := range map[string]runtime.Spec{
		"6029f399e5066f87": {Address: "10.0.0.1", Application: cluster.Application{Name: "app", Command: []string{"a"}}},
		"ec4e8c548ec4b5b4": {Address: "10.0.0.1", Private: "192.168.0.1", VolumePath: "/v", Epoch: 7, Application: cluster.Application{
			Name: "db", Image: "postgres:15", Command: []string{"a", "<b>"}, Ports: []cluster.Port{{Internal: 5432, External: 15432}},
			Links: []cluster.Link{{LocalPort: 1, RemotePort: 2, Alias: "x"}}, Environment: map[string]string{"B": "2", "A": "é"},
			Volume: &cluster.Attachment{Volume: "v", Mountpoint: "/data"}, Limits: cluster.Limits{MemoryBytes: 1, CPUShares: 2, Swappiness: 3},
			Restart: cluster.RestartPolicy{Name: cluster.RestartOnFailure, MaximumRetryCount: 3},
			Stop:    cluster.StopPolicy{Signal: "SIGINT", Timeout: time.Second, Before: []string{"c"}}, User: "u", Scratch: []string{"/s"},
			Health: &cluster.HealthCheck{Command: []string{"h"}, Interval: 2, Timeout: 3}, Node: "n",
		}},
	} {
		if got := s.Fingerprint(); got != want {
			t.Errorf("%s has the fingerprint %s, had %s", s.Application.Name, got, want)
		}
	}
}

// TestANewFieldLeavesFingerprints: what says nothing must not be written. All but these, of the first version, have
// omitempty or omitzero.
func TestANewFieldLeavesFingerprints(t *testing.T) {
	first := map[string][]string{
		"Spec": {"Application", "Epoch", "VolumePath", "Address", "Private"}, "Application": {"Name"}, "Port": {"Internal", "External"},
		"Link": {"LocalPort", "RemotePort", "Alias"}, "Attachment": {"Volume", "Mountpoint"}, "HealthCheck": {"Command"},
	}
	written := map[string][]string{}
	var look func(reflect.Type)
	look = func(of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			look(of.Elem())
		case reflect.Struct:
			for field := range of.Fields() {
				if tag := field.Tag.Get("json"); !strings.Contains(tag, ",omitempty") && !strings.Contains(tag, ",omitzero") && tag != "-" {
					written[of.Name()] = append(written[of.Name()], field.Name)
				}
				look(field.Type)
			}
		}
	}
	look(reflect.TypeFor[runtime.Spec]())
	if !reflect.DeepEqual(written, first) {
		t.Errorf("written without a value are %v, and should be %v: else an upgrade restarts every application", written, first)
	}
}
