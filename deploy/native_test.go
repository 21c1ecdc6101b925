package deploy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
)

// inNative is a native file whose one application, db, has the keys; they begin on line 4.
func inNative(keys string) string {
	return "version: 1\napplications:\n  db:\n    " + strings.ReplaceAll(strings.TrimSpace(keys), "\n", "\n    ") + "\n"
}

func TestNativeApplication(t *testing.T) {
	const id = "d77d5e50-3ad1-439f-985a-c494268b351b" // Flocker's for the name db
	for _, row := range []struct {
		rule string
		keys string
		want cluster.Application
		size int64
	}{
		{"an image is enough", "image: postgres", cluster.Application{Image: "postgres"}, 0},
		{"an image may name a registry with a port", "image: host:5000/x", cluster.Application{Image: "host:5000/x"}, 0},
		{"a command needs no image", "command_line: [drover, ledger]",
			cluster.Application{Command: []string{"drover", "ledger"}}, 0},
		{"ports and links", `
image: x
ports: [{internal: 80, external: 8080}, {internal: 443, external: 8443}]
links:
- {local_port: 5432, remote_port: 15432, alias: My-DB}
- {local_port: 5433, remote_port: 15433, alias: My-DB}`,
			cluster.Application{Image: "x", Ports: []cluster.Port{{Internal: 80, External: 8080}, {Internal: 443, External: 8443}},
				Links: []cluster.Link{{LocalPort: 5432, RemotePort: 15432, Alias: "My-DB"}, {LocalPort: 5433, RemotePort: 15433, Alias: "My-DB"}}}, 0},
		{"environment, with what looks like a boolean of YAML 1.1", "image: x\nenvironment: {A: '1', B: '', C: yes}",
			cluster.Application{Image: "x", Environment: map[string]string{"A": "1", "B": "", "C": "yes"}}, 0},
		{"a volume has Flocker's id for the name", "image: x\nvolume: {mountpoint: /data}",
			cluster.Application{Image: "x", Volume: &cluster.Attachment{Volume: id, Mountpoint: "/data"}}, 0},
		{"a volume has the id that is given, in lower case", "image: x\nvolume: {mountpoint: /data, dataset_id: 47440EFF-E933-4DE0-B56C-D3469B61421F}",
			cluster.Application{Image: "x", Volume: &cluster.Attachment{Volume: "47440eff-e933-4de0-b56c-d3469b61421f", Mountpoint: "/data"}}, 0},
		{"a size with a fraction", "image: x\nvolume: {mountpoint: /data, maximum_size: 2.5G}",
			cluster.Application{Image: "x", Volume: &cluster.Attachment{Volume: id, Mountpoint: "/data"}}, 2684354560},
		{"a size as a string of bytes", "image: x\nvolume: {mountpoint: /data, maximum_size: '1024'}",
			cluster.Application{Image: "x", Volume: &cluster.Attachment{Volume: id, Mountpoint: "/data"}}, 1024},
		{"a size in bytes", "image: x\nvolume: {mountpoint: /data, maximum_size: 1024}",
			cluster.Application{Image: "x", Volume: &cluster.Attachment{Volume: id, Mountpoint: "/data"}}, 1024},
		{"limits", "image: x\nmem_limit: 100_000_000\ncpu_shares: 512\nswappiness: 100",
			cluster.Application{Image: "x", Limits: cluster.Limits{MemoryBytes: 100000000, CPUShares: 512, Swappiness: 100}}, 0},
		{"restart always", "image: x\nrestart_policy: {name: always}",
			cluster.Application{Image: "x", Restart: cluster.RestartPolicy{Name: cluster.RestartAlways}}, 0},
		{"restart on failure, three times", "image: x\nrestart_policy: {name: on-failure, maximum_retry_count: 3}",
			cluster.Application{Image: "x", Restart: cluster.RestartPolicy{Name: cluster.RestartOnFailure, MaximumRetryCount: 3}}, 0},
		{"a stop signal without SIG, a time in seconds", "image: x\nstop_signal: int\nstop_timeout: 90\nuser: postgres",
			cluster.Application{Image: "x", User: "postgres", Stop: cluster.StopPolicy{Signal: "SIGINT", Timeout: 90 * time.Second}}, 0},
		{"a command before the stop", `before_stop: [psql, -c, CHECKPOINT]` + "\nimage: x",
			cluster.Application{Image: "x", Stop: cluster.StopPolicy{Before: []string{"psql", "-c", "CHECKPOINT"}}}, 0},
		{"what may be lost", "image: x\nscratch: [/cache, /tmp]", cluster.Application{Image: "x", Scratch: []string{"/cache", "/tmp"}}, 0},
		{"a time with a unit", "image: x\nstop_timeout: 1m30s",
			cluster.Application{Image: "x", Stop: cluster.StopPolicy{Timeout: 90 * time.Second}}, 0},
		{"a health check", "image: x\nhealth: {command: [pg_isready, -q], interval: 500ms, timeout: 3}",
			cluster.Application{Image: "x", Health: &cluster.HealthCheck{Command: []string{"pg_isready", "-q"},
				Interval: 500 * time.Millisecond, Timeout: 3 * time.Second}}, 0},
		{"a key without a value is absent", "image: x\nports:\nlinks:\nenvironment:\nmem_limit:\nrestart_policy: ~\nhealth: null",
			cluster.Application{Image: "x"}, 0},
	} {
		t.Run(row.rule, func(t *testing.T) {
			c := deployed(t, cluster.Configuration{}, inNative(row.keys), nowhere)
			row.want.Name = "db"
			if diff := cmp.Diff(row.want, c.Applications["db"]); diff != "" {
				t.Errorf("application (-want +got):\n%s", diff)
			}
			if row.want.Volume != nil && c.Volumes[row.want.Volume.Volume].MaximumSize != row.size {
				t.Errorf("maximum size: got %d, want %d", c.Volumes[row.want.Volume.Volume].MaximumSize, row.size)
			}
		})
	}
}

func TestNativeApplicationRefused(t *testing.T) {
	const port, link = "ports: [{internal: 1, external: 2}]", "{local_port: 1, remote_port: 2, alias: a}"
	for _, row := range []struct {
		rule string
		keys string
		want string // without "app.yml:"
	}{
		{"neither image nor command", "mem_limit: 5", `3: applications.db.image: is missing: want an image such as "postgres:15", or a command_line for the process runtime`},
		{"an empty command is none", "command_line: []", `3: applications.db.image: is missing: want an image such as "postgres:15", or a command_line for the process runtime`},
		{"an empty image", "image: ''", `4: applications.db.image: want an image such as postgres:15; got ""`},
		{"an image without a repository", "image: ':9'", `4: applications.db.image: want an image such as postgres:15; got ":9"`},
		{"an image that is a number", "image: 9.6", `4: applications.db.image: want a string; got the number 9.6: put quotes around it`},
		{"a command that is a string", "command_line: drover ledger", `4: applications.db.command_line: want a list of strings; got "drover ledger"`},
		{"an argument that is a number", "command_line: [x, 80]", `4: applications.db.command_line[1]: want a string; got the integer 80: put quotes around it`},
		{"ports that are no list", "image: x\nports: {internal: 1}", `5: applications.db.ports: want a list of {internal, external}; got a mapping`},
		{"a port as Docker writes it", "image: x\nports: ['80:80']", `5: applications.db.ports[0]: want {internal, external}; got "80:80"`},
		{"a port without its external half", "image: x\nports:\n- internal: 80", `6: applications.db.ports[0].external: is missing: want a port from 1 to 65535`},
		{"a port without its internal half", "image: x\nports:\n- external: 80", `6: applications.db.ports[0].internal: is missing: want a port from 1 to 65535`},
		{"a misspelt half", "image: x\nports: [{internal: 1, external: 2, extrenal: 3}]", `5: applications.db.ports[0].extrenal: unknown key: did you mean external? (known here: internal, external)`},
		{"a port that is a string", "image: x\nports: [{internal: '1', external: 2}]", `5: applications.db.ports[0].internal: want an integer; got "1"`},
		{"a port that is a boolean", "image: x\nports: [{internal: true, external: 2}]", `5: applications.db.ports[0].internal: want an integer; got the boolean true`},
		{"a port out of range", "image: x\nports: [{internal: 1, external: 65536}]", `5: applications.db.ports[0].external: 65536: want a port from 1 to 65535`},
		{"an integer beyond all ports", "image: x\nmem_limit: 9999999999999999999", `5: applications.db.mem_limit: want an integer; got the integer 9999999999999999999`},
		{"an internal port twice", "image: x\nports: [{internal: 1, external: 2}, {internal: 1, external: 3}]", `5: applications.db.ports[1].internal: port 1 is given twice`},
		{"links that are no list", "image: x\nlinks: a", `5: applications.db.links: want a list of {local_port, remote_port, alias}; got "a"`},
		{"a link without alias", "image: x\nlinks: [{local_port: 1, remote_port: 2}]", `5: applications.db.links[0].alias: is missing: want the name that the variables of the link begin with`},
		{"an alias with a dot", "image: x\nlinks: [{local_port: 1, remote_port: 2, alias: a.b}]", `5: applications.db.links[0].alias: "a.b": use letters, digits, '_' and '-'`},
		{"a link twice", "image: x\nlinks: [" + link + ", " + link + "]", `5: applications.db.links[1]: alias a with local port 1 is given twice`},
		{"environment that is a list", "image: x\nenvironment: [A=1]", `5: applications.db.environment: want a mapping of variables to strings; got a list`},
		{"a variable that is a number", "image: x\nenvironment:\n  A: 0755", `6: applications.db.environment.A: want a string; got the integer 0755: put quotes around it`},
		{"a variable without a value", "image: x\nenvironment:\n  A:", `6: applications.db.environment.A: want a string; got nothing`},
		{"a variable that is a date", "image: x\nenvironment: {A: 2001-01-01}", `5: applications.db.environment.A: want a string; got the date 2001-01-01: put quotes around it`},
		{"a variable that no process can have", "image: x\nenvironment: {'A=B': x}", `5: applications.db.environment: "A=B" cannot name a variable`},
		{"a variable named by a number", "image: x\nenvironment: {1: x}", `5: applications.db.environment: every key must be a string: put quotes around 1`},
		{"a volume with nothing in it", "image: x\nvolume:", `5: applications.db.volume: want {mountpoint, maximum_size, profile, options, dataset_id}; got nothing`},
		{"a volume without mountpoint", "image: x\nvolume: {maximum_size: 1G}", `5: applications.db.volume.mountpoint: is missing: want the absolute path where the application finds its data`},
		{"a misspelt mountpoint", "image: x\nvolume: {mount_point: /data}",
			`5: applications.db.volume.mount_point: unknown key: did you mean mountpoint? (known here: mountpoint, maximum_size, profile, options, dataset_id)` + "\n" +
				`app.yml:5: applications.db.volume.mountpoint: is missing: want the absolute path where the application finds its data`},
		{"a relative mountpoint", "image: x\nvolume:\n  mountpoint: data", `6: applications.db.volume.mountpoint: "data": want an absolute path`},
		{"a profile that there is not", "image: x\nvolume:\n  mountpoint: /d\n  profile: fast", `7: applications.db.volume.profile: "fast": the profiles are: database`},
		{"an option for no backend", "image: x\nvolume:\n  mountpoint: /d\n  options:\n    recordsize: 8K", `8: applications.db.volume.options.recordsize: want the backend that it is for before its name, such as zfs.recordsize`},
		{"an option without a value", "image: x\nvolume:\n  mountpoint: /d\n  options: {zfs.atime: }", `7: applications.db.volume.options.zfs.atime: want a value such as 8K; got nothing`},
		{"options that are no mapping", "image: x\nvolume:\n  mountpoint: /d\n  options: fast", `7: applications.db.volume.options: want a mapping such as {zfs.recordsize: 8K}; got "fast"`},
		{"a size below zero", "image: x\nvolume: {mountpoint: /d, maximum_size: -1}", `5: applications.db.volume.maximum_size: want a number of bytes greater than zero, or one with K, M, G or T such as "2.5G"; got the integer -1`},
		{"a size of zero", "image: x\nvolume: {mountpoint: /d, maximum_size: 0G}", `5: applications.db.volume.maximum_size: want a number of bytes greater than zero, or one with K, M, G or T such as "2.5G"; got "0G"`},
		{"a size in an unknown unit", "image: x\nvolume: {mountpoint: /d, maximum_size: 1GB}", `5: applications.db.volume.maximum_size: want a number of bytes greater than zero, or one with K, M, G or T such as "2.5G"; got "1GB"`},
		{"a size that is a fraction of a byte", "image: x\nvolume: {mountpoint: /d, maximum_size: 2.5}", `5: applications.db.volume.maximum_size: want a number of bytes, or a string such as "2.5G"; got the number 2.5`},
		{"a dataset id that is no UUID", "image: x\nvolume:\n  mountpoint: /d\n  dataset_id: mine", `7: applications.db.volume.dataset_id: the id "mine" is not a version 4 UUID`},
		{"mem_limit with a unit", "image: x\nmem_limit: 512M", `5: applications.db.mem_limit: want an integer; got "512M"`},
		{"mem_limit below zero", "image: x\nmem_limit: -5", `5: applications.db.mem_limit: -5: want a number of bytes`},
		{"cpu_shares that is a string", "image: x\ncpu_shares: '5'", `5: applications.db.cpu_shares: want an integer; got "5"`},
		{"swappiness beyond 100", "image: x\nswappiness: 101", `5: applications.db.swappiness: 101: want 0 to 100`},
		{"a restart policy that is a string", "image: x\nrestart_policy: always", `5: applications.db.restart_policy: want {name: never | always | on-failure, maximum_retry_count}; got "always"`},
		{"a restart policy without name", "image: x\nrestart_policy: {}", `5: applications.db.restart_policy.name: is missing: want one of always, never, on-failure`},
		{"an unknown restart policy", "image: x\nrestart_policy: {name: sometimes}", `5: applications.db.restart_policy.name: "sometimes": use one of always, never, on-failure`},
		{"a retry count for always", "image: x\nrestart_policy: {name: always, maximum_retry_count: 1}", `5: applications.db.restart_policy.maximum_retry_count: goes with on-failure only`},
		{"a retry count of zero", "image: x\nrestart_policy: {name: on-failure, maximum_retry_count: 0}", `5: applications.db.restart_policy.maximum_retry_count: want 1 or more; without the key there is no bound`},
		{"an unknown signal", "image: x\nstop_signal: SIGSTOPP", `5: applications.db.stop_signal: want a signal such as "SIGINT"; got "SIGSTOPP"`},
		{"a signal by its number", "image: x\nstop_signal: 2", `5: applications.db.stop_signal: want a signal such as "SIGINT"; got the integer 2`},
		{"a time without sense", "image: x\nstop_timeout: soon", `5: applications.db.stop_timeout: want a positive time such as "10s", or a number of seconds; got "soon"`},
		{"no time at all", "image: x\nstop_timeout: 0", `5: applications.db.stop_timeout: want a positive time such as "10s", or a number of seconds; got the integer 0`},
		{"a user by number", "image: x\nuser: 999", `5: applications.db.user: want a string; got the integer 999: put quotes around it`},
		{"a health check without command", "image: x\nhealth: {interval: 1s}", `5: applications.db.health.command: is missing: want a list: the program and its arguments`},
		{"a health check that does nothing", "image: x\nhealth:\n  command: []", `6: applications.db.health.command: is missing`},
		{"a key of another system", "image: x\n" + port + "\nprivileged: true", `6: applications.db.privileged: unknown key (known here: ` + strings.Join(applicationKeys(), ", ") + `)`},
	} {
		t.Run(row.rule, func(t *testing.T) {
			_, err := parse(inNative(row.keys), nowhere)
			wantError(t, err, strings.Split("app.yml:"+row.want, "\n")...)
		})
	}
}

func TestNativeFileRefused(t *testing.T) {
	for _, row := range []struct {
		rule, file string
		want       []string
	}{
		{"an empty file", "", []string{"app.yml:1: want a mapping with version and applications; got nothing"}},
		{"a list", "- a\n", []string{"app.yml:1: want a mapping with version and applications; got a list"}},
		{"no applications", "version: 1\n", []string{"app.yml:1: applications: is missing: want a mapping of names to applications"}},
		{"misspelt applications", "version: 1\naplications: {}\n", []string{
			`app.yml:1: applications: is missing: want a mapping of names to applications; is "aplications" meant to be it?`}},
		{"no version", "applications: {}\n", []string{"app.yml:1: version: is missing: want version: 1"}},
		{"a version of later", "version: 2\napplications: {}\n", []string{"app.yml:1: version: want 1; got the integer 2"}},
		{"a version that is a string", "version: '1'\napplications: {}\n", []string{`app.yml:1: version: want 1; got "1"`}},
		{"applications in a list", "version: 1\napplications: [db]\n", []string{
			"app.yml:2: applications: want a mapping of names to applications; got a list"}},
		{"an application that is a string", "version: 1\napplications:\n  db: postgres\n", []string{
			`app.yml:3: applications.db: want a mapping with an image, or a command_line for the process runtime; got "postgres"`}},
		{"a name that no file could have", "version: 1\napplications:\n  a/b: {image: x}\n", []string{
			`app.yml:3: applications.a/b: "a/b" is not a valid name: use letters, digits, '_', '.' and '-', starting with a letter or digit`}},
		{"two applications with one volume", `version: 1
applications:
  a: {image: x, volume: {mountpoint: /d, dataset_id: 47440eff-e933-4de0-b56c-d3469b61421f}}
  b: {image: x, volume: {mountpoint: /d, dataset_id: 47440eff-e933-4de0-b56c-d3469b61421f}}
`, []string{"app.yml:4: applications.b.volume: volume 47440eff-e933-4de0-b56c-d3469b61421f is already used by applications.a.volume (app.yml:3)"}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			_, err := parse(row.file, nowhere)
			wantError(t, err, row.want...)
		})
	}
}

func TestOtherKeysAtTheTopAreIgnored(t *testing.T) {
	c := deployed(t, cluster.Configuration{}, "version: 1\nauthor: me\napplications: {db: {image: x}}\n", "version: 1\nauthor: me\nnodes: {}\n")
	if _, ok := c.Applications["db"]; !ok {
		t.Errorf("got %v, want db", c.Applications)
	}
}
