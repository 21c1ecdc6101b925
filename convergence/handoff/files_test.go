package handoff_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/mem"
	transfermem "github.com/drover/drover/volume/transfer/mem"
)

// A native backend has a stream of its own beside the one of files, of which it knows the digest.
type native struct {
	*mem.Backend
	digest string
}

func (n native) Properties() volume.Properties {
	p := n.Backend.Properties()
	p.Proof = "the lineage of the snapshot"
	return p
}

func (n native) Copies(ctx context.Context) ([]volume.Copy, error) {
	copies, err := n.Backend.Copies(ctx)
	for _, c := range copies {
		for i := range c.Snapshots {
			c.Snapshots[i].Digest = n.digest
		}
	}
	return copies, err
}

// TestABaseThatCameByFilesIsBuiltOnByFiles: the volume is not shipped in full for it.
func TestABaseThatCameByFilesIsBuiltOnByFiles(t *testing.T) {
	for _, row := range []struct {
		rule  string
		files error // of a difference by files
		want  []string
	}{
		{"where that works", nil, []string{"shared native", "shared files", "1 files"}},
		{"and in full where it does not", fmt.Errorf("%w: no listing", cluster.ErrStale), []string{"shared native", "shared files", " native", "1 native"}},
		{"and in full where it cannot", fmt.Errorf("%w: files", cluster.ErrUnsupported), []string{"shared native", "shared files", " native", "1 native"}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			s, _ := sharing(t)
			s.h.Backend = native{Backend: s.from, digest: "abc"}
			var shipped []string
			s.h.Transport.(*transfermem.Transport).Fail = func(d volume.Delta) error {
				from, how := d.From, "native"
				if at := strings.LastIndexByte(string(from), '-'); at >= 0 {
					from = from[at+1:]
				}
				if d.Files {
					how = "files"
				}
				shipped = append(shipped, fmt.Sprint(from, " ", how))
				switch {
				case d.From == "shared" && !d.Files:
					return fmt.Errorf("%w: no parent", cluster.ErrStale)
				case d.Files:
					return row.files
				}
				return nil
			}
			if err := s.h.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := shipped[:min(len(row.want), len(shipped))]; !slices.Equal(got, row.want) {
				t.Errorf("shipped %q, want %q first", shipped, row.want)
			}
		})
	}
}

// TestWhatAMoveProved is in its figures when the commit is asked for.
func TestWhatAMoveProved(t *testing.T) {
	for _, row := range []struct {
		rule, target, want string
	}{
		{"by a stream of the backend's own", "mem", "the lineage of the snapshot"},
		{"file by file", "other", "sha256 abc over content, metadata and attributes, both sides"},
	} {
		s := newStage(t)
		s.h.Backend, s.h.Target.Backend = native{Backend: s.from, digest: "abc"}, row.target
		if err := s.h.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.proof != row.want {
			t.Errorf("%s: the proof is %q, want %q", row.rule, s.proof, row.want)
		}
	}
}
