package dockervolume

import (
	"encoding/json"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

// FuzzVolumeCache: what was kept before a crash are volumes with names, each under its own id, or an error.
func FuzzVolumeCache(f *testing.F) {
	good, _ := json.Marshal(kept{Revision: 7, Volumes: map[cluster.VolumeID]wire.VolumeBrief{"id-1": {ID: "id-1", Name: "data", Owner: "a", Epoch: 1}}})
	f.Add(good)
	f.Add([]byte(`{"volumes":{"id-1":{"id":"id-2"}}}`))
	f.Add([]byte(`{"volumes":{"../x":{"id":"../x"}}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := parseKept(text)
		if err != nil {
			return
		}
		if k.Volumes == nil {
			t.Fatal("nothing can be added to it")
		}
		for id, v := range k.Volumes {
			if v.ID != id || !cluster.ValidName(string(id)) || v.Name != "" && !cluster.ValidName(v.Name) {
				t.Errorf("%q holds %+v", id, v)
			}
		}
		c := &volumeCache{known: k}
		c.take(wire.VolumeChanges{Reset: true, Volumes: c.all()})
	})
}
