package cluster

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

const (
	someID  = VolumeID("47440eff-e933-4de0-b56c-d3469b61421f")
	otherID = VolumeID("886ed03a-5606-4b22-9a2c-8c1d1c8d1f3e")
)

// fullConfiguration is valid, and has something in every field.
func fullConfiguration() Configuration {
	app := fullApplication()
	app.Volume.Volume = someID
	return Configuration{
		Applications: map[AppName]Application{"db": app},
		Volumes: map[VolumeID]Volume{someID: {ID: someID, Name: "db", Primary: "n", MaximumSize: 1,
			Metadata: map[string]string{"name": "db"}, Snapshots: []SnapshotRequest{{"s", 1}}}},
		Leases: map[VolumeID]Lease{someID: {Volume: someID, Node: "n", Expires: time.Unix(1, 0).UTC()}},
	}
}

func TestConfigurationCloneIsEqualAndSharesNothing(t *testing.T) {
	original := fullConfiguration()
	copied := original.Clone()
	if !reflect.DeepEqual(original, copied) {
		t.Fatalf("got %+v, want %+v", copied, original)
	}
	copied.Applications["db"].Environment["A"] = "-"
	copied.Applications["new"] = Application{}
	copied.Volumes[someID].Metadata["name"] = "-"
	copied.Volumes[someID].Snapshots[0].Name = "-"
	delete(copied.Leases, someID)
	if !reflect.DeepEqual(original, fullConfiguration()) {
		t.Errorf("a change of the clone changed the original: %+v", original)
	}
}

func TestCloneHasMapsToWriteTo(t *testing.T) {
	c := Configuration{}.Clone()
	c.Applications["a"], c.Volumes["v"], c.Leases["v"] = Application{}, Volume{}, Lease{} // would panic
}

func TestConfigurationSurvivesJSON(t *testing.T) {
	data, err := json.Marshal(fullConfiguration())
	if err != nil {
		t.Fatal(err)
	}
	var got Configuration
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, fullConfiguration()) {
		t.Errorf("got %+v, want %+v", got, fullConfiguration())
	}
}

func TestUser(t *testing.T) {
	c := fullConfiguration()
	c.Applications["web"] = Application{Name: "web"}
	if app, ok := c.User(someID); !ok || app.Name != "db" {
		t.Errorf("got %s %t, want db", app.Name, ok)
	}
	if app, ok := c.User(otherID); ok {
		t.Errorf("got %s for a volume that nobody uses", app.Name)
	}
}

func TestVolumeNamed(t *testing.T) {
	c := Configuration{Volumes: map[VolumeID]Volume{
		someID:  {ID: someID, Name: "db"},
		otherID: {ID: otherID, Name: "old", Deleted: true},
	}}
	for word, want := range map[string]VolumeID{"db": someID, string(someID): someID, "old": "", string(otherID): "", "": ""} {
		if v, ok := c.VolumeNamed(word); v.ID != want || ok != (want != "") {
			t.Errorf("%q: got %s %t, want %s", word, v.ID, ok, want)
		}
	}
}
