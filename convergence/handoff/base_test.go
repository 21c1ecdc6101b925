package handoff_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/mem"
	"github.com/drover/drover/volume/transfer"
	transfermem "github.com/drover/drover/volume/transfer/mem"
)

// A marking backend has one snapshot as a base only: a difference can build on it, and that is all.
type marking struct {
	*mem.Backend
	mark    cluster.SnapshotName
	dropped []cluster.SnapshotName
}

func (m *marking) Copies(ctx context.Context) ([]volume.Copy, error) {
	copies, err := m.Backend.Copies(ctx)
	for i := range copies {
		isMark := func(s cluster.Snapshot) bool { return s.Name == m.mark }
		if at := slices.IndexFunc(copies[i].Snapshots, isMark); at >= 0 {
			copies[i].Bases = []cluster.Snapshot{copies[i].Snapshots[at]}
			copies[i].Snapshots = slices.DeleteFunc(copies[i].Snapshots, isMark)
		}
	}
	return copies, err
}

func (m *marking) Drop(ctx context.Context, id cluster.VolumeID, name cluster.SnapshotName) error {
	m.dropped = append(m.dropped, name)
	return m.Backend.Drop(ctx, id, name)
}

// A cutOff backend has part of a round, and refuses to go on with it as often as it is asked.
type cutOff struct {
	*mem.Backend
	part   volume.Partial
	goesOn bool // it takes what is resumed, once
}

func (c *cutOff) Copies(ctx context.Context) ([]volume.Copy, error) {
	copies, err := c.Backend.Copies(ctx)
	for i := range copies {
		if c.part.To != "" {
			copies[i].Partial = &c.part
		}
	}
	return copies, err
}

func (c *cutOff) Receive(ctx context.Context, d volume.Delta, r io.Reader) error {
	if c.goesOn && len(d.Resume) > 0 {
		c.part, d.Resume = volume.Partial{}, nil
	}
	if len(d.Resume) > 0 {
		return fmt.Errorf("%w: the token fits nothing", cluster.ErrStale)
	}
	return c.Backend.Receive(ctx, d, r)
}

// sharing is a stage where the target holds the snapshot "shared", and where what is shipped is
// noted.
func sharing(t *testing.T) (s *stage, shipped *[]string) {
	t.Helper()
	s, shipped = newStage(t), new([]string)
	if _, err := s.from.Snapshot(t.Context(), id, "shared", false); err != nil {
		t.Fatal(err)
	}
	transport := s.h.Transport.(*transfermem.Transport)
	session, err := transport.Dial(t.Context(), s.h.Target)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if _, err := session.Send(t.Context(), volume.Delta{Volume: id, To: "shared"}, s.from, transfer.Options{}); err != nil {
		t.Fatal(err)
	}
	transport.Fail = func(d volume.Delta) error {
		text := strings.TrimPrefix(d.String(), string(id))
		if len(d.Resume) > 0 {
			text += " resumed"
		}
		*shipped = append(*shipped, text)
		return nil
	}
	return s, shipped
}

func TestABaseWithoutContentIsBuiltOnAndNotDropped(t *testing.T) {
	s, shipped := sharing(t)
	source := &marking{Backend: s.from, mark: "shared"}
	s.h.Backend = source
	if err := s.h.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if first := (*shipped)[0]; !strings.HasPrefix(first, "@shared..") {
		t.Errorf("the first round was %s, want one that builds on the base", first)
	}
	if slices.Contains(source.dropped, "shared") {
		t.Error("a base was dropped as if it were a snapshot")
	}
}

func TestARoundWhoseTokenIsOfNoUseIsShippedAnew(t *testing.T) {
	for _, row := range []struct {
		rule string
		part volume.Partial
		want []string
	}{
		{"as a difference", volume.Partial{From: "shared", To: "cut", Token: []byte("t")}, []string{"@shared..cut resumed", "@shared..cut"}},
		{"as a whole", volume.Partial{To: "cut", Token: []byte("t")}, []string{"@cut resumed", "@shared..cut"}},
		{"not at all without its snapshot", volume.Partial{From: "shared", To: "gone", Token: []byte("t")}, []string{"@shared..move-12345678-1-1"}},
		{"not at all without its base", volume.Partial{From: "gone", To: "cut", Token: []byte("t")}, []string{"@shared..move-12345678-1-1"}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			s, shipped := sharing(t)
			if _, err := s.from.Snapshot(t.Context(), id, "cut", false); err != nil {
				t.Fatal(err)
			}
			s.h.Transport.(*transfermem.Transport).Nodes["b"] = &cutOff{Backend: s.to, part: row.part}
			if err := s.h.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := (*shipped)[:len(row.want)]; !slices.Equal(got, row.want) {
				t.Errorf("shipped %q, want %q first", got, row.want)
			}
		})
	}
}
