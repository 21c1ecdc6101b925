package ssh

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

func TestParsePath(t *testing.T) {
	const id = "b1f3ba5e-77b7-4b0a-9e5e-0d3e4ce5a1b2"
	for _, row := range []struct {
		rule, name string
		want       file
		ok         bool
	}{
		{"the root", "/", file{}, true},
		{"nothing is the root", "", file{}, true},
		{"the list of volumes", "/volumes", file{}, true},
		{"a volume", "/volumes/" + id, file{volume: id}, true},
		{"a slash at the end means nothing", "/volumes/" + id + "/", file{volume: id}, true},
		{"its description", "/volumes/" + id + "/copy.json", file{volume: id, part: partCopy}, true},
		{"its snapshots", "/volumes/" + id + "/snapshots", file{volume: id, part: partSnapshots}, true},
		{"a full stream", "/volumes/" + id + "/snapshots/s1",
			file{volume: id, part: partSnapshots, delta: volume.Delta{Volume: id, To: "s1"}}, true},
		{"a difference", "/volumes/" + id + "/incoming/s1:s2",
			file{volume: id, part: partIncoming, delta: volume.Delta{Volume: id, From: "s1", To: "s2"}}, true},
		{"names may have two dots in them", "/volumes/" + id + "/incoming/a..b:c..d",
			file{volume: id, part: partIncoming, delta: volume.Delta{Volume: id, From: "a..b", To: "c..d"}}, true},
		{"a difference that goes on", "/volumes/" + id + "/incoming/s1:s2:resume",
			file{volume: id, part: partIncoming, resume: true, delta: volume.Delta{Volume: id, From: "s1", To: "s2"}}, true},
		{"a full stream that goes on", "/volumes/" + id + "/incoming/:s2:resume",
			file{volume: id, part: partIncoming, resume: true, delta: volume.Delta{Volume: id, To: "s2"}}, true},
		{"a snapshot may be called resume", "/volumes/" + id + "/incoming/s1:resume",
			file{volume: id, part: partIncoming, delta: volume.Delta{Volume: id, From: "s1", To: "resume"}}, true},
		{"nothing else below the root", "/etc", file{}, false},
		{"no way out", "/volumes/../etc/passwd", file{}, false},
		{"a volume's name will do", "/volumes/pgdata/snapshots/s1",
			file{volume: id, part: partSnapshots, delta: volume.Delta{Volume: id, To: "s1"}}, true},
		{"another name will not", "/volumes/data", file{}, false},
		{"no other part", "/volumes/" + id + "/data", file{}, false},
		{"the description is a file", "/volumes/" + id + "/copy.json/x", file{}, false},
		{"nothing below a snapshot", "/volumes/" + id + "/snapshots/s1/x", file{}, false},
		{"a name that no snapshot can have", "/volumes/" + id + "/snapshots/-s", file{}, false},
		{"a base that no snapshot can have", "/volumes/" + id + "/snapshots/a b:s", file{}, false},
		{"no name behind the base", "/volumes/" + id + "/snapshots/s1:", file{}, false},
		{"no fourth field", "/volumes/" + id + "/incoming/a:b:resume:c", file{}, false},
		{"no other mark", "/volumes/" + id + "/incoming/a:b:again", file{}, false},
	} {
		t.Run(row.rule, func(t *testing.T) {
			got, err := parsePath(row.name, volumeNames{id: "pgdata"}.resolve)
			if row.ok != (err == nil) || (err != nil && !errors.Is(err, fs.ErrNotExist)) {
				t.Fatalf("%s: %v", row.name, err)
			}
			if err == nil && (got.volume != row.want.volume || got.part != row.want.part || got.resume != row.want.resume ||
				got.delta.From != row.want.delta.From || got.delta.To != row.want.delta.To) {
				t.Errorf("%s is %+v, want %+v", row.name, got, row.want)
			}
		})
	}
}

func FuzzParsePath(f *testing.F) {
	id := cluster.VolumeID(cluster.NewUUID())
	f.Add(deltaPath(partIncoming, volume.Delta{Volume: id, From: "a", To: "b", Resume: []byte{1}}))
	f.Add(deltaPath(partSnapshots, volume.Delta{Volume: id, To: "b"}))
	f.Add("/volumes/../..//x")
	f.Add("/volumes/pgdata/snapshots/a:b")
	names := volumeNames{id: "pgdata"}
	f.Fuzz(func(t *testing.T, name string) {
		got, err := parsePath(name, names.resolve)
		if err != nil || got.delta.To == "" {
			return
		}
		if got.resume {
			got.delta.Resume = []byte{1}
		}
		again, err := parsePath(deltaPath(got.part, got.delta), names.resolve)
		if err != nil || again.volume != got.volume || again.part != got.part || again.delta.String() != got.delta.String() || again.resume != got.resume {
			t.Errorf("%q is %+v, and written again %+v: %v", name, got, again, err)
		}
	})
}
