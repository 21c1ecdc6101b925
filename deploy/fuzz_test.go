package deploy

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
)

// seed adds the files that are known to be right, and some that are not.
func seed(f *testing.F) {
	deployment := []byte("version: 1\nnodes: {a: [db], b: [web]}\n")
	for _, pattern := range []string{"testdata/flocker/*.yml", "../examples/*/*.yml"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			f.Fatalf("%s: %v %v", pattern, names, err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, deployment)
			f.Add([]byte(webFile), data)
		}
	}
	for _, s := range []string{"", "a: [", "? [a]\n: b", "x: &x {<<: *x}", "version: 1\napplications: {db: {image: x, volume: {mountpoint: /d}}}",
		v1Applications, `{"db": {"image": "x", "links": ["db"], "ports": ["1:2"]}}`, "a: \xff", "%YAML 9.9\n---\n", "applications:\n  ? {}\n",
		"services: {db: {image: x, ports: ['1:1'], volumes: ['data:/d'], depends_on: [db]}}\nvolumes: {data: {driver_opts: {size: 1G}}}\n",
		"services: {db: {image: '${A:-x}', healthcheck: {test: [CMD]}, restart: 'on-failure:0', deploy: {resources: {limits: {memory: 1K}}}}}\n"} {
		f.Add([]byte(s), deployment)
		f.Add([]byte(twoApplications), []byte(s))
	}
}

// checkErrors checks that an error says where everything is.
func checkErrors(t *testing.T, err error) {
	var all Errors
	if !errors.As(err, &all) || len(all) == 0 || !errors.Is(err, cluster.ErrInvalid) {
		t.Fatalf("%v is not a list of errors", err)
	}
	for _, e := range all {
		if e.File == "" || e.Line < 1 || e.Message == "" {
			t.Errorf("%+v lacks a file, a line or a message", e)
		}
	}
}

func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, application, deployment []byte) {
		files, err := Parse(Source{Name: "app.yml", Data: application}, Source{Name: "deployment.yml", Data: deployment})
		if err != nil {
			checkErrors(t, err)
			return
		}
		c, err := files.Configuration(lived(), twoNodes())
		if err != nil {
			checkErrors(t, err)
			return
		}
		for name, app := range c.Applications {
			if app.Image == unreadable {
				t.Errorf("%s: a fault was not reported", name)
			}
		}
		again, err := files.Configuration(c, twoNodes())
		if err != nil || len(Diff(c, again)) > 0 {
			t.Errorf("the same files again: %v %v", err, Render(Diff(c, again), twoNodes()))
		}
	})
}

func FuzzCompose(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, application, deployment []byte) {
		_, err := composed(json.RawMessage(application), json.RawMessage(deployment), cluster.Configuration{}, twoNodes())
		if err != nil && (err.Error() == "" || !errors.Is(err, cluster.ErrInvalid)) {
			t.Errorf("%v is not cluster.ErrInvalid", err)
		}
	})
}
