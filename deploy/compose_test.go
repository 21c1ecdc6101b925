package deploy

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
)

func parseCompose(file string) (*Files, error) {
	return Parse(Source{Name: "compose.yml", Data: []byte(file), Environment: map[string]string{"TAG": "15"}},
		Source{Name: "deployment.yml", Data: []byte("version: 1\nnodes:\n  a: []\n")})
}

func TestCompose(t *testing.T) {
	files, err := parseCompose(`
name: shop
x-own: {anything: goes}
services:
  web:
    image: shop/web
    command: serve --port 80
    ports: ["8080:80"]
    depends_on: [db]
    restart: unless-stopped
    x-note: mine
  db:
    image: postgres:${TAG}
    environment: [A=1, "B=two words"]
    ports:
      - target: 5432
        published: "5432"
    expose: ["5432"]
    volumes: ["data:/var/lib/postgresql/data"]
    deploy: {resources: {limits: {memory: 512M}}}
    cpu_shares: 512
    restart: on-failure:3
    stop_signal: SIGINT
    stop_grace_period: 1m30s
    user: "999"
    healthcheck: {test: pg_isready -q, interval: 2s, timeout: 1s, retries: 5}
volumes:
  data:
    driver: drover
    driver_opts: {size: 20G, profile: database, zfs.recordsize: 8K}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []definition{
		{application: cluster.Application{Name: "web", Image: "shop/web", Command: []string{"serve", "--port", "80"},
			Ports: []cluster.Port{{Internal: 80, External: 8080}}, Links: []cluster.Link{{LocalPort: 5432, RemotePort: 5432, Alias: "db"}},
			Restart: cluster.RestartPolicy{Name: cluster.RestartAlways}}},
		{application: cluster.Application{Name: "db", Image: "postgres:15", Environment: map[string]string{"A": "1", "B": "two words"},
			Ports:  []cluster.Port{{Internal: 5432, External: 5432}},
			Volume: &cluster.Attachment{Volume: cluster.VolumeIDForName("db"), Mountpoint: "/var/lib/postgresql/data"},
			Limits: cluster.Limits{MemoryBytes: 512 << 20, CPUShares: 512}, User: "999",
			Restart: cluster.RestartPolicy{Name: cluster.RestartOnFailure, MaximumRetryCount: 3},
			Stop:    cluster.StopPolicy{Signal: "SIGINT", Timeout: 90 * time.Second},
			Health:  &cluster.HealthCheck{Command: []string{"/bin/sh", "-c", "pg_isready -q"}, Interval: 2 * time.Second, Timeout: time.Second}},
			volume: volumeWish{maximumSize: 20 << 30, profile: "database", options: map[string]string{"zfs.recordsize": "8K"}}},
	}
	if diff := cmp.Diff(want, files.definitions, cmp.AllowUnexported(definition{}, volumeWish{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestComposeRefuses: what can't be honoured is refused where it stands, never ignored.
func TestComposeRefuses(t *testing.T) {
	const db = "services:\n  db:\n    image: x\n"
	for _, row := range []struct {
		rule, file string
		want       []string
	}{
		{"keys of a service, all at once", db + "    privileged: true\n    build: .\n    networks: [n]\n",
			[]string{"compose.yml:4: services.db.privileged: cannot be honoured", "compose.yml:5: services.db.build: cannot be honoured",
				"compose.yml:6: services.db.networks: cannot be honoured"}},
		{"keys at the top", db + "networks: {n: {}}\nsecrets: {}\n",
			[]string{"compose.yml:4: networks: cannot be honoured", "compose.yml:5: secrets: cannot be honoured"}},
		{"other files", db + "    env_file: .env\n    extends: {file: other.yml, service: db}\ninclude: [more.yml]\n",
			[]string{":4: services.db.env_file: cannot", ":5: services.db.extends: cannot", ":6: include: cannot"}},
		{"a service without an image", "services:\n  db:\n    command: x\n", []string{":2: services.db.image: is missing"}},
		{"limits of the processor", db + "    deploy: {replicas: 3, resources: {limits: {cpus: '1'}}}\n",
			[]string{":4: services.db.deploy.replicas: cannot", ":4: services.db.deploy.resources.limits.cpus: cannot"}},
		{"a port without one of the host", db + "    ports: ['80']\n", []string{":4: services.db.ports[0]: want a fixed port"}},
		{"an address of the host", db + "    ports: ['127.0.0.1:80:80']\n", []string{":4: services.db.ports[0]: an address of the host"}},
		{"udp", db + "    ports: ['53:53/udp']\n", []string{":4: services.db.ports[0]: want tcp"}},
		{"a mount of the host", db + "    volumes: ['/srv/data:/data']\n", []string{":4: services.db.volumes[0]: want a named volume: bind mounts"}},
		{"a read-only volume", db + "    volumes: ['vol:/data:ro']\nvolumes: {vol: {}}\n", []string{":4: services.db.volumes[0]: a volume that is read only"}},
		{"two volumes", db + "    volumes: ['vol:/data', 'more:/more']\nvolumes: {vol: {}, more: {}}\n", []string{":4: services.db.volumes[1]: only one volume"}},
		{"a volume of two", db + "    volumes: ['vol:/data']\n  two:\n    image: x\n    volumes: ['vol:/data']\nvolumes: {vol: {}}\n",
			[]string{":7: services.two.volumes[0]: volume vol belongs to db"}},
		{"another driver", db + "volumes:\n  v: {driver: nfs}\n", []string{":5: volumes.v.driver: \"nfs\": volumes are Drover's own"}},
		{"a profile that there is not", "services:\n  db:\n    image: x\n    volumes: ['data:/d']\nvolumes:\n  data:\n    driver_opts:\n      profile: fast\n",
			[]string{`:8: volumes.data.driver_opts.profile: "fast": the profiles are: database`}},
		{"other options of a volume", db + "volumes:\n  v: {driver_opts: {o: bind}}\n", []string{":5: volumes.v.driver_opts.o: cannot"}},
		{"an order of starts", "services:\n  db:\n    image: x\n    ports: ['1:1']\n  web:\n    image: x\n    depends_on:\n      db: {condition: service_healthy}\n",
			[]string{":8: services.web.depends_on.db: only the link is honoured"}},
		{"a link to another port", "services:\n  db:\n    image: x\n    ports: ['9:1']\n  web:\n    image: x\n    links: [db]\n",
			[]string{":7: services.web.links[0]: db publishes port 1 as \"9\""}},
		{"a variable without a value", db + "    environment: [NONE]\n", []string{":4: services.db.environment: NONE has no value"}},
		{"what is no Compose file", "services:\n  db:\n    image: x\n    ports: {a: b}\n", []string{"ports"}},
		{"a clash of ports", "services:\n  db:\n    image: x\n    ports: ['1:1']\n  web:\n    image: x\n    ports: ['1:2']\n", []string{"services.web.ports[0]"}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			_, err := parseCompose(row.file)
			var wrong Errors
			if !errors.As(err, &wrong) || len(wrong) != len(row.want) {
				t.Fatalf("got %v, want %d errors", err, len(row.want))
			}
			for i, want := range row.want {
				if !strings.Contains(wrong[i].Error(), want) {
					t.Errorf("got %q, want %q", wrong[i].Error(), want)
				}
			}
		})
	}
}

func TestTheExampleOfCompose(t *testing.T) {
	files, err := Read("../examples/compose/compose.yml", "../examples/compose/deployment.yml")
	if err != nil {
		t.Fatal(err)
	}
	names := []cluster.AppName{}
	for _, d := range files.definitions {
		names = append(names, d.application.Name)
	}
	if !slices.Equal(names, []cluster.AppName{"web", "db"}) {
		t.Errorf("it defines %v", names)
	}
}
