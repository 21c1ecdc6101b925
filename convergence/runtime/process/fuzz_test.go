package process

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/convergence/runtime/runtimetest"
)

// What a crash, a full disk or a hand has left of an instance's files decides which process is sent
// signals and which directory is removed.

func FuzzMade(f *testing.F) {
	b, err := json.Marshal(made{Spec: spec(runtimetest.ModeServe), Token: cluster.NewUUID(), Ports: map[int]int{8080: 1234}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add([]byte(`{"spec":{"Application":{"name":"../../etc","command":["x"]}},"token":"` + cluster.NewUUID() + `"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m made
		if json.Unmarshal(b, &m) != nil || m.check("app") != nil {
			return
		}
		if m.Spec.Application.Name != "app" || m.Token == "" || len(m.Spec.Application.Command) == 0 || m.Ports == nil {
			t.Errorf("%q reads as %+v", b, m)
		}
		i := &instance{made: m, runtime: &Runtime{}}
		i.state()
	})
}

func FuzzRecord(f *testing.F) {
	b, err := json.Marshal(record{Begun: true, Process: identity{1, 2}, Started: time.Now(), Boot: "boot"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"boot":"boot","process":{"pid":-1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := parseRecord(b, "boot")
		if r.Process.PID < 0 || (r.Boot != "boot" && (r.Begun || !r.Asked)) {
			t.Errorf("%q reads as %+v", b, r)
		}
	})
}

func FuzzStat(f *testing.F) {
	b, _ := os.ReadFile("/proc/self/stat") // only a seed
	f.Add(b)
	f.Add([]byte("1 (a) b) S 1 1 1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := parseStat(7, b); err == nil && s.PID != 7 {
			t.Errorf("%q reads as %+v", b, s)
		}
	})
}

// TestNobodyElseGetsIn: what an application was made from may hold secrets.
func TestNobodyElseGetsIn(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := open(t, dir)
	if err := r.Create(t.Context(), runtime.Spec{Address: "127.0.0.1", Application: spec(runtimetest.ModeServe).Application}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, dir + "/app"} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
	}
}
