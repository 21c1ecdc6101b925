package uses

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
)

var data = Volume{ID: "id-1", Name: "data", Path: "/volumes/data"}

func open(t *testing.T, dir, era string) *Book {
	t.Helper()
	b, err := Open(dir, era)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantUsers(t *testing.T, b *Book, want ...string) {
	t.Helper()
	if got := b.Users(data.ID); !slices.Equal(got, want) {
		t.Errorf("used by %q, want %q", got, want)
	}
}

func TestUsesOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, "1")
	ok(t, b.Take(data, "m1", "web"))
	ok(t, b.Take(data, "m1", "web")) // an engine may say it twice
	ok(t, b.Take(data, "0123456789abcdef", ""))
	again := open(t, dir, "1")
	wantUsers(t, again, "a container (mount 0123456789ab)", "container web")
	ok(t, again.Drop("data", "m1"))
	ok(t, again.Drop("data", "m1"))
	ok(t, again.Drop("data", "never"))
	wantUsers(t, open(t, dir, "1"), "a container (mount 0123456789ab)")
	ok(t, again.Drop("data", "0123456789abcdef"))
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

// TestAPageThatCannotBeRead costs its own volume alone, and is told of.
func TestAPageThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	ok(t, open(t, dir, "1").Take(data, "m1", "web"))
	ok(t, os.WriteFile(filepath.Join(dir, "broken.json"), []byte("{"), 0o600))
	b, err := Open(dir, "1")
	if b == nil || err == nil || !strings.Contains(err.Error(), "broken.json") {
		t.Fatalf("%v, %v", b, err)
	}
	wantUsers(t, b, "container web")
}

func TestBar(t *testing.T) {
	b := open(t, t.TempDir(), "1")
	why := errors.New("is moving to b")
	ok(t, b.Take(data, "m1", "web"))
	if err := b.Bar(data.ID, why); !errors.Is(err, cluster.ErrConflict) || !strings.Contains(err.Error(), "container web") {
		t.Errorf("barred while used: %v", err)
	}
	ok(t, b.Drop("data", "m1"))
	ok(t, b.Bar(data.ID, why))
	if err := b.Take(data, "m2", ""); !errors.Is(err, why) {
		t.Errorf("taken while barred: %v", err)
	}
	b.Unbar(data.ID)
	ok(t, b.Take(data, "m2", ""))
}

// TestBarOrTake: of a bar and a use at the same moment one wins.
func TestBarOrTake(t *testing.T) {
	b := open(t, t.TempDir(), "1")
	for range 200 {
		result := make(chan error, 2)
		go func() { result <- b.Bar(data.ID, errors.New("barred")) }()
		go func() { result <- b.Take(data, "m", "web") }()
		first, second := <-result, <-result
		if (first == nil) == (second == nil) {
			t.Fatalf("both got it, or none: %v, %v", first, second)
		}
		b.Unbar(data.ID)
		ok(t, b.Drop("data", "m"))
	}
}

func TestRebuild(t *testing.T) {
	running := func(name string) runtime.Container {
		return runtime.Container{ID: "id-" + name, Name: name, Volumes: []string{"data"}, Running: true}
	}
	stopped := running("web")
	stopped.Running = false
	old := time.Now().Add(-time.Hour)
	for _, row := range []struct {
		rule       string
		uses       map[string]Use
		containers []runtime.Container
		mounted    bool
		want       []string
	}{
		{"nothing", nil, nil, false, nil},
		{"its container runs", map[string]Use{"m": {old, "web"}}, []runtime.Container{running("web")}, false, []string{"container web"}},
		{"its container has ended", map[string]Use{"m": {old, "web"}}, []runtime.Container{stopped}, false, nil},
		{"its container is gone", map[string]Use{"m": {old, "web"}}, nil, false, nil},
		{"its container is gone, but something has it mounted", map[string]Use{"m": {old, "web"}}, nil, true, []string{"container web"}},
		{"its container is about to start", map[string]Use{"m": {time.Now(), "web"}}, []runtime.Container{stopped}, false, []string{"container web"}},
		{"a use without a name gets that of the container", map[string]Use{"m": {old, ""}}, []runtime.Container{running("web")}, false, []string{"container web"}},
		{"a container that nobody told of", nil, []runtime.Container{running("web")}, false, []string{"container web"}},
		{"one of two has ended", map[string]Use{"m": {old, "web"}, "n": {old, "app"}}, []runtime.Container{running("app"), stopped}, false, []string{"container app"}},
		{"renamed", map[string]Use{"m": {old, "before"}}, []runtime.Container{running("after")}, false, []string{"container after"}},
		{"none without a name when no container is left", map[string]Use{"m": {old, ""}, "n": {old, ""}}, nil, false, nil},
	} {
		t.Run(row.rule, func(t *testing.T) {
			dir := t.TempDir()
			b := open(t, dir, "1")
			for mount, use := range row.uses {
				ok(t, b.set(data, mount, use))
			}
			find := func(name string) (Volume, bool) { return data, name == data.Name }
			for range 2 { // nothing changes the second time
				ok(t, b.Rebuild(row.containers, find, func(string) bool { return row.mounted }))
				wantUsers(t, b, row.want...)
				wantUsers(t, open(t, dir, "1"), row.want...)
			}
		})
	}
}
