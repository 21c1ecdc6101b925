package deploy

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover/drover/cluster"
)

const (
	v1Applications = `{"version": 1, "applications": {"db": {"image": "postgres", "volume": {"mountpoint": "/data", "maximum_size": "1G"}}}}`
	v1Deployment   = `{"version": 1, "nodes": {"10.0.0.1": ["db"], "10.0.0.2": []}}`
)

// composed reads two documents and deploys them.
func composed(applications, deployment json.RawMessage, current cluster.Configuration, nodes []cluster.Node) (cluster.Configuration, error) {
	deploy, err := Compose(applications, deployment)
	if err != nil {
		return cluster.Configuration{}, err
	}
	return deploy(current, nodes)
}

func TestComposeIsADeploy(t *testing.T) {
	got, err := composed(json.RawMessage(v1Applications), json.RawMessage(v1Deployment), lived(), twoNodes())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(deployed(t, lived(), dbFile, onA), got); diff != "" {
		t.Errorf("configuration (-files +documents):\n%s", diff)
	}
}

func TestComposeReadsAllJSON(t *testing.T) {
	document := "{\n\t\"version\": 1,\n\t\"applications\": {\"db\": {\"image\": \"x\", \"environment\": {\"A\": \"\\ud83d\\ude00\\/\"},\n\t\t\"mem_limit\": 9007199254740993}}}"
	c, err := composed(json.RawMessage(document), json.RawMessage(v1Deployment), cluster.Configuration{}, twoNodes())
	if err != nil {
		t.Fatal(err)
	}
	if app := c.Applications["db"]; app.Environment["A"] != "\U0001f600/" || app.Limits.MemoryBytes != 9007199254740993 {
		t.Errorf("got %+v", app)
	}
}

func TestComposeSpeaksFlockersWords(t *testing.T) {
	app := func(keys string) string { return `{"version": 1, "applications": {"db": ` + keys + `}}` }
	for _, row := range []struct{ applications, deployment, want string }{
		{`{"lalala": "lololo"}`, v1Deployment, "Application configuration has an error. Missing 'applications' key."},
		{v1Applications, `{"lalala": "lololo"}`, "Deployment configuration has an error. Missing 'nodes' key."},
		{`[]`, v1Deployment, "Application configuration must be a dictionary, got list."},
		{`{"applications": {}}`, v1Deployment, "Application configuration has an error. Missing 'version' key."},
		{`{"applications": {}, "version": 2}`, v1Deployment, "Application configuration has an error. Incorrect version specified."},
		{app(`"x"`), v1Deployment, "Application 'db' has a config error. Application configuration must be dictionary; got type 'str'."},
		{app(`{}`), v1Deployment, "Application 'db' has a config error. Missing 'image' key."},
		{app(`{"image": ""}`), v1Deployment, "Application 'db' has a config error. Invalid Docker image name. Docker image names must have format 'repository[:tag]'. Found ''."},
		{app(`{"image": "x", "b": 1, "a": 2}`), v1Deployment, "Application 'db' has a config error. Unrecognised keys: a, b."},
		{app(`{"image": "x", "ports": [{"internal": 1}]}`), v1Deployment, "Application 'db' has a config error. Invalid ports specification. Missing external port."},
		{app(`{"image": "x", "links": [{"local_port": 1, "remote_port": 2}]}`), v1Deployment, "Application 'db' has a config error. Invalid links specification. Missing alias."},
		{app(`{"image": "x", "volume": {}}`), v1Deployment, "Application 'db' has a config error. Invalid volume specification. Missing mountpoint."},
		{app(`{"image": "x", "restart_policy": {}}`), v1Deployment, "Application 'db' has a config error. 'restart_policy' must include a 'name'."},
		{app(`{"image": "x", "mem_limit": "1"}`), v1Deployment, `Application 'db' has a config error. applications.db.mem_limit: want an integer; got "1"`},
		{app(`{"image": "x", "mem_limit": -1}`), v1Deployment, `Application configuration has an error. applications.db.mem_limit: -1: want a number of bytes`},
		{`{"db": {"build": "."}}`, v1Deployment, "Application 'db' has a config error. 'build' is not supported yet; please specify 'image'."},
		{`{"db": {"build": ".", "image": "x"}}`, v1Deployment, "Application 'db' has a config error. Must specify either 'build' or 'image'; found both."},
		{`{"db": {"image": "x", "net": "host", "command": "x"}}`, v1Deployment, "Application 'db' has a config error. Unsupported fig keys found: command, net"},
		{`{"db": {"image": "x", "ports": ["a:b"]}}`, v1Deployment, "Application 'db' has a config error. 'ports' value 'a:b' could not be parsed in to integer values."},
		{`{"db": {"image": "x", "links": ["web"]}}`, v1Deployment, "Application 'db' has a config error. 'links' value 'web' could not be mapped to any application; application 'web' does not exist."},
		{v1Applications, `{"nodes": {}}`, "Deployment configuration has an error. Missing 'version' key."},
		{v1Applications, `{"nodes": {}, "version": "1"}`, "Deployment configuration has an error. Incorrect version specified."},
		{v1Applications, `{"version": 1, "nodes": {"10.0.0.1": "db"}}`, "Node 10.0.0.1 has a config error. Wrong value type: str. Should be list."},
		{v1Applications, `{"version": 1, "nodes": {"10.0.0.1": ["bd"]}}`, "Node 10.0.0.1 has a config error. Unrecognised application name: bd."},
		{v1Applications, `{"version": 1, "nodes": {"10.0.0.1": ["db"], "10.0.0.2": ["db"]}}`, "Application 'db' appears more than once."},
		{v1Applications, `{"version": 1, "nodes": {"10.0.0.9": []}}`, "No known node with address 10.0.0.9."},
		{"{", v1Deployment, "invalid: read applications: unexpected EOF"},
		{v1Applications, "", "invalid: read deployment: EOF"},
	} {
		_, err := composed(json.RawMessage(row.applications), json.RawMessage(row.deployment), cluster.Configuration{}, twoNodes())
		if err == nil || err.Error() != row.want {
			t.Errorf("%s %s:\n got %v\nwant %s", row.applications, row.deployment, err, row.want)
		}
		if !errors.Is(err, cluster.ErrInvalid) {
			t.Errorf("%v is not cluster.ErrInvalid", err)
		}
	}
}

func TestComposeKeepsAllErrors(t *testing.T) {
	_, err := composed(json.RawMessage(`{}`), json.RawMessage(`{}`), cluster.Configuration{}, nil)
	var all Errors
	if !errors.As(err, &all) || len(all) != 4 {
		t.Errorf("got %v", all)
	}
}
