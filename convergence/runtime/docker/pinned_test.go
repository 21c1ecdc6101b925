package docker_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime/runtimetest"
)

// registry serves an image of one layer from this host, or all but its configuration, and returns its name there, by its
// digest.
func registry(t *testing.T, name string, whole bool) (pinned string) {
	t.Helper()
	blobs := map[string][]byte{} // by digest
	part := func(mediaType string, content []byte) map[string]any {
		digest := fmt.Sprintf("sha256:%x", sha256.Sum256(content))
		blobs[digest] = content
		return map[string]any{"mediaType": mediaType, "size": len(content), "digest": digest}
	}
	const docker = "application/vnd.docker."
	manifest := map[string]any{"schemaVersion": 2, "mediaType": docker + "distribution.manifest.v2+json"}
	for in := tar.NewReader(bytes.NewReader(save(t, name))); ; {
		header, err := in.Next()
		if err == io.EOF {
			break
		}
		content, err2 := io.ReadAll(in)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasSuffix(header.Name, "/layer.tar"):
			manifest["layers"] = []any{part(docker+"image.rootfs.diff.tar.gzip", content)}
		case len(header.Name) == 64+len(".json") && strings.HasSuffix(header.Name, ".json"):
			config := part(docker+"container.image.v1+json", content)
			manifest["config"] = config
			if !whole {
				delete(blobs, config["digest"].(string))
			}
		}
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	digest := part("", text)["digest"].(string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, there := blobs[path.Base(r.URL.Path)]
		switch {
		case r.URL.Path == "/v2/":
		case !there:
			http.NotFound(w, r)
		default:
			if strings.Contains(r.URL.Path, "/manifests/") {
				w.Header().Set("Content-Type", manifest["mediaType"].(string))
			}
			w.Write(content)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://") + "/pinned@" + digest
}

// TestAnImageOfWhichAPartIsMissingIsNotHere, although the registry has begun to send it.
func TestAnImageOfWhichAPartIsMissingIsNotHere(t *testing.T) {
	r, _ := open(t)
	variant(t, "drover-part:1", "ENV PART=yes")
	pinned := registry(t, "drover-part:1", false)
	engine(t, "rmi", "drover-part:1")
	if err := r.EnsureImage(t.Context(), pinned); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

// TestAPinnedImageIsCarried: one that is named by its digest has no other name in what an engine saves.
func TestAPinnedImageIsCarried(t *testing.T) {
	r, _ := open(t)
	variant(t, "drover-pinned:1", "ENV PINNED=yes")
	pinned := registry(t, "drover-pinned:1", true)
	engine(t, "rmi", "drover-pinned:1")
	err := r.EnsureImage(t.Context(), pinned)
	for range 10 { // the runtime under test has little patience with registries
		if err != nil {
			err = r.EnsureImage(t.Context(), pinned)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	if err := r.SaveImage(t.Context(), pinned, &stream); err != nil {
		t.Fatal(err)
	}
	engine(t, append([]string{"rmi"}, strings.Fields(engine(t, "images", "drover-carried", "--format", "{{.Repository}}:{{.Tag}}"))...)...)
	engine(t, "rmi", pinned)
	if has, err := r.HasImage(t.Context(), pinned); has || err != nil {
		t.Fatalf("it is still there: %t, %v", has, err)
	}
	if err := r.LoadImage(t.Context(), pinned, &stream); err != nil {
		t.Error(err)
	}
	if has, err := r.HasImage(t.Context(), pinned); !has || err != nil {
		t.Errorf("it is not there: %t, %v", has, err)
	}
	// And it runs.
	s := spec(runtimetest.ModeServe)
	s.Application.Image = pinned
	if err := errors.Join(r.Create(t.Context(), s), r.Start(t.Context(), s.Application.Name)); err != nil {
		t.Error(err)
	}
	if err := errors.Join(r.Kill(t.Context(), s.Application.Name), r.Remove(t.Context(), s.Application.Name)); err != nil {
		t.Error(err)
	}
}
