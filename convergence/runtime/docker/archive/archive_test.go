package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
)

const (
	wanted = "db:1"
	id     = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// An entry is one of an archive: a regular file with that text unless it says otherwise.
type entry struct {
	name, text, link string
	kind             byte
	pax              map[string]string
}

func archiveOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Mode: 0o600, PAXRecords: e.pax, Size: int64(len(e.text))}
		if e.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func manifest(tags string) entry {
	return entry{name: "manifest.json", text: `[{"Config":"blobs/sha256/` + id + `","RepoTags":[` + tags + `],"Layers":["` + id + `/layer.tar"],"Else":"x"}]`}
}

// TestSift: one row, one thing that an archive may hold or not.
func TestSift(t *testing.T) {
	for _, row := range []struct {
		rule    string
		entry   entry
		refused string // what the error names; empty: it passes
	}{
		{"the wanted name", manifest(`"db:1"`), ""},
		{"the wanted name, in full", manifest(`"docker.io/library/db:1"`), ""},
		{"no name at all", manifest(``), ""},
		{"another name beside it", manifest(`"db:1","victim:1"`), "victim:1"},
		{"the name, spelled in another case", entry{name: "manifest.json", text: `[{"repotags":["victim:1"]}]`}, "victim:1"},
		{"a name given twice", entry{name: "manifest.json", text: `[{"RepoTags":["db:1"],"repoTags":["victim:1"]}]`}, "victim:1"},
		{"a name that is none", manifest(`"../../x"`), "../../x"},
		{"no JSON", entry{name: "manifest.json", text: `[`}, "manifest.json"},
		{"more names than there can be", entry{name: "manifest.json", text: strings.Repeat(" ", maxNames+1)}, "manifest.json"},
		{"old engines' names", entry{name: "repositories", text: `{"db":{"1":"` + id + `"}}`}, ""},
		{"another tag there", entry{name: "repositories", text: `{"db":{"1":"` + id + `","2":"` + id + `"}}`}, "db:2"},
		{"OCI's names", entry{name: "index.json", text: `{"manifests":[{"annotations":{"io.containerd.image.name":"docker.io/library/db:1","org.opencontainers.image.ref.name":"1"}}]}`}, ""},
		{"another image there", entry{name: "index.json", text: `{"manifests":[{"annotations":{"io.containerd.image.name":"victim:1"}}]}`}, "victim:1"},
		{"another image there, by its other name", entry{name: "index.json", text: `{"manifests":[{"annotations":{"org.opencontainers.image.ref.name":"victim:1"}}]}`}, "victim:1"},
		{"a blob", entry{name: "blobs/sha256/" + id, text: "content"}, ""},
		{"a layer", entry{name: id + "/layer.tar", text: "content"}, ""},
		{"a layer shared by a link", entry{name: id + "/layer.tar", kind: tar.TypeSymlink, link: "../" + id + "/layer.tar"}, ""},
		{"a directory", entry{name: id + "/", kind: tar.TypeDir}, ""},
		{"another file", entry{name: "etc/passwd"}, "etc/passwd"},
		{"names under another path", entry{name: "./manifest.json", text: "[]"}, "./manifest.json"},
		{"names reached through a link", entry{name: "manifest.json", kind: tar.TypeSymlink, link: "oci-layout"}, "manifest.json"},
		{"a hard link", entry{name: id + "/layer.tar", kind: tar.TypeLink, link: "/etc/shadow"}, "layer.tar"},
		{"a link out of the archive", entry{name: id + "/layer.tar", kind: tar.TypeSymlink, link: "../../layer.tar"}, "layer.tar"},
		{"a directory that is a link", entry{name: id, kind: tar.TypeSymlink, link: "."}, id},
		{"a device", entry{name: id + "/json", kind: tar.TypeBlock}, "json"},
		{"extended attributes are left behind", entry{name: id + "/json", pax: map[string]string{"SCHILY.xattr.user.x": "y"}}, ""},
	} {
		stream := bytes.NewReader(append(archiveOf(t, row.entry), "after the end"...))
		var passed bytes.Buffer
		err := Sift(&passed, stream, wanted)
		if row.refused == "" {
			if err != nil || stream.Len() > 0 {
				t.Errorf("%s: %v; %d bytes were left", row.rule, err, stream.Len())
			}
			continue
		}
		if !errors.Is(err, cluster.ErrRefused) || !strings.Contains(err.Error(), row.refused) {
			t.Errorf("%s: got %v, want ErrRefused that names %s", row.rule, err, row.refused)
		}
		if h, err := tar.NewReader(&passed).Next(); err == nil {
			t.Errorf("%s: %s was passed on", row.rule, h.Name)
		}
	}
	twice := archiveOf(t, manifest(`"db:1"`), manifest(`"db:1"`))
	if err := Sift(io.Discard, bytes.NewReader(twice), wanted); !errors.Is(err, cluster.ErrRefused) {
		t.Errorf("a list of names that is there twice: got %v, want ErrRefused", err)
	}
}

// TestWhatIsCutOffIsNotComplete: an engine must not take a part for the whole.
func TestWhatIsCutOffIsNotComplete(t *testing.T) {
	whole := archiveOf(t, manifest(`"db:1"`), entry{name: id + "/layer.tar", text: strings.Repeat("x", 5000)})
	if err := Sift(io.Discard, bytes.NewReader(whole[:4000]), wanted); err == nil {
		t.Error("a part passed")
	}
}

// FuzzSift: whatever comes, what passes names the wanted image alone, to another reader too.
func FuzzSift(f *testing.F) {
	f.Add(archiveOf(f, manifest(`"db:1"`), entry{name: id + "/layer.tar", text: "content"}))
	f.Add(archiveOf(f, entry{name: "repositories", text: `{"db":{"1":"x"}}`}, entry{name: "index.json", text: `{"manifests":[{"annotations":{"io.containerd.image.name":"db:1"}}]}`}))
	f.Add(archiveOf(f, entry{name: id + "/layer.tar", kind: tar.TypeSymlink, link: "../" + id + "/layer.tar"}))
	f.Fuzz(func(t *testing.T, stream []byte) {
		var passed bytes.Buffer
		if Sift(&passed, bytes.NewReader(stream), wanted) != nil {
			return
		}
		once := bytes.Clone(passed.Bytes())
		var again bytes.Buffer
		if err := Sift(&again, &passed, wanted); err != nil || !bytes.Equal(once, again.Bytes()) {
			t.Errorf("what has passed does not pass again, or not as it is: %v", err)
		}
	})
}

// FuzzEntry is FuzzSift for archives that are well made.
func FuzzEntry(f *testing.F) {
	f.Add("manifest.json", `[{"Config":"x","RepoTags":["db:1"],"Layers":["y"]}]`, "", byte(tar.TypeReg))
	f.Add("repositories", `{"db":{"1":"x"}}`, "", byte(tar.TypeReg))
	f.Add("index.json", `{"manifests":[{"digest":"x","annotations":{"org.opencontainers.image.ref.name":"db:1"},"platform":{}}]}`, "", byte(tar.TypeReg))
	f.Add(id+"/layer.tar", "", "../"+id+"/layer.tar", byte(tar.TypeSymlink))
	f.Fuzz(func(t *testing.T, name, text, link string, kind byte) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		h := &tar.Header{Name: name, Typeflag: kind, Linkname: link}
		if kind == tar.TypeReg {
			h.Size = int64(len(text))
		}
		if w.WriteHeader(h) != nil {
			return
		}
		w.Write([]byte(text))
		if w.Close() != nil {
			return
		}
		var passed, again bytes.Buffer
		if Sift(&passed, &b, wanted) != nil {
			return
		}
		once := bytes.Clone(passed.Bytes())
		if err := Sift(&again, &passed, wanted); err != nil || !bytes.Equal(once, again.Bytes()) {
			t.Errorf("what has passed does not pass again, or not as it is: %v", err)
		}
	})
}
