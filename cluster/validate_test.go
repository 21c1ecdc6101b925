package cluster

import (
	"errors"
	"reflect"
	"testing"
)

func TestTheFullConfigurationIsValid(t *testing.T) {
	if err := fullConfiguration().Validate().Err(); err != nil {
		t.Error(err)
	}
	if err := (Configuration{}).Validate().Err(); err != nil {
		t.Errorf("the empty configuration: %v", err)
	}
}

func TestValidateApplications(t *testing.T) {
	for _, row := range []struct {
		rule   string
		change func(*Application)
		want   []string
	}{
		{"an image or a command", func(a *Application) { a.Image, a.Command = "", nil }, []string{
			"applications.db: needs an image, or a command_line for the process runtime"}},
		{"a command is enough", func(a *Application) { a.Image = "" }, nil},
		{"the name it is filed under", func(a *Application) { a.Name = "other" }, []string{
			`applications.db: is filed under another name: "other"`}},
		{"ports in range", func(a *Application) { a.Ports = []Port{{0, 65536}} }, []string{
			"applications.db.ports[0].internal: 0: want a port from 1 to 65535",
			"applications.db.ports[0].external: 65536: want a port from 1 to 65535"}},
		{"an internal port once", func(a *Application) { a.Ports = []Port{{1, 2}, {1, 3}} }, []string{
			"applications.db.ports[1].internal: port 1 is given twice"}},
		{"an external port once in an application", func(a *Application) { a.Ports = []Port{{1, 2}, {3, 2}} }, []string{
			"applications.db.ports[1].external: external ports are unique in the cluster: 2 is already used by applications.db.ports[0].external"}},
		{"link ports in range", func(a *Application) { a.Links = []Link{{-1, 70000, "a"}} }, []string{
			"applications.db.links[0].local_port: -1: want a port from 1 to 65535",
			"applications.db.links[0].remote_port: 70000: want a port from 1 to 65535"}},
		{"an alias that makes a variable", func(a *Application) { a.Links = []Link{{1, 2, "a b"}, {1, 2, ""}} }, []string{
			`applications.db.links[0].alias: "a b": use letters, digits, '_' and '-'`,
			`applications.db.links[1].alias: "": use letters, digits, '_' and '-'`}},
		{"an alias and port once, in either case", func(a *Application) { a.Links = []Link{{1, 2, "db"}, {1, 3, "DB"}, {2, 2, "db"}} }, []string{
			"applications.db.links[1]: alias DB with local port 1 is given twice"}},
		{"variables that a process can have", func(a *Application) { a.Environment = map[string]string{"": "", "C=": "", "B\x00": "", "ok": "="} }, []string{
			`applications.db.environment: "" cannot name a variable`,
			`applications.db.environment: "B\x00" cannot name a variable`,
			`applications.db.environment: "C=" cannot name a variable`}},
		{"an absolute mountpoint", func(a *Application) { a.Volume.Mountpoint = "data" }, []string{
			`applications.db.volume.mountpoint: "data": want an absolute path`}},
		{"a volume that exists", func(a *Application) { a.Volume.Volume = otherID }, []string{
			"applications.db.volume: no such volume: " + string(otherID)}},
		{"the node of its volume", func(a *Application) { a.Node = "m" }, []string{
			"applications.db.volume: the volume is placed on node n and the application on node m"}},
		{"no place, wherever the volume is", func(a *Application) { a.Node = "" }, nil},
		{"a known restart policy", func(a *Application) { a.Restart = RestartPolicy{Name: "sometimes"} }, []string{
			`applications.db.restart_policy.name: "sometimes": use one of always, never, on-failure`}},
		{"a retry count with on-failure only", func(a *Application) { a.Restart = RestartPolicy{RestartAlways, 1} }, []string{
			"applications.db.restart_policy.maximum_retry_count: goes with on-failure only"}},
		{"a positive retry count", func(a *Application) { a.Restart = RestartPolicy{RestartOnFailure, -1} }, []string{
			"applications.db.restart_policy.maximum_retry_count: -1: want 1 or more"}},
		{"limits of zero or more, sorted by path", func(a *Application) { a.Limits = Limits{-1, -1, 0}; a.Stop.Timeout = -1 }, []string{
			"applications.db.cpu_shares: -1: want 1 or more",
			"applications.db.mem_limit: -1: want a number of bytes",
			"applications.db.stop_timeout: -1ns: want a positive time"}},
		{"a health check that does something", func(a *Application) { a.Health.Command = nil }, []string{
			"applications.db.health.command: is missing"}},
		{"a health check that takes time", func(a *Application) { a.Health.Interval, a.Health.Timeout = -1, -1 }, []string{
			"applications.db.health.interval: -1ns: want a positive time",
			"applications.db.health.timeout: -1ns: want a positive time"}},
		{"scratch in the container", func(a *Application) { a.Scratch = []string{"/cache", "cache", "/cache/", "/"} }, []string{
			`applications.db.scratch[1]: "cache": want an absolute path in the container, such as /cache`,
			`applications.db.scratch[2]: "/cache/": want an absolute path in the container, such as /cache`,
			`applications.db.scratch[3]: "/": want an absolute path in the container, such as /cache`}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			c := fullConfiguration()
			app := c.Applications["db"]
			row.change(&app)
			c.Applications["db"] = app
			wantProblems(t, c, row.want...)
		})
	}
}

func TestValidateTheWhole(t *testing.T) {
	for _, row := range []struct {
		rule   string
		change func(*Configuration)
		want   []string
	}{
		{"a valid name", func(c *Configuration) { c.Applications["a b"] = Application{Name: "a b", Image: "x"} }, []string{
			`applications.a b: "a b" is not a valid name: use letters, digits, '_', '.' and '-', starting with a letter or digit`}},
		{"an external port once in the cluster", func(c *Configuration) {
			c.Applications["web"] = Application{Name: "web", Image: "x", Ports: []Port{{80, 80}, {81, 2}}}
		}, []string{"applications.web.ports[1].external: external ports are unique in the cluster: 2 is already used by applications.db.ports[0].external"}},
		{"a volume for one application", func(c *Configuration) {
			c.Applications["web"] = Application{Name: "web", Image: "x", Volume: &Attachment{someID, "/d"}}
		}, []string{"applications.web.volume: volume " + string(someID) + " is already used by applications.db.volume"}},
		{"no deleted volume", func(c *Configuration) { changeVolume(c, func(v *Volume) { v.Deleted = true }) }, []string{
			"applications.db.volume: no such volume: " + string(someID)}},
		{"a volume's id is a UUID", func(c *Configuration) { c.Volumes["v"] = Volume{ID: "v"} }, []string{
			`volumes.v: the id "v" is not a version 4 UUID`}},
		{"a volume's id is its key", func(c *Configuration) { changeVolume(c, func(v *Volume) { v.ID = otherID }) }, []string{
			"volumes." + string(someID) + `: the id "` + string(otherID) + `" is not a version 4 UUID`}},
		{"a size of zero or more", func(c *Configuration) { changeVolume(c, func(v *Volume) { v.MaximumSize = -1 }) }, []string{
			"volumes." + string(someID) + ".maximum_size: -1: must be greater than zero"}},
		{"valid names of snapshots", func(c *Configuration) {
			changeVolume(c, func(v *Volume) { v.Snapshots = []SnapshotRequest{{"ok", 1}, {"a@b", 1}} })
		}, []string{"volumes." + string(someID) + `.snapshots[1]: "a@b" is not a valid name`}},
		{"a volume's name once", func(c *Configuration) { c.Volumes[otherID] = Volume{ID: otherID, Name: "db"} }, []string{
			"volumes." + string(otherID) + `.name: "db" is already the name of volume ` + string(someID)}},
		{"a deleted volume's name is free", func(c *Configuration) { c.Volumes[otherID] = Volume{ID: otherID, Name: "db", Deleted: true} }, nil},
		{"no name is nobody's", func(c *Configuration) {
			c.Volumes[otherID] = Volume{ID: otherID}
			changeVolume(c, func(v *Volume) { v.Name = "" })
		}, nil},
	} {
		t.Run(row.rule, func(t *testing.T) {
			c := fullConfiguration()
			row.change(&c)
			wantProblems(t, c, row.want...)
		})
	}
}

func changeVolume(c *Configuration, change func(*Volume)) {
	v := c.Volumes[someID]
	change(&v)
	c.Volumes[someID] = v
}

// wantProblems checks what is wrong with c, and that it is said in the same order each time.
func wantProblems(t *testing.T, c Configuration, want ...string) {
	t.Helper()
	for range 10 {
		var got []string
		for _, p := range c.Validate() {
			got = append(got, p.String())
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %q\nwant %q", got, want)
		}
	}
}

func TestAClashNamesTheOtherPath(t *testing.T) {
	c := fullConfiguration()
	c.Applications["web"] = Application{Name: "web", Image: "x", Ports: []Port{{80, 2}}, Volume: &Attachment{someID, "/d"}}
	var others []string
	for _, p := range c.Validate() {
		others = append(others, p.Other)
	}
	if want := []string{"applications.db.ports[0].external", "applications.db.volume"}; !reflect.DeepEqual(others, want) {
		t.Errorf("got %q, want %q", others, want)
	}
}

func TestProblemsAreOneError(t *testing.T) {
	err := Problems{{Path: "a.b", Message: "is wrong"}, {Path: "c", Message: "too"}}.Err()
	if got, want := err.Error(), "a.b: is wrong\nc: too"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, ErrInvalid) || errors.Is(err, ErrConflict) {
		t.Errorf("%v has the wrong kind", err)
	}
	if err := (Problems{}).Err(); err != nil {
		t.Errorf("no problems made an error: %v", err)
	}
}
