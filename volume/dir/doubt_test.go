package dir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// TestAReplicaThatIsFoundChangedIsSaidToBe by its owner, with a way to go on from it.
func TestAReplicaThatIsFoundChangedIsSaidToBe(t *testing.T) {
	p := newPair(t)
	p.must(os.WriteFile(filepath.Join(p.src, "file"), []byte("one"), 0o600))
	p.must(p.from.Close(t.Context(), p.id))
	p.pass()
	p.must(os.WriteFile(filepath.Join(p.dst, "more"), []byte("two"), 0o600))
	if _, err := p.to.Open(t.Context(), p.id, 2, head(t, p)); !errors.Is(err, cluster.ErrConflict) {
		t.Fatalf("got %v, want ErrConflict", err)
	}
	held, err := volume.Find(t.Context(), p.to, p.id)
	if err != nil || held.Lost == "" || held.Mend == "" {
		t.Errorf("it is shown as %+v, %v", held, err)
	}
	p.must(os.WriteFile(filepath.Join(filepath.Dir(p.dst), "accept"), nil, 0o600))
	if held, err = volume.Find(t.Context(), p.to, p.id); err != nil || held.Lost != "" || held.Head != head(t, p) || held.Accepted == nil || held.Accepted.Head != held.Head {
		t.Errorf("once it is accepted it is shown as %+v, %v", held, err)
	}
	_, err = p.to.Open(t.Context(), p.id, 2, head(t, p))
	p.must(err)
}
