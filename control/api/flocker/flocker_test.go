package flocker_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api/flocker"
	"github.com/drover/drover/control/api/schema"
)

const (
	n0    = "aaaaaaaa-0000-4000-8000-000000000000"
	n1    = "bbbbbbbb-1111-4111-8111-111111111111"
	data  = "dddddddd-0000-4000-8000-000000000000"
	other = "eeeeeeee-0000-4000-8000-000000000000"
	gone  = "ffffffff-0000-4000-8000-000000000000"
)

// sample has a web server, a database on n0 with its volume, a volume that is free and one that
// is deleted.
func sample() cluster.Configuration {
	return cluster.Configuration{
		Applications: map[cluster.AppName]cluster.Application{
			"web": {Name: "web", Image: "nginx", Node: n0, Ports: []cluster.Port{{Internal: 80, External: 8080}}},
			"db": {Name: "db", Image: "postgres:9.4", Node: n0,
				Volume: &cluster.Attachment{Volume: data, Mountpoint: "/data"}},
			"spare": {Name: "spare", Image: "busybox"},
		},
		Volumes: map[cluster.VolumeID]cluster.Volume{
			data:  {ID: data, Name: "db", Primary: n0, MaximumSize: 1 << 30},
			other: {ID: other, Primary: n0, Metadata: map[string]string{"a": "b"}},
			gone:  {ID: gone, Name: "old", Primary: n1, Deleted: true},
		},
		Leases: map[cluster.VolumeID]cluster.Lease{},
	}
}

// refusal tells an error as "status description", and nil as "".
func refusal(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var r *flocker.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("%v is no refusal", err)
	}
	return fmt.Sprint(r.Status, " ", r.Description)
}

// unchanged fails if a call that was refused left something behind.
func unchanged(t *testing.T, c cluster.Configuration) {
	t.Helper()
	if diff := cmp.Diff(sample(), c); diff != "" {
		t.Errorf("a refused call changed the configuration:\n%s", diff)
	}
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTag(t *testing.T) {
	c := sample()
	tag := flocker.Tag(c)
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(tag) {
		t.Errorf("tag = %q, want 32 hexadecimal digits", tag)
	}
	if again := flocker.Tag(sample().Clone()); again != tag {
		t.Errorf("the tag of an equal configuration is %s, want %s", again, tag)
	}
	delete(c.Applications, "web")
	c.Leases[data] = cluster.Lease{Volume: data, Node: n0}
	if flocker.Tag(c) != tag {
		t.Error("containers and leases changed the tag of the datasets")
	}
	if _, err := flocker.UpdateDataset(&c, data, n1); err != nil || flocker.Tag(c) == tag {
		t.Errorf("a moved dataset has the same tag (%v)", err)
	}
}

func TestCheckTag(t *testing.T) {
	c := sample()
	tag := flocker.Tag(c)
	for _, tt := range []struct {
		rule   string
		wanted []string
		ok     bool
	}{
		{"no condition", nil, true},
		{"the present tag", []string{tag}, true},
		{"any of several", []string{"x", tag}, true},
		{"another one", []string{"x", "y"}, false},
		{"an empty one", []string{""}, false},
	} {
		err := flocker.CheckTag(c, tt.wanted)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.rule, err)
		}
		if err != nil {
			want := "412 Tag doesn't match. Required: " + tt.wanted[0] + ", current: " + tag
			if got := refusal(t, err); got != want {
				t.Errorf("%s: got %s, want %s", tt.rule, got, want)
			}
		}
	}
}

func TestSchemas(t *testing.T) {
	dataset := func(more string) string { return `{"primary": "` + n0 + `"` + more + `}` }
	container := func(more string) string {
		return `{"node_uuid": "` + n0 + `", "name": "web", "image": "nginx"` + more + `}`
	}
	lease := func(id, expires string) string {
		return `{"dataset_id": "` + id + `", "node_uuid": "` + n0 + `", "expires": ` + expires + `}`
	}
	metadata := func(n int) string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprint("key", i)] = "v"
		}
		return `, "metadata": ` + toJSON(t, m)
	}
	for _, tt := range []struct {
		rule   string
		schema schema.Schema
		body   string
		want   string // the first problem, or a part of it; "" for none
	}{
		{"the least", flocker.DatasetCreate, dataset(``), ""},
		{"no primary", flocker.DatasetCreate, `{}`, "'primary' is a required property"},
		{"a member that is not known", flocker.DatasetCreate, dataset(`, "junk": 1`), "Additional properties are not allowed (u'junk' was unexpected)"},
		{"all members", flocker.DatasetCreate, dataset(`, "dataset_id": "` + strings.ToUpper(data) + `", "maximum_size": 67108864, "metadata": {"a": ""}, "deleted": false`), ""},
		{"no object", flocker.DatasetCreate, `[]`, "[] is not of type 'object'"},
		{"not version 4", flocker.DatasetCreate, `{"primary": "aaaaaaaa-0000-1000-8000-000000000000"}`, "u'aaaaaaaa-0000-1000-8000-000000000000' does not match '^[A-Fa-f0-9]{8}-"},
		{"too short an id", flocker.DatasetCreate, `{"primary": "x"}`, "u'x' is too short"},
		{"no limit", flocker.DatasetCreate, dataset(`, "maximum_size": null`), ""},
		{"below 64 MiB", flocker.DatasetCreate, dataset(`, "maximum_size": 67108863`), "67108863 is less than the minimum of 67108864"},
		{"a size with a fraction", flocker.DatasetCreate, dataset(`, "maximum_size": 67108864.0`), "67108864.0 is not of type 'integer', 'null'"},
		{"a size that Kubernetes asks for", flocker.DatasetCreate, dataset(`, "maximum_size": 1000000000`), ""},
		{"the largest size", flocker.DatasetCreate, dataset(fmt.Sprint(`, "maximum_size": `, int64(math.MaxInt64))), "is greater than the maximum of"},
		{"16 members of metadata", flocker.DatasetCreate, dataset(metadata(16)), ""},
		{"17 members of metadata", flocker.DatasetCreate, dataset(metadata(17)), "has too many properties"},
		{"metadata that is no text", flocker.DatasetCreate, dataset(`, "metadata": {"a": 1}`), "1 is not of type 'string'"},
		{"an empty key", flocker.DatasetCreate, dataset(`, "metadata": {"": "a"}`), "(u'' was unexpected)"},
		{"a key of 257", flocker.DatasetCreate, dataset(`, "metadata": {"` + strings.Repeat("k", 257) + `": "a"}`), "was unexpected)"},
		{"a value of 256", flocker.DatasetCreate, dataset(`, "metadata": {"a": "` + strings.Repeat("ä", 256) + `"}`), ""},
		{"a value of 257", flocker.DatasetCreate, dataset(`, "metadata": {"a": "` + strings.Repeat("v", 257) + `"}`), "is too long"},

		{"update of nothing", flocker.DatasetUpdate, `{}`, ""},
		{"update of the primary", flocker.DatasetUpdate, dataset(``), ""},
		{"update of the size", flocker.DatasetUpdate, `{"maximum_size": 67108864}`, "(u'maximum_size' was unexpected)"},

		{"a container", flocker.ContainerCreate, container(``), ""},
		{"an empty container", flocker.ContainerCreate, `{}`, "'node_uuid' is a required property"},
		{"a name of one letter", flocker.ContainerCreate, `{"node_uuid": "` + n0 + `", "name": "w", "image": "nginx"}`, "u'w' does not match"},
		{"a name with a slash in front", flocker.ContainerCreate, `{"node_uuid": "` + n0 + `", "name": "/web", "image": "nginx"}`, ""},
		{"no ports", flocker.ContainerCreate, container(`, "ports": []`), "[] is too short"},
		{"a port twice", flocker.ContainerCreate, container(`, "ports": [{"internal": 1, "external": 2}, {"external": 2, "internal": 1}]`), "has non-unique elements"},
		{"half a port", flocker.ContainerCreate, container(`, "ports": [{"internal": 1}]`), "'external' is a required property"},
		{"port 0", flocker.ContainerCreate, container(`, "ports": [{"internal": 0, "external": 1}]`), "0 is less than the minimum of 1"},
		{"environment", flocker.ContainerCreate, container(`, "environment": {"A": "b", "C": ""}`), ""},
		{"a number in the environment", flocker.ContainerCreate, container(`, "environment": {"A": 1}`), "1 is not of type 'string'"},
		{"a variable without a name", flocker.ContainerCreate, container(`, "environment": {"": "a"}`), "(u'' was unexpected)"},
		{"never", flocker.ContainerCreate, container(`, "restart_policy": {"name": "never"}`), ""},
		{"on failure", flocker.ContainerCreate, container(`, "restart_policy": {"name": "on-failure"}`), ""},
		{"on failure, bounded", flocker.ContainerCreate, container(`, "restart_policy": {"name": "on-failure", "maximum_retry_count": 5}`), ""},
		{"on failure, never", flocker.ContainerCreate, container(`, "restart_policy": {"name": "on-failure", "maximum_retry_count": 0}`), "is not valid under any of the given schemas"},
		{"always, bounded", flocker.ContainerCreate, container(`, "restart_policy": {"name": "always", "maximum_retry_count": 5}`), "is not valid under any of the given schemas"},
		{"an unknown policy", flocker.ContainerCreate, container(`, "restart_policy": {"name": "x"}`), "{u'name': u'x'} is not valid under any of the given schemas"},
		{"a command", flocker.ContainerCreate, container(`, "command_line": ["nc", "-l"]`), ""},
		{"a command of another type", flocker.ContainerCreate, container(`, "command_line": "nc -l"`), "u'nc -l' is not of type 'array'"},
		{"4097 arguments", flocker.ContainerCreate, container(`, "command_line": [""` + strings.Repeat(`,""`, 4096) + `]`), "is too long"},
		{"an argument of 4097", flocker.ContainerCreate, container(`, "command_line": ["` + strings.Repeat("x", 4097) + `"]`), "is too long"},
		{"swappiness 0", flocker.ContainerCreate, container(`, "swappiness": 0`), ""},
		{"swappiness 101", flocker.ContainerCreate, container(`, "swappiness": 101`), "101 is greater than the maximum of 100"},
		{"no volume", flocker.ContainerCreate, container(`, "volumes": []`), ""},
		{"two volumes", flocker.ContainerCreate, container(`, "volumes": [{"dataset_id": "` + data + `", "mountpoint": "/a"}, {"dataset_id": "` + other + `", "mountpoint": "/b"}]`), "is too long"},
		{"a relative mountpoint", flocker.ContainerCreate, container(`, "volumes": [{"dataset_id": "` + data + `", "mountpoint": "a"}]`), `u'a' does not match '^\\/.*$'`},
		{"cpu shares 1025", flocker.ContainerCreate, container(`, "cpu_shares": 1025`), "1025 is greater than the maximum of 1024"},
		{"cpu shares 0", flocker.ContainerCreate, container(`, "cpu_shares": 0`), "0 is less than the minimum of 1"},
		{"memory below 1 MiB", flocker.ContainerCreate, container(`, "memory_limit": 1048575`), "1048575 is less than the minimum of 1048576"},
		{"an alias with a dash", flocker.ContainerCreate, container(`, "links": [{"alias": "my-db", "local_port": 1, "remote_port": 2}]`), "u'my-db' does not match"},
		{"a link without an alias", flocker.ContainerCreate, container(`, "links": [{"local_port": 1, "remote_port": 2}]`), "'alias' is a required property"},
		{"a link to port 65536", flocker.ContainerCreate, container(`, "links": [{"alias": "a", "local_port": 1, "remote_port": 65536}]`), "65536 is greater than the maximum of 65535"},

		{"move a container", flocker.ContainerUpdate, `{"node_uuid": "` + n0 + `"}`, ""},
		{"move it nowhere", flocker.ContainerUpdate, `{}`, "'node_uuid' is a required property"},

		{"a lease", flocker.LeaseAcquire, lease(data, "60.5"), ""},
		{"a lease for ever", flocker.LeaseAcquire, lease(data, "null"), ""},
		{"a lease that has no end", flocker.LeaseAcquire, `{"dataset_id": "` + data + `", "node_uuid": "` + n0 + `"}`, "'expires' is a required property"},
		{"a lease until a text", flocker.LeaseAcquire, lease(data, `"60"`), "u'60' is not of type 'number', 'null'"},
		{"a lease on any 36 characters", flocker.LeaseAcquire, lease(strings.Repeat("x", 36), "1"), ""},

		{"compose", flocker.Compose, `{"applications": {"any": []}, "deployment": {}}`, ""},
		{"compose a text", flocker.Compose, `{"applications": "any", "deployment": {}}`, "u'any' is not of type 'object'"},
		{"compose half", flocker.Compose, `{"applications": {}}`, "'deployment' is a required property"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			v, err := schema.Parse([]byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			problems := tt.schema.Check(v)
			if tt.want == "" && len(problems) > 0 || tt.want != "" && !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, tt.want) }) {
				t.Errorf("got %.300q, want %q", problems, tt.want)
			}
		})
	}
}

func TestLeases(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	seconds := func(s float64) *float64 { return &s }
	c := sample()
	take := func(node string, expires *float64, at time.Time, want string, wantNew bool) {
		t.Helper()
		lease, isNew, err := flocker.AcquireLease(&c, flocker.Lease{Dataset: strings.ToUpper(data), Node: node, Expires: expires}, at)
		if refusal(t, err) != want || isNew != wantNew {
			t.Errorf("acquire for %.8s: %v, new %v, %v; want %q, new %v", node, lease, isNew, err, want, wantNew)
		}
	}
	take(n0, seconds(60), now, "", true)
	take(n0, seconds(90), now.Add(10*time.Second), "", false)
	take(n1, nil, now.Add(20*time.Second), "409 Lease already held.", false)
	if got, want := toJSON(t, flocker.Leases(c, now.Add(20*time.Second))), `[{"dataset_id":"`+data+`","node_uuid":"`+n0+`","expires":80}]`; got != want {
		t.Errorf("leases = %s, want %s", got, want)
	}
	if got := toJSON(t, flocker.Leases(c, now.Add(100*time.Second))); got != `[]` {
		t.Errorf("an expired lease is listed: %s", got)
	}
	take(n1, nil, now.Add(100*time.Second), "", true) // the other one has expired
	released, err := flocker.ReleaseLease(&c, strings.ToUpper(data), now)
	if got, want := toJSON(t, released), `{"dataset_id":"`+data+`","node_uuid":"`+n1+`","expires":null}`; err != nil || got != want {
		t.Errorf("released %s, %v; want %s", got, err, want)
	}
	_, err = flocker.ReleaseLease(&c, data, now)
	if got := refusal(t, err); got != "404 Lease not found." {
		t.Errorf("release again: %s", got)
	}
	unchanged(t, c)

	_, _, err = flocker.AcquireLease(&c, flocker.Lease{Dataset: strings.Repeat("x", 36), Node: n0}, now)
	if got := refusal(t, err); got != "400 The dataset_id is not a UUID." {
		t.Errorf("a lease on no UUID: %s", got)
	}
	for expires, want := range map[float64]string{1e300: "null", -1e300: ""} {
		lease, _, err := flocker.AcquireLease(&c, flocker.Lease{Dataset: data, Node: n0, Expires: &expires}, now)
		if err != nil || (want == "null") != (lease.Expires == nil) {
			t.Errorf("a lease for %g s: %v, %v", expires, lease, err)
		}
	}
}
