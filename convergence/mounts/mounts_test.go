package mounts

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/test/harness/powercut"
)

var data = Source{ID: "id-1", Name: "data", Path: "/volumes/data"}

func open(t *testing.T, dir, era string) *Registry {
	t.Helper()
	r, err := Open(dir, era)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantUsers(t *testing.T, r *Registry, want ...string) {
	t.Helper()
	if got := r.Users(data.ID); !slices.Equal(got, want) {
		t.Errorf("used by %q, want %q", got, want)
	}
}

func TestUsesOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, "1")
	ok(t, r.Take(data, "m1", "web"))
	ok(t, r.Take(data, "m1", "")) // it is copied out of
	ok(t, r.Take(data, "0123456789abcdef", ""))
	again := open(t, dir, "1")
	wantUsers(t, again, "container web", "a container (mount 0123456789ab)")
	ok(t, again.Drop("m1", ""))
	again = open(t, dir, "1")
	wantUsers(t, again, "container web", "a container (mount 0123456789ab)")
	ok(t, again.Drop("m1", ""))
	ok(t, again.Drop("m1", ""))
	ok(t, again.Drop("never", ""))
	wantUsers(t, open(t, dir, "1"), "a container (mount 0123456789ab)")
	ok(t, again.Drop("0123456789abcdef", ""))
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("left: %v", files)
	}
}

func TestNoUseOutlivesTheBoot(t *testing.T) {
	dir := t.TempDir()
	ok(t, open(t, dir, "1").Take(data, "m1", "web"))
	wantUsers(t, open(t, dir, "2"))
	wantUsers(t, open(t, dir, "1"))
}

func TestUsesSurviveALossOfPower(t *testing.T) {
	powercut.Each(t, func(t *testing.T, kind string) {
		powercut.Run(t, kind,
			func(dir string) { ok(t, open(t, filepath.Join(dir, "uses"), "1").Take(data, "m1", "web")) },
			func(dir string) { wantUsers(t, open(t, filepath.Join(dir, "uses"), "1"), "container web") })
	})
}

// TestAPageThatCannotBeRead costs its own volume alone, and is told of.
func TestAPageThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	ok(t, open(t, dir, "1").Take(data, "m1", "web"))
	ok(t, os.WriteFile(filepath.Join(dir, "broken.json"), []byte("{"), 0o600))
	r, err := Open(dir, "1")
	if r == nil || err == nil || !strings.Contains(err.Error(), "broken.json") {
		t.Fatalf("%v, %v", r, err)
	}
	wantUsers(t, r, "container web")
}

func TestBlock(t *testing.T) {
	r := open(t, t.TempDir(), "1")
	why := errors.New("is moving to r")
	ok(t, r.Take(data, "m1", "web"))
	if err := r.Block(data.ID, why); !errors.Is(err, cluster.ErrConflict) || !strings.Contains(err.Error(), "container web") {
		t.Errorf("blocked while used: %v", err)
	}
	ok(t, r.Drop("m1", ""))
	ok(t, r.Block(data.ID, why))
	if err := r.Take(data, "m2", ""); !errors.Is(err, why) {
		t.Errorf("taken while blocked: %v", err)
	}
	r.Unblock(data.ID)
	ok(t, r.Take(data, "m2", ""))
}

// TestBarOrTake: of a bar and a use at the same moment one wins.
func TestBarOrTake(t *testing.T) {
	r := open(t, t.TempDir(), "1")
	for range 200 {
		result := make(chan error, 2)
		go func() { result <- r.Block(data.ID, errors.New("blocked")) }()
		go func() { result <- r.Take(data, "m", "web") }()
		first, second := <-result, <-result
		if (first == nil) == (second == nil) {
			t.Fatalf("both got it, or none: %v, %v", first, second)
		}
		r.Unblock(data.ID)
		ok(t, r.Drop("m", ""))
	}
}

// running is a container that uses volumes, by their names or ids.
func running(name string, volumes ...string) runtime.Container {
	return runtime.Container{ID: "id-" + name, Name: name, Volumes: volumes, Running: true}
}

func stopped(name string, volumes ...string) runtime.Container {
	c := running(name, volumes...)
	c.Running = false
	return c
}

// rebuild is Rebuild on a node that owns those volumes.
func (r *Registry) rebuild(containers []runtime.Container, mounted bool, owned ...Source) error {
	find := func(name string) (Source, bool) {
		at := slices.IndexFunc(owned, func(s Source) bool { return s.Name == name || string(s.ID) == name })
		if at < 0 {
			return Source{}, false
		}
		return owned[at], true
	}
	return r.Rebuild(func() []runtime.Container { return containers }, find, func(string) bool { return mounted })
}

func TestRebuild(t *testing.T) {
	web, app, ended := running("web", "data"), running("app", "data"), stopped("web", "data")
	old := time.Now().Add(-time.Hour)
	uses := func(name string) map[string]Use { return map[string]Use{"m": {Since: old, Container: name}} }
	about := map[string]Use{"m": {Since: time.Now(), Container: "web"}}
	nameless := map[string]Use{"m": {Since: old}, "n": {Since: old}}
	for _, row := range []struct {
		rule       string
		uses       map[string]Use
		containers []runtime.Container
		mounted    bool
		want       []string
	}{
		{"nothing", nil, []runtime.Container{}, false, nil},
		{"its container runs", uses("web"), []runtime.Container{web}, false, []string{"container web"}},
		{"its container has ended", uses("web"), []runtime.Container{ended}, false, nil},
		{"its container is gone", uses("web"), []runtime.Container{}, false, nil},
		{"its container is gone, but something has it mounted", uses("web"), []runtime.Container{}, true, []string{"container web"}},
		{"its container is about to start", about, []runtime.Container{ended}, false, []string{"container web"}},
		{"its container was about to start, and is gone", about, []runtime.Container{}, false, nil},
		{"there is no telling which containers there are", uses("web"), nil, false, []string{"container web"}},
		{"a use without a name gets that of the container", uses(""), []runtime.Container{web}, false, []string{"container web"}},
		{"its container has two", map[string]Use{"m": {Since: old, Container: "web"}, "n": {Since: time.Now()}}, []runtime.Container{web}, false, []string{"container web"}},
		{"its container has two, and there is another one", map[string]Use{"m": {Since: old, Container: "web"}, "n": {Since: old}}, []runtime.Container{web, stopped("app", "data")}, false,
			[]string{"container web"}},
		{"another one may be starting", map[string]Use{"m": {Since: old, Container: "web"}, "n": {Since: time.Now()}}, []runtime.Container{web, stopped("app", "data")}, false,
			[]string{"container web", "a container (mount n)"}},
		{"a container that nobody told of", nil, []runtime.Container{web}, false, []string{"container web"}},
		{"a container that calls it by its id", nil, []runtime.Container{running("web", "id-1")}, false, []string{"container web"}},
		{"one of two has ended", map[string]Use{"m": {Since: old, Container: "web"}, "n": {Since: old, Container: "app"}}, []runtime.Container{app, ended}, false, []string{"container app"}},
		{"renamed", uses("before"), []runtime.Container{running("after", "data")}, false, []string{"container after"}},
		{"none without a name when no container is left", nameless, []runtime.Container{}, false, nil},
		{"it began more often than it ended", map[string]Use{"m": {Since: old, Container: "web", Again: 3}}, []runtime.Container{ended}, false, nil},
	} {
		t.Run(row.rule, func(t *testing.T) {
			dir := t.TempDir()
			r := open(t, dir, "1")
			for mount, use := range row.uses {
				ok(t, r.set(data, mount, use))
			}
			for range 2 { // nothing changes the second time
				ok(t, r.rebuild(row.containers, row.mounted, data))
				wantUsers(t, r, row.want...)
				wantUsers(t, open(t, dir, "1"), row.want...)
			}
		})
	}
}

// TestAContainerThatWaitsForItsVolumes has the first one for as long as it waits for the others.
func TestAContainerThatWaitsForItsVolumes(t *testing.T) {
	other := Source{ID: "id-2", Name: "other"}
	waits := []runtime.Container{stopped("web", "data", "other")}
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{"web", ""} {
		r := open(t, t.TempDir(), "1")
		ok(t, r.set(data, "m", Use{Since: old, Container: name}))
		done := r.Start()
		ok(t, r.rebuild(waits, false, data, other))
		if len(r.Users(data.ID)) == 0 {
			t.Errorf("by %q: it ended while a container waits", name)
		}
		done()
		ok(t, r.set(other, "n", Use{Since: old, Container: name}))
		still, err := r.Renew(other.ID, "n")
		if ok(t, err); !still {
			t.Error("the second one is not there")
		}
		ok(t, r.rebuild(waits, false, data, other))
		if len(r.Users(data.ID)) == 0 {
			t.Errorf("by %q: it ended right after its container got another volume", name)
		}
		ok(t, r.Drop("n", ""))
		ok(t, r.rebuild(waits, false, data, other))
		wantUsers(t, r)
	}
}

// TestAContainerHoldsAVolumeThatCannotBeFound: it is not known just now whose that is.
func TestAContainerHoldsAVolumeThatCannotBeFound(t *testing.T) {
	for _, name := range []string{data.Name, string(data.ID)} {
		r := open(t, t.TempDir(), "1")
		ok(t, r.set(data, "m", Use{Since: time.Now().Add(-time.Hour), Container: "web"}))
		ok(t, r.rebuild([]runtime.Container{running("web", name)}, false))
		wantUsers(t, r, "container web")
	}
}

// TestWhatChangesWhileTheEngineIsAsked is left for the next time.
func TestWhatChangesWhileTheEngineIsAsked(t *testing.T) {
	r := open(t, t.TempDir(), "1")
	find := func(name string) (Source, bool) { return data, name == data.Name }
	ok(t, r.set(data, "m", Use{Container: "web"}))
	begins := func() []runtime.Container {
		ok(t, r.Take(data, "m", "web"))
		return []runtime.Container{}
	}
	ok(t, r.Rebuild(begins, find, func(string) bool { return false }))
	wantUsers(t, r, "container web")
	ok(t, r.Drop("m", ""))
	ends := func() []runtime.Container {
		ok(t, r.Drop("m", ""))
		return []runtime.Container{running("web", "data")}
	}
	ok(t, r.Rebuild(ends, find, func(string) bool { return false }))
	wantUsers(t, r)
}

// TestAnEndThatIsToldTwiceIsOne, also when the agent was restarted in between: `docker cp` began and ended a use
// again that a container still has.
func TestAnEndThatIsToldTwiceIsOne(t *testing.T) {
	dir := t.TempDir()
	r, err := Open(dir, "1")
	ok(t, err)
	ok(t, r.Take(data, "m", "web"))
	ok(t, r.Take(data, "m", ""))
	for range 3 {
		ok(t, r.Drop("m", "copied"))
		r, err = Open(dir, "1")
		ok(t, err)
	}
	if users := r.Users(data.ID); len(users) != 1 {
		t.Errorf("the container runs, and users are %v", users)
	}
	ok(t, r.Drop("m", "stopped"))
	if users := r.Users(data.ID); len(users) != 0 {
		t.Errorf("all have ended, and users are %v", users)
	}
}
