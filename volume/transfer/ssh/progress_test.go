package ssh

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

type tokens struct {
	lister
	attempts *atomic.Int64
}

func (l tokens) Copies(context.Context) ([]volume.Copy, error) {
	// dir makes a new token whenever a stream begins, whatever comes of it.
	return []volume.Copy{{Volume: someVolume, Partial: &volume.Partial{To: "s1", Token: []byte(fmt.Sprint(l.attempts.Load())), Listed: true}}}, nil
}

// TestATokenAloneIsNoProgress: attempts of which nothing arrives have an end.
func TestATokenAloneIsNoProgress(t *testing.T) {
	var attempts atomic.Int64
	b := tokens{lister{listing: says("the same as before")}, &attempts}
	b.receive = func(ctx context.Context, d volume.Delta, r io.Reader) error {
		io.ReadFull(r, make([]byte, 100)) // the header
		attempts.Add(1)
		return fmt.Errorf("%w: the stream was cut", cluster.ErrUnavailable)
	}
	n := serve(t, b)
	n.transport.pause = time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	_, err := dial(t, n).Send(ctx, volume.Delta{Volume: someVolume, To: "s1"}, zeros(1000), transfer.Options{})
	if ctx.Err() != nil {
		t.Errorf("%d attempts came to nothing, and it goes on: %v", attempts.Load(), err)
	}
}
