package wire

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
)

// TestMergePatch holds the examples of RFC 7396, appendix A.
func TestMergePatch(t *testing.T) {
	for _, row := range [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"a":1,"e":null}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"n":9007199254740993}`, `{}`, `{"n":9007199254740993}`},
	} {
		was, err := decodeAny([]byte(row[0]))
		if err != nil {
			t.Fatal(err)
		}
		patch, err := decodeAny([]byte(row[1]))
		if err != nil {
			t.Fatal(err)
		}
		if is, err := json.Marshal(mergeAny(was, patch)); err != nil || string(is) != row[2] {
			t.Errorf("%s with %s is %s, %v; want %s", row[0], row[1], is, err, row[2])
		}
	}
}

func TestAPatchMakesOneConfigurationOfAnother(t *testing.T) {
	expires := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	current := cluster.Configuration{
		Applications: map[cluster.AppName]cluster.Application{
			"same": {Name: "same", Image: "i"},
			"gone": {Name: "gone"},
			"db": {Name: "db", Image: "old", Environment: map[string]string{"A": "1", "B": "2"}, Node: "a",
				Ports: []cluster.Port{{Internal: 1, External: 2}}, Health: &cluster.HealthCheck{Interval: time.Second}},
		},
		Volumes: map[cluster.VolumeID]cluster.Volume{"v": {ID: "v", Primary: "a", MaximumSize: 1 << 62}},
		Leases:  map[cluster.VolumeID]cluster.Lease{"v": {Volume: "v", Node: "a"}},
	}
	next := current.Clone()
	delete(next.Applications, "gone")
	next.Applications["db"] = cluster.Application{Name: "db", Image: "new", Environment: map[string]string{"B": "2"}, Node: "b"}
	next.Applications["web"] = cluster.Application{Name: "web", Ports: []cluster.Port{{Internal: 3, External: 4}}}
	next.Volumes["v"] = cluster.Volume{ID: "v", Primary: "b", MaximumSize: 1<<62 + 1}
	next.Volumes["w"] = cluster.Volume{ID: "w", Name: "w"}
	next.Leases = map[cluster.VolumeID]cluster.Lease{"w": {Volume: "w", Node: "b", Expires: expires}}
	p, err := PatchBetween(current, next)
	if err != nil {
		t.Fatal(err)
	}
	if _, told := p.Applications["same"]; told {
		t.Errorf("it tells of what stays as it is: %s", p.Applications)
	}
	is := current.Clone()
	if err := p.Apply(&is); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(next, is); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAPatchThatIsNone(t *testing.T) {
	for _, text := range []string{`{"volumes": {"v": null}}`, `{"applications": {"db": 7}}`, `{"applications": {"db": {"imagge": "x"}}}`,
		`{"applications": {"db": {"image": 7}}}`, `{"leases": {"v": []}}`} {
		var p ConfigurationPatch
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		c := cluster.Configuration{}.Clone()
		if err := p.Apply(&c); !errors.Is(err, cluster.ErrInvalid) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
