package flocker_test

import (
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api/flocker"
)

func TestContainers(t *testing.T) {
	want := `[` +
		`{"node_uuid":"` + n0 + `","name":"db","image":"postgres:9.4","restart_policy":{"name":"never"},"volumes":[{"dataset_id":"` + data + `","mountpoint":"/data"}]},` +
		`{"node_uuid":"` + n0 + `","name":"web","image":"nginx:latest","ports":[{"internal":80,"external":8080}],"restart_policy":{"name":"never"}}]`
	if got := toJSON(t, flocker.Containers(sample())); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := toJSON(t, flocker.Containers(cluster.Configuration{})); got != `[]` {
		t.Errorf("no containers: %s, want []", got)
	}
}

func TestCreateContainer(t *testing.T) {
	ports := func(numbers ...int) (p []cluster.Port) {
		for i := 0; i < len(numbers); i += 2 {
			p = append(p, cluster.Port{Internal: numbers[i], External: numbers[i+1]})
		}
		return p
	}
	uses := func(id string) []flocker.Attachment { return []flocker.Attachment{{Dataset: id, Mountpoint: "/x"}} }
	for _, tt := range []struct {
		rule    string
		request flocker.Container
		want    string // the refusal, or the answer behind node_uuid
	}{
		{"the least", flocker.Container{Image: "nginx"}, `"name":"new","image":"nginx:latest","restart_policy":{"name":"never"}}`},
		{"a slash in front of the name", flocker.Container{Name: "/new", Image: "nginx"}, `"name":"new","image":"nginx:latest","restart_policy":{"name":"never"}}`},
		{"a tag", flocker.Container{Image: "clusterhq/redis:3"}, `"name":"new","image":"clusterhq/redis:3","restart_policy":{"name":"never"}}`},
		{"a registry with a port", flocker.Container{Image: "host:5000/redis"}, `"name":"new","image":"host:5000/redis:latest","restart_policy":{"name":"never"}}`},
		{"a digest", flocker.Container{Image: "redis@sha256:00"}, `"name":"new","image":"redis@sha256:00","restart_policy":{"name":"never"}}`},
		{"everything, sorted and in lower case", flocker.Container{
			Image: "nginx", Ports: ports(443, 8443, 80, 8081), Environment: map[string]string{"B": "2", "A": "1"},
			RestartPolicy: cluster.RestartPolicy{Name: cluster.RestartOnFailure, MaximumRetryCount: 5},
			CommandLine:   []string{"nginx", "-g"}, Swappiness: 10, Volumes: uses(strings.ToUpper(other)), CPUShares: 512, MemoryLimit: 1 << 28,
			Links: []cluster.Link{{LocalPort: 90, RemotePort: 9000, Alias: "Zed"}, {LocalPort: 80, RemotePort: 8080, Alias: "APACHE"}},
		}, `"name":"new","image":"nginx:latest","ports":[{"internal":80,"external":8081},{"internal":443,"external":8443}],` +
			`"environment":{"A":"1","B":"2"},"restart_policy":{"name":"on-failure","maximum_retry_count":5},"command_line":["nginx","-g"],` +
			`"swappiness":10,"volumes":[{"dataset_id":"` + other + `","mountpoint":"/x"}],"cpu_shares":512,"memory_limit":268435456,` +
			`"links":[{"local_port":80,"remote_port":8080,"alias":"apache"},{"local_port":90,"remote_port":9000,"alias":"zed"}]}`},

		{"the name is taken", flocker.Container{Name: "web", Image: "nginx"}, "409 The container name already exists."},
		{"the name is taken by one that is not placed", flocker.Container{Name: "spare", Image: "nginx"}, "409 The container name already exists."},
		{"no repository", flocker.Container{Image: ":3"}, "400 Docker image names must have format 'repository[:tag]'. Found ':3'."},
		{"the port is taken", flocker.Container{Image: "nginx", Ports: ports(1, 2, 80, 8080)}, "409 A specified external port is already in use."},
		{"the port is its own", flocker.Container{Image: "nginx", Ports: ports(1, 2, 3, 2)}, "409 A specified external port is already in use."},
		{"aliases differ in case", flocker.Container{Image: "nginx", Links: []cluster.Link{{LocalPort: 1, RemotePort: 1, Alias: "a"}, {LocalPort: 2, RemotePort: 2, Alias: "A"}}},
			"409 Link aliases must be unique."},
		{"local ports twice", flocker.Container{Image: "nginx", Links: []cluster.Link{{LocalPort: 1, RemotePort: 1, Alias: "a"}, {LocalPort: 1, RemotePort: 2, Alias: "b"}}},
			"409 The local ports in a container's links must be unique."},
		{"no such dataset", flocker.Container{Image: "nginx", Volumes: uses(n0)}, "404 Dataset not found."},
		{"a deleted dataset", flocker.Container{Image: "nginx", Node: n1, Volumes: uses(gone)}, "404 Dataset not found."},
		{"a dataset elsewhere", flocker.Container{Image: "nginx", Node: n1, Volumes: uses(other)}, "409 The dataset is on another node."},
		{"a dataset in use", flocker.Container{Image: "nginx", Volumes: uses(data)}, "409 The dataset is being used by another container."},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if tt.request.Name == "" {
				tt.request.Name = "new"
			}
			if tt.request.Node == "" {
				tt.request.Node = strings.ToUpper(n0)
			}
			c := sample()
			created, err := flocker.CreateContainer(&c, tt.request)
			if err != nil {
				if got := refusal(t, err); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				unchanged(t, c)
				return
			}
			if got, want := toJSON(t, created), `{"node_uuid":"`+n0+`",`+tt.want; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if len(flocker.Containers(c)) != 3 {
				t.Error("the container is not listed")
			}
			if problems := c.Validate(); problems != nil {
				t.Errorf("the configuration is not valid any more: %v", problems)
			}
		})
	}
}

func TestMoveContainer(t *testing.T) {
	c := sample()
	moved, err := flocker.MoveContainer(&c, "db", strings.ToUpper(n1))
	if err != nil || moved.Node != n1 || c.Applications["db"].Node != n1 || c.Volumes[data].Primary != n1 {
		t.Errorf("moved %v, %v; volume on %s", moved, err, c.Volumes[data].Primary)
	}
	if problems := c.Validate(); problems != nil {
		t.Errorf("the configuration is not valid any more: %v", problems)
	}
	if _, err := flocker.MoveContainer(&c, "nope", n1); refusal(t, err) != "404 Container not found." {
		t.Errorf("move an unknown one: %v", err)
	}
}

func TestDeleteContainer(t *testing.T) {
	c := sample()
	if err := flocker.DeleteContainer(&c, "db"); err != nil {
		t.Fatal(err)
	}
	if _, there := c.Volumes[data]; !there || c.Volumes[data].Deleted {
		t.Error("the dataset went with its container")
	}
	if err := flocker.DeleteContainer(&c, "db"); refusal(t, err) != "404 Container not found." {
		t.Errorf("delete it again: %v", err)
	}
}
