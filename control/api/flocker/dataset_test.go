package flocker_test

import (
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api/flocker"
)

func TestDatasets(t *testing.T) {
	want := `[` +
		`{"dataset_id":"` + data + `","primary":"` + n0 + `","deleted":false,"metadata":{"name":"db"},"maximum_size":1073741824},` +
		`{"dataset_id":"` + other + `","primary":"` + n0 + `","deleted":false,"metadata":{"a":"b"}},` +
		`{"dataset_id":"` + gone + `","primary":"` + n1 + `","deleted":true,"metadata":{"name":"old"}}]`
	if got := toJSON(t, flocker.Datasets(sample())); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := toJSON(t, flocker.Datasets(cluster.Configuration{})); got != `[]` {
		t.Errorf("no datasets: %s, want []", got)
	}
}

func TestCreateDataset(t *testing.T) {
	const id = "99999999-0000-4000-8000-00000000000a"
	for _, tt := range []struct {
		rule    string
		request flocker.Dataset
		want    string // the refusal
		volume  cluster.Volume
	}{
		{"the least", flocker.Dataset{ID: id, Primary: n1}, "", cluster.Volume{ID: id, Primary: n1}},
		{"ids are lower-cased", flocker.Dataset{ID: strings.ToUpper(id), Primary: strings.ToUpper(n1)}, "", cluster.Volume{ID: id, Primary: n1}},
		{"the primary need not be known", flocker.Dataset{ID: id, Primary: id}, "", cluster.Volume{ID: id, Primary: id}},
		{"the name in the metadata is the volume's", flocker.Dataset{ID: id, Primary: n1, Metadata: map[string]string{"name": "demo", "a": "b"}}, "",
			cluster.Volume{ID: id, Primary: n1, Name: "demo", Metadata: map[string]string{"a": "b"}}},
		{"a name that is taken stays metadata", flocker.Dataset{ID: id, Primary: n1, Metadata: map[string]string{"name": "db"}}, "",
			cluster.Volume{ID: id, Primary: n1, Metadata: map[string]string{"name": "db"}}},
		{"a name that was an id stays metadata", flocker.Dataset{ID: id, Primary: n1, Metadata: map[string]string{"name": other}}, "",
			cluster.Volume{ID: id, Primary: n1, Metadata: map[string]string{"name": other}}},
		{"a name of a deleted one is free", flocker.Dataset{ID: id, Primary: n1, Metadata: map[string]string{"name": "old"}}, "",
			cluster.Volume{ID: id, Primary: n1, Name: "old", Metadata: map[string]string{}}},
		{"a name that is none stays metadata", flocker.Dataset{ID: id, Primary: n1, Metadata: map[string]string{"name": "a b/c"}}, "",
			cluster.Volume{ID: id, Primary: n1, Metadata: map[string]string{"name": "a b/c"}}},
		{"1024 is kept", flocker.Dataset{ID: id, Primary: n1, MaximumSize: 1 << 30}, "", cluster.Volume{ID: id, Primary: n1, MaximumSize: 1 << 30}},
		{"1G of Kubernetes is rounded up", flocker.Dataset{ID: id, Primary: n1, MaximumSize: 1e9}, "", cluster.Volume{ID: id, Primary: n1, MaximumSize: 1000000512}},

		{"an id in use", flocker.Dataset{ID: strings.ToUpper(data), Primary: n1}, "409 The provided dataset_id is already in use.", cluster.Volume{}},
		{"an id of a deleted one", flocker.Dataset{ID: gone, Primary: n1}, "409 The provided dataset_id is already in use.", cluster.Volume{}},
		{"born deleted", flocker.Dataset{ID: id, Primary: n1, Deleted: true}, "400 A dataset cannot be created deleted.", cluster.Volume{}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			c := sample()
			created, err := flocker.CreateDataset(&c, tt.request)
			if got := refusal(t, err); got != tt.want {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			if tt.want != "" {
				unchanged(t, c)
				return
			}
			v := c.Volumes[id]
			if toJSON(t, v) != toJSON(t, tt.volume) {
				t.Errorf("volume = %s, want %s", toJSON(t, v), toJSON(t, tt.volume))
			}
			for k, v := range tt.request.Metadata {
				if created.Metadata[k] != v {
					t.Errorf("metadata = %v, want all of %v", created.Metadata, tt.request.Metadata)
				}
			}
			if problems := c.Validate(); problems != nil {
				t.Errorf("the configuration is not valid any more: %v", problems)
			}
		})
	}
}

func TestUpdateDataset(t *testing.T) {
	for _, tt := range []struct{ rule, id, primary, want string }{
		{"to another node", other, n1, ""},
		{"nowhere", other, "", ""},
		{"with the container that uses it", data, strings.ToUpper(n1), ""},
		{"unknown", n0, n1, "404 Dataset not found."},
		{"paths are compared as they are written", strings.ToUpper(data), n1, "404 Dataset not found."},
		{"deleted", gone, n1, "405 The dataset has been deleted."},
		{"deleted, to nowhere", gone, "", "405 The dataset has been deleted."},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			c := sample()
			d, err := flocker.UpdateDataset(&c, tt.id, tt.primary)
			if got := refusal(t, err); got != tt.want {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			if tt.want != "" || tt.primary == "" {
				unchanged(t, c)
				return
			}
			if d.Primary != n1 || c.Volumes[cluster.VolumeID(tt.id)].Primary != n1 {
				t.Errorf("primary = %s and %s, want %s", d.Primary, c.Volumes[cluster.VolumeID(tt.id)].Primary, n1)
			}
			if user, used := c.User(cluster.VolumeID(tt.id)); used && user.Node != n1 {
				t.Errorf("%s stays on %s", user.Name, user.Node)
			}
			if problems := c.Validate(); problems != nil {
				t.Errorf("the configuration is not valid any more: %v", problems)
			}
		})
	}
}

func TestDeleteDataset(t *testing.T) {
	c := sample()
	for _, tt := range []struct{ rule, id, want string }{
		{"unknown", n0, "404 Dataset not found."},
		{"in use", data, "409 The dataset is being used by another container."},
		{"again", gone, ""},
	} {
		if _, err := flocker.DeleteDataset(&c, tt.id); refusal(t, err) != tt.want {
			t.Errorf("%s: %v, want %q", tt.rule, err, tt.want)
		}
	}
	unchanged(t, c)
	for range 2 {
		if d, err := flocker.DeleteDataset(&c, other); err != nil || !d.Deleted || !c.Volumes[other].Deleted {
			t.Errorf("delete: %v, %v", d, err)
		}
	}
}
