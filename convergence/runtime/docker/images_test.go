package docker_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime/docker"
	"github.com/drover/drover/convergence/runtime/runtimetest"
)

// save returns the engine's own archive of images.
func save(t *testing.T, names ...string) []byte {
	t.Helper()
	out, err := exec.Command("/usr/bin/docker", append([]string{"save"}, names...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestImagesAreCarried: what one engine saves, another loads. Here it is the same, that forgot.
func TestImagesAreCarried(t *testing.T) {
	r, _ := open(t)
	const carried = "drover-carried:1"
	engine(t, "tag", image, carried)
	var stream bytes.Buffer
	if err := r.SaveImage(t.Context(), carried, &stream); err != nil {
		t.Fatal(err)
	}
	engine(t, "rmi", carried)
	if has, err := r.HasImage(t.Context(), carried); has || err != nil {
		t.Fatalf("it is still there: %t, %v", has, err)
	}
	if err := r.LoadImage(t.Context(), carried, io.LimitReader(bytes.NewReader(stream.Bytes()), 10_000)); err == nil {
		t.Error("a part of an image was loaded")
	}
	if err := r.LoadImage(t.Context(), carried, &stream); err != nil {
		t.Fatal(err)
	}
	if has, err := r.HasImage(t.Context(), carried); !has || err != nil {
		t.Errorf("it is not there: %t, %v", has, err)
	}
	if stream.Len() > 0 {
		t.Errorf("%d bytes were not read: their sender waits", stream.Len())
	}
	engine(t, "rmi", carried)
}

// variant makes an image of the same files that is another one.
func variant(t *testing.T, name string, changes ...string) string {
	t.Helper()
	args := []string{"import"}
	for _, change := range changes {
		args = append(args, "--change", change)
	}
	cmd := exec.Command("/usr/bin/docker", append(args, "-", name)...)
	cmd.Stdin = bytes.NewReader(appTar(t))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestAnImageBringsNoOther: of what a peer sends, the engine gets the one image that is wanted, and
// no name that this node uses comes to mean something else.
func TestAnImageBringsNoOther(t *testing.T) {
	r, _ := open(t)
	const wanted, victim = "drover-wanted:1", "drover-victim:1"
	engine(t, "tag", variant(t, wanted, "ENV FROM=peer"), victim)
	both := save(t, wanted, victim)
	alone := save(t, wanted)
	engine(t, "rmi", wanted, victim)
	own := variant(t, victim, "ENV FROM=here")

	err := r.LoadImage(t.Context(), wanted, bytes.NewReader(both))
	if !errors.Is(err, cluster.ErrRefused) || !strings.Contains(err.Error(), victim) {
		t.Errorf("two images: got %v, want ErrRefused with the name of the other one", err)
	}
	if has, err := r.HasImage(t.Context(), wanted); has || err != nil {
		t.Errorf("the engine has got it: %t, %v", has, err)
	}
	if err := r.LoadImage(t.Context(), victim, bytes.NewReader(alone)); err != nil {
		t.Errorf("an image that is here: %v", err)
	}
	if err := r.LoadImage(t.Context(), "drover-other:1", bytes.NewReader(alone)); !errors.Is(err, cluster.ErrRefused) {
		t.Errorf("another image in place of the wanted one: got %v, want ErrRefused", err)
	}
	if is := engine(t, "image", "inspect", "--format", "{{.Id}}", victim); is != own {
		t.Errorf("%s is %s now, was %s", victim, is, own)
	}
	if err := r.LoadImage(t.Context(), "docker.io/library/"+wanted, bytes.NewReader(alone)); err != nil {
		t.Errorf("the same image by its full name: %v", err)
	}
	engine(t, "rmi", wanted, victim)
}

// TestTheImageOfSandboxesIsMadeAgain: whoever tidies up an engine removes what no container uses at the moment.
func TestTheImageOfSandboxesIsMadeAgain(t *testing.T) {
	program, err := os.ReadFile(filepath.Join(os.Getenv(hostVariable), "app"))
	if err != nil {
		t.Fatal(err)
	}
	program = append(program, "another one"...) // whose image no other test uses
	sandbox := filepath.Join(t.TempDir(), "sandbox")
	if err := os.WriteFile(sandbox, program, 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := docker.Open(t.Context(), docker.Options{Dir: t.TempDir(), Prefix: "tidy", Sandbox: sandbox})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := spec(runtimetest.ModeServe)
	remove := func() {
		t.Helper()
		if err := r.Remove(t.Context(), s.Application.Name); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	remove()
	sum := sha256.Sum256(program)
	engine(t, "rmi", fmt.Sprintf("drover-sandbox:%x", sum[:6]))
	if err := r.Create(t.Context(), s); err != nil {
		t.Errorf("after its image was removed: %v", err)
	}
	remove()
}
