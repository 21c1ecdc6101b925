package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// A lister says what has arrived, as a test says.
type lister struct {
	stub
	listing func() (io.ReadCloser, error)
	partial *volume.Partial
}

func (l lister) Listing(context.Context, cluster.VolumeID) (io.ReadCloser, error) { return l.listing() }

func (l lister) Copies(context.Context) ([]volume.Copy, error) {
	return []volume.Copy{{Volume: someVolume, Partial: l.partial}}, nil
}

const someVolume = "b1f3ba5e-77b7-4b0a-9e5e-0d3e4ce5a1b2"

func says(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

// TestWhoIsToldWhatHasArrived: a node that may ship that volume, and nobody else.
func TestWhoIsToldWhatHasArrived(t *testing.T) {
	read := func(t *testing.T, n *node, by *Transport) (string, error) {
		c, err := by.connect(t.Context(), n.node)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		f, err := c.sftp.Open(path.Join("/volumes", someVolume, "arrived"))
		if err != nil {
			return "", answered(err)
		}
		b, err := io.ReadAll(f)
		return string(b), answered(err)
	}
	b := lister{stub: stub{receive: discard}, listing: says("what has arrived")}
	n, user := two(t, b)
	if got, err := read(t, n, n.transport); err != nil || got != "what has arrived" {
		t.Errorf("a node is told %q, %v", got, err)
	}
	if _, err := read(t, n, user); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("a user: got %v, want ErrNotFound", err)
	}
	n.server.Permit = func(_ cluster.NodeID, d volume.Delta) (volume.Delta, error) {
		return d, fmt.Errorf("%w: no move brings volume %s", cluster.ErrForbidden, d.Volume)
	}
	if _, err := read(t, n, n.transport); !errors.Is(err, cluster.ErrForbidden) || !strings.Contains(err.Error(), someVolume) {
		t.Errorf("another node: got %v, want ErrForbidden with its reason", err)
	}
	n = serve(t, b.stub)
	if _, err := read(t, n, n.transport); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("of a backend that lists nothing: got %v, want ErrNotFound", err)
	}
	b.listing = func() (io.ReadCloser, error) { return nil, fmt.Errorf("%w: disk broken", cluster.ErrConflict) }
	n = serve(t, b)
	if _, err := read(t, n, n.transport); !errors.Is(err, cluster.ErrConflict) || !strings.Contains(err.Error(), "disk broken") {
		t.Errorf("of one that cannot: got %v, want its error", err)
	}
}

// TestWhatCannotBeGoneOnFromBeginsAnew: the target lost it meanwhile, or there is no room for it here.
func TestWhatCannotBeGoneOnFromBeginsAnew(t *testing.T) {
	part := &volume.Partial{To: "s1", Token: []byte("token"), Listed: true}
	for _, row := range []struct {
		rule    string
		listing func() (io.ReadCloser, error)
		spool   string
		partial *volume.Partial
	}{
		{"it is gone", func() (io.ReadCloser, error) { return nil, cluster.ErrNotFound }, "", part},
		{"it is of another transfer by now", func() (io.ReadCloser, error) { return nil, cluster.ErrStale }, "", part},
		{"there is no place for it here", says("x"), "/nowhere", part},
		{"there is none any more", says("x"), "", nil},
		{"its token is too long", says("x"), "", &volume.Partial{To: "s1", Token: make([]byte, volume.MaxToken+1), Listed: true}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			var got volume.Delta
			b := lister{listing: row.listing, partial: row.partial}
			b.receive = func(ctx context.Context, d volume.Delta, r io.Reader) error { got = d; return discard(ctx, d, r) }
			n := serve(t, b)
			n.transport.Spool = row.spool
			d := volume.Delta{Volume: someVolume, To: "s1", Resume: []byte("token")}
			if _, err := dial(t, n).Send(t.Context(), d, zeros(1000), transfer.Options{}); err != nil {
				t.Fatal(err)
			}
			if len(got.Resume) > 0 || got.To != "s1" {
				t.Errorf("the receiver was sent %+v", got)
			}
		})
	}
}

// TestAListingWithoutEndIsNotTaken: what a peer sends has an end here.
func TestAListingWithoutEndIsNotTaken(t *testing.T) {
	w := &spool{w: io.Discard, room: 1000}
	_, err := io.Copy(w, endlessReader{})
	var own *ownError
	if !errors.As(err, &own) || !errors.Is(own.error, cluster.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

type endlessReader struct{}

func (endlessReader) Read(p []byte) (int, error) { return len(p), nil }
