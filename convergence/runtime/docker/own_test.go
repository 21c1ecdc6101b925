package docker_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/convergence/runtime/docker"
	"github.com/drover/drover/convergence/runtime/runtimetest"
)

// container returns the one container of an application in the test's own namespace of labels.
func container(t *testing.T, s runtime.Spec) string {
	t.Helper()
	return engine(t, "ps", "--all", "--quiet", "--filter", "label=drover.fingerprint="+s.Fingerprint())
}

// put writes a file into a container, get reads one: what it is, empty if it is not there.
func put(t *testing.T, id, path, content string) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: filepath.Base(path), Mode: 0o600, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, content)
	w.Close()
	cmd := exec.Command("/usr/bin/docker", "cp", "-", id+":"+filepath.Dir(path))
	cmd.Stdin = &b
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func get(t *testing.T, id, path string) string {
	t.Helper()
	out, err := exec.Command("/usr/bin/docker", "cp", id+":"+path, "-").Output()
	if err != nil {
		return ""
	}
	r := tar.NewReader(bytes.NewReader(out))
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// declaring makes an image that declares volumes, and a spec that runs it.
func declaring(t *testing.T, volumes string) runtime.Spec {
	t.Helper()
	s := spec(runtimetest.ModeServe)
	s.Application.Image = "drover-declares-" + cluster.NewUUID()[:8]
	s.Application.Name = cluster.AppName("own" + cluster.NewUUID()[:8])
	variant(t, s.Application.Image, "VOLUME "+volumes)
	t.Cleanup(func() {
		engine(t, "rmi", s.Application.Image)
		if left := strings.Fields(engine(t, "volume", "ls", "--quiet", "--filter", "label=drover.application="+string(s.Application.Name))); len(left) > 0 {
			engine(t, append([]string{"volume", "rm"}, left...)...)
		}
	})
	return s
}

func create(t *testing.T, r *docker.Runtime, s runtime.Spec) string {
	t.Helper()
	if err := r.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return container(t, s)
}

func remove(t *testing.T, r *docker.Runtime, s runtime.Spec) {
	t.Helper()
	if err := r.Remove(t.Context(), s.Application.Name); err != nil {
		t.Fatal(err)
	}
}

// TestOwnDataOutliveTheirContainer: what an image keeps outside of the application's volume is there
// after a changed deploy, however the container is replaced.
func TestOwnDataOutliveTheirContainer(t *testing.T) {
	r, reopen := open(t)
	s := declaring(t, "/cache")
	put(t, create(t, r, s), "/cache/file", "precious")

	s.Application.Environment = map[string]string{"CHANGED": "1"}
	if got := get(t, create(t, r, s), "/cache/file"); got != "precious" {
		t.Errorf("after another container took its place: %q", got)
	}
	remove(t, r, s)
	kept, err := r.Keeps(t.Context(), s.Application)
	if err != nil || !slices.Equal(kept, []string{"/cache"}) {
		t.Errorf("between two containers it keeps %v, %v", kept, err)
	}
	aside := func() []cluster.Kept {
		t.Helper()
		all, err := r.Aside(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(all, func(k cluster.Kept) bool { return k.Application != s.Application.Name })
	}
	if got := aside(); len(got) != 1 || got[0].Path != "/cache" || got[0].Volume == "" {
		t.Errorf("between two containers %+v is set aside", got)
	}
	r.Close()
	r = reopen()
	if got := get(t, create(t, r, s), "/cache/file"); got != "precious" {
		t.Errorf("after it was removed, and made by another agent: %q", got)
	}
	if got := aside(); len(got) != 0 {
		t.Errorf("%+v is set aside while its container is there", got)
	}
	remove(t, r, s)
}

// TestOwnDataOfAnEarlierVersion: containers were made with volumes of the engine's own naming.
func TestOwnDataOfAnEarlierVersion(t *testing.T) {
	r, _ := open(t)
	s := declaring(t, "/cache")
	id := create(t, r, s)
	labels := strings.Split(engine(t, "inspect", "--format", `{{range $k, $v := .Config.Labels}}{{if ne $k "drover.scratch"}}{{$k}}={{$v}}{{"\n"}}{{end}}{{end}}`, id), "\n")
	name := strings.TrimPrefix(engine(t, "inspect", "--format", "{{.Name}}", id), "/")
	engine(t, "rm", id)
	args := []string{"create", "--name", name}
	for _, label := range labels {
		args = append(args, "--label", label)
	}
	put(t, engine(t, append(args, s.Application.Image, "/app", "serve")...), "/cache/file", "precious")

	seen, err := r.Instances(t.Context())
	if err != nil || len(seen) != 1 || !slices.Equal(seen[0].Keeps, []string{"/cache"}) {
		t.Errorf("it keeps %+v, %v", seen, err)
	}
	for n := range 2 { // the second time it has been given its name
		remove(t, r, s)
		if got := get(t, create(t, r, s), "/cache/file"); got != "precious" {
			t.Errorf("in container %d after it: %q", n+1, got)
		}
	}
	unnamed := engine(t, "inspect", "--format", "{{range .Mounts}}{{.Name}}{{end}}", container(t, s))
	remove(t, r, s)
	want := cluster.Kept{Application: s.Application.Name, Path: "/cache", Volume: unnamed}
	if aside, err := r.Aside(t.Context()); err != nil || !slices.Contains(aside, want) {
		t.Errorf("set aside is %+v, %v, want %+v among it", aside, err, want)
	}
	engine(t, "volume", "rm", unnamed)
}

// TestWhatAnApplicationKeeps: which of its image's volumes are its own data, and which are not.
func TestWhatAnApplicationKeeps(t *testing.T) {
	r, _ := open(t)
	for _, row := range []struct {
		rule, declares, mountpoint string
		scratch, want              []string
	}{
		{"one, and no volume", `["/cache"]`, "", nil, []string{"/cache"}},
		{"its volume is mounted there", `["/data/"]`, "/data", nil, nil},
		{"its volume is mounted above, which covers nothing", `["/var/lib/db"]`, "/var/lib", nil, []string{"/var/lib/db"}},
		{"one more beside its volume", `["/data", "/cache"]`, "/data", nil, []string{"/cache"}},
		{"one that may be lost", `["/data", "/cache"]`, "/data", []string{"/cache"}, nil},
	} {
		t.Run(row.rule, func(t *testing.T) {
			s := declaring(t, row.declares)
			if s.Application.Scratch = row.scratch; row.mountpoint != "" {
				s.Application.Volume, s.VolumePath = &cluster.Attachment{Volume: "v", Mountpoint: row.mountpoint}, t.TempDir()
			}
			create(t, r, s)
			seen, err := r.Instances(t.Context())
			kept, err2 := r.Keeps(t.Context(), s.Application)
			if err != nil || err2 != nil || len(seen) != 1 || !slices.Equal(seen[0].Keeps, row.want) || !slices.Equal(kept, row.want) {
				t.Errorf("seen %+v, kept %v, want %v; %v, %v", seen, kept, row.want, err, err2)
			}
			remove(t, r, s)
		})
	}
}

// TestScratchGoesWithItsContainer: what may be lost is not kept for ever.
func TestScratchGoesWithItsContainer(t *testing.T) {
	r, _ := open(t)
	s := declaring(t, "/cache")
	s.Application.Scratch = []string{"/cache"}
	create(t, r, s)
	name := engine(t, "inspect", "--format", "{{range .Mounts}}{{.Name}}{{end}}", container(t, s))
	remove(t, r, s)
	if out, err := exec.Command("/usr/bin/docker", "volume", "inspect", name).CombinedOutput(); name == "" || err == nil {
		t.Errorf("volume %q is still there: %s", name, out)
	}
}
