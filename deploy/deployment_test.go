package deploy

import "testing"

const twoApplications = "version: 1\napplications: {web: {image: x}, db: {image: y}}\n"

func TestDeploymentFileRefused(t *testing.T) {
	for _, row := range []struct {
		rule, file string
		want       []string
	}{
		{"an empty file", "", []string{"deployment.yml:1: want a mapping with version and nodes; got nothing"}},
		{"no nodes", "version: 1\n", []string{"deployment.yml:1: nodes: is missing: want a mapping of nodes to lists of applications"}},
		{"misspelt nodes", "version: 1\nnode: {}\n", []string{
			`deployment.yml:1: nodes: is missing: want a mapping of nodes to lists of applications; is "node" meant to be it?`}},
		{"no version", "nodes: {}\n", []string{"deployment.yml:1: version: is missing: want version: 1"}},
		{"a wrong version", "version: 1.5\nnodes: {}\n", []string{"deployment.yml:1: version: want 1; got the number 1.5"}},
		{"nodes in a list", "version: 1\nnodes: [a]\n", []string{
			"deployment.yml:2: nodes: want a mapping of nodes to lists of applications; got a list"}},
		{"an application instead of a list", "version: 1\nnodes:\n  a: web\n", []string{
			`deployment.yml:3: nodes.a: want a list of applications, [] for none; got "web"`}},
		{"a node with nothing", "version: 1\nnodes:\n  a:\n", []string{
			`deployment.yml:3: nodes.a: want a list of applications, [] for none; got nothing`}},
		{"an application by number", "version: 1\nnodes:\n  a: [1]\n", []string{
			`deployment.yml:3: nodes.a[0]: want a string; got the integer 1: put quotes around it`}},
		{"an application that is not defined", "version: 1\nnodes:\n  10.0.0.1: [web, cache]\n", []string{
			`deployment.yml:3: nodes.10.0.0.1[1]: no application "cache" is defined in app.yml`}},
		{"an application twice on one node", "version: 1\nnodes:\n  a: [web, web]\n", []string{
			`deployment.yml:3: nodes.a[1]: application "web" is already placed by nodes.a[0] (deployment.yml:3)`}},
		{"an application on two nodes", "version: 1\nnodes:\n  a: [web]\n  b: [db, web]\n", []string{
			`deployment.yml:4: nodes.b[1]: application "web" is already placed by nodes.a[0] (deployment.yml:3)`}},
		{"a node twice", "version: 1\nnodes:\n  a: [web]\n  a: [db]\n", []string{
			`deployment.yml:4: nodes.a: is given twice, first on line 3: remove one`}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			_, err := parse(twoApplications, row.file)
			wantError(t, err, row.want...)
		})
	}
}

func TestAnUnreadableApplicationFileHidesNoOtherError(t *testing.T) {
	_, err := parse("a: b: c\n", "version: 1\nnodes: {a: [web, web]}\n")
	wantError(t, err,
		"app.yml:1: is not YAML: mapping values are not allowed in this context",
		`deployment.yml:2: nodes.a[1]: application "web" is already placed by nodes.a[0] (deployment.yml:2)`)
}

func TestAFileWithoutApplicationsDefinesNone(t *testing.T) {
	_, err := parse("version: 1\napplications: {}\n", "version: 1\nnodes: {a: [web]}\n")
	wantError(t, err, `deployment.yml:2: nodes.a[0]: no application "web" is defined in app.yml`)
}
