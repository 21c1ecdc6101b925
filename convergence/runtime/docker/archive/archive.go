// Package archive lets one image through of the archive that a peer sends.
//
//	err := archive.Sift(w, stream, "db:1")
//
// An image archive is what an engine saves and loads. A peer that may bring one image must not
// bring another one with it, nor give a name that this node knows to something else. So nothing
// reaches the engine but what is known to belong in there, and nothing that names an image but in
// the words of this package:
//
//	blobs/sha256/<digest>, <id>/layer.tar ...    passed on; the engine checks them by their digests
//	manifest.json, index.json, repositories      what is called how: read, held against the one
//	                                             name that is wanted, and written anew
//
// The package does not look into layers: what is in an image is the business of whoever runs it.
package archive

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/distribution/reference"

	"github.com/drover/drover/cluster"
)

const (
	// maxNames bounds each of the files that name images; the engine's own are a few KiB.
	maxNames = 1 << 20
	// linkName is what old engines share by links between layers.
	linkName = "layer.tar"
)

// content matches the names of what is passed on: of the archives of OCI, and of older ones.
var content = regexp.MustCompile(`^(oci-layout|blobs|blobs/[a-z0-9]+|blobs/[a-z0-9]+/[0-9a-f]{32,128}|[0-9a-f]{64}(\.json|/json|/VERSION|/layer\.tar)?)$`)

// Sift copies an image archive, if it is one of the wanted image alone. Anything else in it is
// cluster.ErrRefused, by its name, before the archive is complete, and so before an engine acts on
// it. It reads the stream to its end, and holds no more of it than the files that name images.
func Sift(w io.Writer, archive io.Reader, wanted string) error {
	in, out := tar.NewReader(archive), tar.NewWriter(w)
	seen := map[string]bool{}
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read an image archive: %w", err)
		}
		if err := siftEntry(out, in, header, wanted, seen); err != nil {
			return fmt.Errorf("image archive: %s: %w", shorten(header.Name), err)
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, archive)
	return err
}

func siftEntry(out *tar.Writer, in io.Reader, header *tar.Header, wanted string, seen map[string]bool) error {
	name := strings.TrimSuffix(header.Name, "/")
	if write, named := names[name]; named {
		if header.Typeflag != tar.TypeReg || seen[name] {
			return fmt.Errorf("%w: it is there twice, or is no file", cluster.ErrRefused)
		}
		seen[name] = true
		return siftNames(out, in, name, wanted, write)
	}
	if !content.MatchString(name) {
		return fmt.Errorf("%w: it is no part of an image", cluster.ErrRefused)
	}
	// Not the header as it came: what it may say besides, nobody reads in the same way.
	clean := &tar.Header{Name: name, Typeflag: header.Typeflag, Mode: 0o644}
	switch header.Typeflag {
	case tar.TypeDir:
		clean.Name, clean.Mode = name+"/", 0o755
	case tar.TypeSymlink:
		target := path.Join(path.Dir(name), header.Linkname)
		if path.Base(name) != linkName || path.Base(target) != linkName || !content.MatchString(target) {
			return fmt.Errorf("%w: it is a link to %s", cluster.ErrRefused, shorten(header.Linkname))
		}
		clean.Linkname = header.Linkname
	case tar.TypeReg:
		for key := range header.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse") {
				return fmt.Errorf("%w: it has holes", cluster.ErrRefused)
			}
		}
		clean.Size = header.Size
	default:
		return fmt.Errorf("%w: it is neither a file nor a directory", cluster.ErrRefused)
	}
	if err := out.WriteHeader(clean); err != nil {
		return err
	}
	_, err := io.Copy(out, in)
	return err
}

// names are the files of an archive that name images, and how each is read and written anew.
var names = map[string]func(text []byte, allow func(name string) error) ([]byte, error){
	"manifest.json": siftManifest, "index.json": siftIndex, "repositories": siftRepositories,
}

func siftNames(out *tar.Writer, in io.Reader, name, wanted string, write func([]byte, func(string) error) ([]byte, error)) error {
	text, err := io.ReadAll(io.LimitReader(in, maxNames+1))
	if err != nil {
		return err
	}
	if len(text) > maxNames {
		return fmt.Errorf("%w: it is larger than %d bytes", cluster.ErrRefused, maxNames)
	}
	text, err = write(text, func(name string) error {
		if !sameImage(name, wanted) {
			return fmt.Errorf("%w: it brings image %s, only %s is wanted", cluster.ErrRefused, shorten(name), wanted)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}); err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

// siftManifest is for the list of images that engines read first.
func siftManifest(text []byte, allow func(string) error) ([]byte, error) {
	var images []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	return anew(text, &images, func() error {
		for _, image := range images {
			for _, tag := range image.RepoTags {
				if err := allow(tag); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// siftRepositories is for the list of tags of old engines: {"db": {"1": "<id>"}}.
func siftRepositories(text []byte, allow func(string) error) ([]byte, error) {
	var repositories map[string]map[string]string
	return anew(text, &repositories, func() error {
		for repository, tags := range repositories {
			for tag := range tags {
				if err := allow(repository + ":" + tag); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

const (
	annotationName = "io.containerd.image.name"
	annotationTag  = "org.opencontainers.image.ref.name"
)

// siftIndex is for the list of images of an OCI archive. Of its annotations only the name is kept.
func siftIndex(text []byte, allow func(string) error) ([]byte, error) {
	var index struct {
		SchemaVersion int    `json:"schemaVersion"`
		MediaType     string `json:"mediaType,omitempty"`
		Manifests     []struct {
			MediaType   string            `json:"mediaType"`
			Digest      string            `json:"digest"`
			Size        int64             `json:"size"`
			Annotations map[string]string `json:"annotations,omitempty"`
			Platform    json.RawMessage   `json:"platform,omitempty"`
		} `json:"manifests"`
	}
	return anew(text, &index, func() error {
		for i, manifest := range index.Manifests {
			name, tag := manifest.Annotations[annotationName], manifest.Annotations[annotationTag]
			index.Manifests[i].Annotations = nil
			if name == "" && tag == "" {
				continue
			}
			if name == "" {
				name = tag // a whole name then: without one engines make it of the tag
			}
			if err := allow(name); err != nil {
				return err
			}
			index.Manifests[i].Annotations = map[string]string{annotationName: name}
		}
		return nil
	})
}

// anew reads JSON, lets it be checked, and writes what was understood.
func anew(text []byte, into any, check func() error) ([]byte, error) {
	if err := json.Unmarshal(text, into); err != nil {
		return nil, fmt.Errorf("%w: %w", cluster.ErrRefused, err)
	}
	if err := check(); err != nil {
		return nil, err
	}
	return json.Marshal(into)
}

// sameImage reports whether two names are of one image, as db and docker.io/library/db:latest are.
func sameImage(a, b string) bool {
	x, err := reference.ParseNormalizedNamed(a)
	y, err2 := reference.ParseNormalizedNamed(b)
	return err == nil && err2 == nil && reference.TagNameOnly(x).String() == reference.TagNameOnly(y).String()
}

// shorten bounds what of a stranger's words goes into an error.
func shorten(s string) string {
	const enough = 200
	if len(s) > enough {
		s = s[:enough] + "..."
	}
	return fmt.Sprintf("%q", s)
}
