package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

// A shape is a document of about n bytes.
type shape func(n int) string

func many(n int, one func(i int) string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = one(i)
	}
	return strings.Join(parts, ",")
}

func numbered(format string) func(int) string {
	return func(i int) string {
		return strings.ReplaceAll(format, "#", fmt.Sprint(i+1))
	}
}

func service(keys string) string {
	return `{"services":{"db":{"image":"x",` + keys + `}}}`
}

func native(keys string) string {
	return `{"version":1,"applications":{"db":{"image":"x",` + keys + `}}}`
}

// TestNoFileTakesLong to be read or refused, whatever it is made of.
func TestNoFileTakesLong(t *testing.T) {
	const most = 10 * time.Second
	for what, s := range map[string]shape{
		"services": func(n int) string { return `{"services":{` + many(n/20, numbered(`"s#":{"image":"x"}`)) + "}}" },
		"services that depend on the next": func(n int) string {
			return `{"services":{` + many(n/40, func(i int) string { return fmt.Sprintf(`"s%d":{"image":"x","depends_on":["s%d"]}`, i, i+1) }) + "}}"
		},
		"ports":           func(n int) string { return service(`"ports":[` + many(n/14, numbered(`"#:#"`)) + "]") },
		"ranges of ports": func(n int) string { return service(`"ports":[` + many(n/16, numbered(`"#-9999:#-9999"`)) + "]") },
		"ranges in the long form": func(n int) string {
			return service(`"ports":[` + many(n/40, numbered(`{"target":#,"published":"#-9999"}`)) + "]")
		},
		"small ranges":           func(n int) string { return service(`"ports":[` + many(n/16, numbered(`"1-99:1-99"`)) + "]") },
		"environment":            func(n int) string { return service(`"environment":{` + many(n/12, numbered(`"A#":"x"`)) + "}") },
		"dependencies":           func(n int) string { return service(`"depends_on":[` + many(n/7, numbered(`"s#"`)) + "]") },
		"mounts":                 func(n int) string { return service(`"volumes":[` + many(n/12, numbered(`"v#:/d#"`)) + "]") },
		"keys of the user's own": func(n int) string { return service(`"x-a":{` + many(n/12, numbered(`"A#":"x"`)) + "}") },
		"volumes": func(n int) string {
			return `{"services":{"db":{"image":"x"}},"volumes":{` + many(n/12, numbered(`"v#":{}`)) + "}}"
		},
		"variables": func(n int) string { return service(`"command":"` + strings.Repeat("${A:-x}", n/7) + `"`) },
		"variables in variables": func(n int) string {
			return service(`"command":"` + strings.Repeat("${A:-", n/6) + strings.Repeat("}", n/6) + `"`)
		},
		"dollars": func(n int) string { return service(`"command":"` + strings.Repeat("$", n) + `"`) },
		"dollars in a key": func(n int) string {
			return service(`"x-a":{"` + strings.Repeat("$", 1000) + `":"` + strings.Repeat("$", n) + `"}`)
		},
		"quotes": func(n int) string { return service(`"command":"` + strings.Repeat("' ", n/2) + `"`) },
		"texts with variables": func(n int) string {
			return service(`"command":[` + many(n/200, func(int) string { return `"` + strings.Repeat("${A:-", 30) + strings.Repeat("}", 30) + `"` }) + "]")
		},
		"links times ports": func(n int) string {
			return `{"services":{"a":{"image":"x","ports":[` + many(n/30, numbered(`"#:#"`)) + `]},"b":{"image":"x","links":[` + many(n/30, numbered(`"a:l#"`)) + `]}}}`
		},
		"depth": func(n int) string { return strings.Repeat(`{"a":`, n/6) + "1" + strings.Repeat("}", n/6) },
		"native: applications": func(n int) string {
			return `{"version":1,"applications":{` + many(n/20, numbered(`"s#":{"image":"x"}`)) + "}}"
		},
		"native: ports": func(n int) string {
			return native(`"ports":[` + many(n/30, numbered(`{"internal":#,"external":#}`)) + "]")
		},
		"native: the same port": func(n int) string {
			return native(`"ports":[` + many(n/30, numbered(`{"internal":1,"external":1}`)) + "]")
		},
		"native: unknown keys": func(n int) string { return native(many(n/12, numbered(`"imag#":"x"`))) },
		"Fig: links times ports": func(n int) string {
			return `{"a":{"image":"x","ports":[` + many(n/20, numbered(`"#:#"`)) + `]},"b":{"image":"x","links":[` + many(n/20, numbered(`"a:l#"`)) + `]}}`
		},
		"Fig: links of many": func(n int) string {
			return `{"a":{"image":"x","ports":[` + many(n/20, numbered(`"#:#"`)) + `]},` + many(n/40, numbered(`"s#":{"image":"x","links":["a"]}`)) + `}`
		},
	} {
		t.Run(what, func(t *testing.T) {
			for _, size := range []int{12 << 10, 32 << 10, 96 << 10} { // some are within the bounds
				began := time.Now()
				_, err := composed(json.RawMessage(s(size)), json.RawMessage(v1Deployment), cluster.Configuration{}, twoNodes())
				took := time.Since(began)
				t.Logf("%d KiB: %s: %.80v", size>>10, took, err)
				if took > most {
					t.Fatalf("it took %s", took)
				}
				if err != nil && !errors.Is(err, cluster.ErrInvalid) {
					t.Errorf("it was refused as %v", err)
				}
			}
		})
	}
}

// TestAPlacementTakesNoTimeOfOthers: on a cluster that is large.
func TestAPlacementTakesNoTimeOfOthers(t *testing.T) {
	const nodes, applications = 10_000, 3_000
	var known []cluster.Node
	var words []string
	current := cluster.Configuration{Volumes: map[cluster.VolumeID]cluster.Volume{}}
	for i := range nodes {
		n := cluster.Node{ID: cluster.NodeID(cluster.NewUUID()), Name: fmt.Sprint("n", i), Address: fmt.Sprint("a", i)}
		known = append(known, n)
		words = append(words, fmt.Sprintf(`"nowhere%d":[]`, i))
		v := cluster.Volume{ID: cluster.VolumeID(cluster.NewUUID()), Name: fmt.Sprint("v", i), Primary: n.ID}
		current.Volumes[v.ID] = v
	}
	text := `{"version":1,"applications":{` + many(applications, numbered(`"s#":{"image":"x","volume":{"mountpoint":"/"}}`)) + "}}"
	for _, deployment := range []string{
		`{"version":1,"nodes":{"n1":[` + many(applications, numbered(`"s#"`)) + `]}}`,
		`{"version":1,"nodes":{` + strings.Join(words, ",") + `}}`,
	} {
		deploy, err := Compose(json.RawMessage(text), json.RawMessage(deployment))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = deploy(current, known)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
		if err != nil && len(err.Error()) > 10_000 {
			t.Errorf("the message has %d bytes", len(err.Error()))
		}
	}
}
