package deploy

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
)

const (
	nodeA = cluster.NodeID("aaaaaaaa-0000-4000-8000-000000000001")
	nodeB = cluster.NodeID("bbbbbbbb-0000-4000-8000-000000000002")
)

// twoNodes are called a and b.
func twoNodes() []cluster.Node {
	return []cluster.Node{
		{ID: nodeA, Name: "a", Address: "10.0.0.1"},
		{ID: nodeB, Name: "b", Address: "10.0.0.2"},
	}
}

// tutorialNodes have the addresses of Flocker's tutorial.
func tutorialNodes() []cluster.Node {
	return []cluster.Node{
		{ID: nodeA, Name: "a", Address: "172.16.255.250"},
		{ID: nodeB, Name: "b", Address: "172.16.255.251"},
	}
}

// nowhere is a deployment file that places nothing.
const nowhere = "version: 1\nnodes: {}\n"

func parse(application, deployment string) (*Files, error) {
	return Parse(Source{Name: "app.yml", Data: []byte(application)}, Source{Name: "deployment.yml", Data: []byte(deployment)})
}

// deployed returns the configuration that the files make of current.
func deployed(t *testing.T, current cluster.Configuration, application, deployment string) cluster.Configuration {
	t.Helper()
	files, err := parse(application, deployment)
	if err != nil {
		t.Fatal(err)
	}
	next, err := files.Configuration(current, twoNodes())
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// wantError compares the text of an error, line by line.
func wantError(t *testing.T, err error, want ...string) {
	t.Helper()
	var got []string
	if err != nil {
		got = strings.Split(err.Error(), "\n")
		if !errors.Is(err, cluster.ErrInvalid) {
			t.Errorf("%v is not cluster.ErrInvalid", err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestFlockersTutorialMeansTheSame(t *testing.T) {
	for name, want := range map[string]cluster.Application{
		"postgres": {Name: "postgres-volume-example", Image: "postgres", Ports: []cluster.Port{{Internal: 5432, External: 5432}},
			Volume: &cluster.Attachment{Volume: "0df95ac0-4c36-4596-8fcf-4f6755959908", Mountpoint: "/var/lib/postgresql/data"}},
		"mysql": {Name: "mysql-volume-example", Image: "mysql:5.6.17", Ports: []cluster.Port{{Internal: 3306, External: 3306}},
			Environment: map[string]string{"MYSQL_ROOT_PASSWORD": "clusterhq"},
			Volume:      &cluster.Attachment{Volume: "686992ba-bb80-4704-931e-0841b0174dff", Mountpoint: "/var/lib/mysql"}},
	} {
		t.Run(name, func(t *testing.T) {
			current := cluster.Configuration{}
			for _, step := range []struct {
				deployment string
				node       cluster.NodeID
			}{{"deployment", nodeA}, {"deployment-moved", nodeB}, {"deployment", nodeA}} {
				files, err := Read(flockerFile(name, "application"), flockerFile(name, step.deployment))
				if err != nil {
					t.Fatal(err)
				}
				if current, err = files.Configuration(current, tutorialNodes()); err != nil {
					t.Fatal(err)
				}
				want.Node = step.node
				id := want.Volume.Volume
				if diff := cmp.Diff(cluster.Configuration{
					Applications: map[cluster.AppName]cluster.Application{want.Name: want},
					Volumes: map[cluster.VolumeID]cluster.Volume{id: {ID: id, Name: string(want.Name), Primary: step.node,
						Metadata: map[string]string{"name": string(want.Name)}}},
					Leases: map[cluster.VolumeID]cluster.Lease{},
				}, current); diff != "" {
					t.Errorf("%s (-want +got):\n%s", step.deployment, diff)
				}
			}
		})
	}
}

func flockerFile(name, part string) string {
	return filepath.Join("testdata", "flocker", name+"-"+part+".yml")
}

func TestExamplesDeploy(t *testing.T) {
	for _, row := range []struct {
		application, deployment string
		apps                    []cluster.AppName
	}{
		{"ledger/application.yml", "ledger/deployment.yml", []cluster.AppName{"ledger"}},
		{"postgres/application.yml", "postgres/deployment.yml", []cluster.AppName{"postgres"}},
		{"postgres/application.yml", "postgres/deployment-moved.yml", []cluster.AppName{"postgres"}},
		{"fig/fig.yml", "fig/deployment.yml", []cluster.AppName{"mysql", "wordpress"}},
	} {
		t.Run(row.deployment, func(t *testing.T) {
			files, err := Read(filepath.Join("../examples", row.application), filepath.Join("../examples", row.deployment))
			if err != nil {
				t.Fatal(err)
			}
			c, err := files.Configuration(cluster.Configuration{}, twoNodes())
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range row.apps {
				if app := c.Applications[name]; app.Node == "" {
					t.Errorf("%s is not placed", name)
				}
			}
			if len(c.Applications) != len(row.apps) {
				t.Errorf("got %d applications, want %v", len(c.Applications), row.apps)
			}
		})
	}
}

func TestReadNamesEachFileThatIsNotThere(t *testing.T) {
	_, err := Read("testdata/none.yml", "testdata/neither.yml")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v, want fs.ErrNotExist", err)
	}
	for _, want := range []string{"read application file: open testdata/none.yml", "read deployment file: open testdata/neither.yml"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestParseTellsAllErrorsOfBothFilesFromTopToBottom(t *testing.T) {
	_, err := parse(`version: 2
applications:
  web:
    image: nginx
    ports:
      - {internal: 80, external: 70000}
    mem_limit: lots
  db:
    image: postgres
    ports:
      - {internal: 5432, external: 5432}
    volume: {}
  cache:
    image: redis
    prots: []
    ports:
      - {internal: 6379, external: 5432}
`, `version: 1
nodes:
  a: [web, dbb]
  b: web
`)
	wantError(t, err,
		`app.yml:1: version: want 1; got the integer 2`,
		`app.yml:6: applications.web.ports[0].external: 70000: want a port from 1 to 65535`,
		`app.yml:7: applications.web.mem_limit: want an integer; got "lots"`,
		`app.yml:11: applications.db.ports[0].external: external ports are unique in the cluster: 5432 is already used by applications.cache.ports[0].external (app.yml:17)`,
		`app.yml:12: applications.db.volume.mountpoint: is missing: want the absolute path where the application finds its data`,
		`app.yml:15: applications.cache.prots: unknown key: did you mean ports? (known here: image, ports, links, environment, volume, mem_limit, cpu_shares, restart_policy, command_line, stop_signal, stop_timeout, before_stop, user, scratch, health, swappiness)`,
		`deployment.yml:3: nodes.a[1]: no application "dbb" is defined in app.yml`,
		`deployment.yml:4: nodes.b: want a list of applications, [] for none; got "web"`,
	)
}
