package dir

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// TestARemovalDoesNotWaitForATransfer: a Remove that was decided before a transfer came (the grace of a former owner is over) acts after it.
func TestARemovalDoesNotWaitForATransfer(t *testing.T) {
	p := newPair(t)
	p.must(os.WriteFile(filepath.Join(p.src, "file"), []byte("content"), 0o600))
	p.pass()
	p.must(os.WriteFile(filepath.Join(p.src, "file"), []byte("newer content"), 0o600))
	p.must(p.from.Close(t.Context(), p.id))
	d := volume.Delta{Volume: p.id, From: p.last, To: "final"}
	_, err := p.from.Snapshot(t.Context(), p.id, d.To, false)
	p.must(err)
	var stream bytes.Buffer
	p.must(p.from.Send(t.Context(), d, &stream))
	r, w := io.Pipe()
	received, removed := make(chan error, 1), make(chan error, 1)
	go func() { received <- p.to.Receive(t.Context(), d, r) }()
	w.Write(stream.Next(100))
	time.Sleep(100 * time.Millisecond)
	go func() { removed <- p.to.Remove(t.Context(), p.id) }()
	time.Sleep(100 * time.Millisecond)
	io.Copy(w, &stream)
	w.Close()
	p.must(<-received) // confirmed: the move commits
	if err := <-removed; !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("remove: got %v, want ErrConflict", err)
	}
	if _, err := p.to.Open(t.Context(), p.id, 2, head(t, p)); err != nil {
		t.Errorf("what was confirmed cannot be opened: %v", err)
	}
}

func head(t *testing.T, p *pair) string {
	held, err := volume.Find(t.Context(), p.from, p.id)
	p.must(err)
	return held.Head
}
