package deploy

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/drover/drover/cluster"
)

// drawFiles makes an application file and a deployment file that are right. They are JSON, which
// is YAML too.
func drawFiles(t *rapid.T) (application, deployment Source) {
	applications, nodes := map[string]any{}, map[string][]string{"a": {}, "10.0.0.2": {}}
	for i, name := range []string{"db", "web", "cache"} {
		if !rapid.Bool().Draw(t, name+" is defined") {
			continue
		}
		app := map[string]any{
			"image":       rapid.SampledFrom([]string{"x:1", "x:2"}).Draw(t, name+" image"),
			"environment": rapid.MapOf(rapid.StringMatching(`[A-Z]{1,3}`), rapid.StringMatching(`[ -~é]{0,8}`)).Draw(t, name+" environment"),
			"ports":       []any{map[string]int{"internal": 80, "external": 8000 + 10*i + rapid.IntRange(0, 9).Draw(t, name+" port")}},
			"mem_limit":   rapid.IntRange(0, 1<<40).Draw(t, name+" mem_limit"),
		}
		if rapid.Bool().Draw(t, name+" has a volume") {
			app["volume"] = map[string]any{"mountpoint": "/data", "maximum_size": rapid.Int64Range(1, 1<<50).Draw(t, name+" size")}
		}
		applications[name] = app
		if node := rapid.SampledFrom([]string{"", "a", "10.0.0.2"}).Draw(t, name+" node"); node != "" {
			nodes[node] = append(nodes[node], name)
		}
	}
	return source(t, "app.yml", "applications", applications), source(t, "deployment.yml", "nodes", nodes)
}

func source(t *rapid.T, name, key string, content any) Source {
	data, err := json.Marshal(map[string]any{"version": 1, key: content})
	if err != nil {
		t.Fatal(err)
	}
	return Source{Name: name, Data: data}
}

func drawDeploy(t *rapid.T, current cluster.Configuration) cluster.Configuration {
	files, err := Parse(drawFiles(t))
	if err != nil {
		t.Fatal(err)
	}
	next, err := files.Configuration(current, twoNodes())
	if err != nil {
		t.Fatal(err)
	}
	again, err := files.Configuration(next, twoNodes())
	if err != nil {
		t.Fatal(err)
	}
	if changes := Diff(next, again); len(changes) > 0 {
		t.Fatalf("the same files again change something: %v", Render(changes, twoNodes()))
	}
	return next
}

func TestDeployingAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		current := cluster.Configuration{}
		for i := range 4 {
			next := drawDeploy(t, current)
			if problems := next.Validate(); len(problems) > 0 {
				t.Fatalf("deploy %d: the result is invalid: %v", i, problems)
			}
			for id, v := range current.Volumes {
				if _, kept := next.Volumes[id]; !kept {
					t.Fatalf("deploy %d dropped volume %s", i, v.Name)
				}
			}
			// What is not told would not be written either.
			equal := cmp.Equal(current, next, cmpopts.EquateEmpty())
			if told := len(Diff(current, next)) > 0; told == equal {
				t.Fatalf("deploy %d: Diff tells of changes: %t, but they are equal: %t\n%s", i, told, equal, cmp.Diff(current, next))
			}
			current = overTheWire(t, next)
		}
	})
}

// overTheWire is what the control service gives back.
func overTheWire(t *rapid.T, c cluster.Configuration) cluster.Configuration {
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back cluster.Configuration
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", data, err))
	}
	return back
}
