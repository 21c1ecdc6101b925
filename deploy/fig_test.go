package deploy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
)

func TestFigFile(t *testing.T) {
	c := deployed(t, cluster.Configuration{}, `
web:
  image: wordpress
  ports: ["8080:80", "8443:443"]
  links: ["my-db:mysql", my-db]
  environment: [A=1, B, "C=x=y", "D="]
my-db:
  image: mysql:5.6
  ports: [3306:3306]
  environment: {ROOT: "secret"}
  volumes: [/var/lib/mysql]
  mem_limit: 1000000
`, "version: 1\nnodes: {a: [my-db]}\n")
	id := cluster.VolumeIDForName("my-db")
	want := cluster.Configuration{
		Applications: map[cluster.AppName]cluster.Application{
			"web": {Name: "web", Image: "wordpress",
				Ports: []cluster.Port{{Internal: 80, External: 8080}, {Internal: 443, External: 8443}},
				Links: []cluster.Link{{LocalPort: 3306, RemotePort: 3306, Alias: "mysql"}, {LocalPort: 3306, RemotePort: 3306, Alias: "my-db"}},
				// Flocker lost the value of C.
				Environment: map[string]string{"A": "1", "B": "", "C": "x=y", "D": ""}},
			"my-db": {Name: "my-db", Image: "mysql:5.6", Node: nodeA,
				Ports:       []cluster.Port{{Internal: 3306, External: 3306}},
				Environment: map[string]string{"ROOT": "secret"},
				Volume:      &cluster.Attachment{Volume: id, Mountpoint: "/var/lib/mysql"},
				Limits:      cluster.Limits{MemoryBytes: 1000000}},
		},
		Volumes: map[cluster.VolumeID]cluster.Volume{
			id: {ID: id, Name: "my-db", Primary: nodeA, Metadata: map[string]string{"name": "my-db"}}},
		Leases: map[cluster.VolumeID]cluster.Lease{},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestALinkLeadsToEveryPortOfItsTarget(t *testing.T) {
	c := deployed(t, cluster.Configuration{}, `
db: {image: x, ports: ["15432:5432", "18080:8080"]}
web: {image: x, links: [db]}
`, nowhere)
	want := []cluster.Link{{LocalPort: 5432, RemotePort: 15432, Alias: "db"}, {LocalPort: 8080, RemotePort: 18080, Alias: "db"}}
	if diff := cmp.Diff(want, c.Applications["web"].Links); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
}

func TestFigFilesAreToldApart(t *testing.T) {
	for _, row := range []struct {
		rule, file string
		fig        bool
	}{
		{"an image at the top", "db: {image: x}", true},
		{"a build at the top", "db: {build: .}", true},
		{"one of several", "a: 1\ndb: {image: x}", true},
		{"no image anywhere", "db: {ports: []}", false},
		{"with version it is native", "version: 1\ndb: {image: x}", false},
		{"with applications it is native", "applications: {image: x}", false},
	} {
		t.Run(row.rule, func(t *testing.T) {
			root, errs := parseYAML(Source{Name: "f", Data: []byte(row.file)})
			if errs != nil {
				t.Fatal(errs)
			}
			if got := isFig(root); got != row.fig {
				t.Errorf("got %t, want %t", got, row.fig)
			}
		})
	}
}

func TestFigFileRefused(t *testing.T) {
	for _, row := range []struct {
		rule, file string
		want       []string
	}{
		{"build", "db:\n  build: .", []string{"app.yml:2: db.build: is not supported: build the image, push it and name it as image"}},
		{"build and image", "db:\n  image: x\n  build: .", []string{"app.yml:3: db.build: is not supported: remove it and keep the image"}},
		{"neither", "web: {image: x}\ndb:\n  ports: []", []string{`app.yml:2: db.image: is missing: want an image such as "postgres:15"`}},
		{"a service that is a string", "web: {image: x}\ndb: postgres", []string{`app.yml:2: db: want a mapping with an image; got "postgres"`}},
		{"keys of Fig that mean nothing here", "db:\n  image: x\n  command: y\n  net: host", []string{
			"app.yml:3: db.command: this key of Fig is not supported: remove it, or write the application as a version 1 application file",
			"app.yml:4: db.net: this key of Fig is not supported: remove it, or write the application as a version 1 application file"}},
		{"a misspelt key", "db:\n  image: x\n  volume: [/data]", []string{
			"app.yml:3: db.volume: unknown key: did you mean volumes? (known here: image, environment, ports, links, volumes, mem_limit)"}},
		{"a port alone", "db:\n  image: x\n  ports: ['80']", []string{
			`app.yml:3: db.ports[0]: want a string "host_port:container_port", such as "80:80"; got "80"`}},
		{"a port that is an integer", "db:\n  image: x\n  ports: [80]", []string{
			`app.yml:3: db.ports[0]: want a string "host_port:container_port", such as "80:80"; got the integer 80`}},
		{"a port on an address", "db:\n  image: x\n  ports: ['127.0.0.1:80:80']", []string{
			`app.yml:3: db.ports[0]: want two numbers "host_port:container_port", such as "80:80"; got "127.0.0.1:80:80"`}},
		{"a port out of range", "db:\n  image: x\n  ports: ['70000:80']", []string{
			`app.yml:3: db.ports[0]: 70000: want a port from 1 to 65535`}},
		{"an external port twice", "a:\n  image: x\n  ports: ['80:80']\nb:\n  image: x\n  ports: ['80:81']", []string{
			`app.yml:6: b.ports[0]: external ports are unique in the cluster: 80 is already used by a.ports[0] (app.yml:3)`}},
		{"two volumes", "db:\n  image: x\n  volumes: [/a, /b]", []string{
			"app.yml:3: db.volumes: only one volume per application is supported; got 2"}},
		{"a path of the host", "db:\n  image: x\n  volumes: ['/a:/b']", []string{
			`app.yml:3: db.volumes[0]: paths of the host are not supported: want the path in the container alone; got "/a:/b"`}},
		{"a relative path", "db:\n  image: x\n  volumes:\n  - a", []string{`app.yml:4: db.volumes[0]: "a": want an absolute path`}},
		{"volumes that are a string", "db:\n  image: x\n  volumes: /data", []string{
			`app.yml:3: db.volumes: want a list of one path, such as ["/data"]; got "/data"`}},
		{"a link to nobody", "web:\n  image: x\n  links: ['bd:db']\n", []string{`app.yml:3: web.links[0]: no application "bd" is defined in this file`}},
		{"a link that is a mapping", "web:\n  image: x\n  links: [{db: db}]\n", []string{`app.yml:3: web.links[0]: want a string; got a mapping`}},
		{"an alias that no variable could have", "web:\n  image: x\n  links:\n  - 'db:d.b'\ndb: {image: x, ports: ['80:80']}\n", []string{
			`app.yml:4: web.links[0]: "d.b": use letters, digits, '_' and '-'`}},
		{"a variable without name", "db:\n  image: x\n  environment: ['=x']", []string{`app.yml:3: db.environment: "" cannot name a variable`}},
		{"mem_limit below zero", "db:\n  image: x\n  mem_limit: -1", []string{`app.yml:3: db.mem_limit: -1: want a number of bytes`}},
		{"a native key", "db:\n  command_line: [x]\nweb: {image: x}\n", []string{
			`app.yml:1: db.image: is missing: want an image such as "postgres:15"`,
			"app.yml:2: db.command_line: unknown key (known here: image, environment, ports, links, volumes, mem_limit)"}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			_, err := parse(row.file, nowhere)
			wantError(t, err, row.want...)
		})
	}
}
