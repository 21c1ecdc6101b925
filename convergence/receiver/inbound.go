package receiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
)

// Inbound is the backend as the transfer server is given it: what is set aside for a stream is
// reported, not only kept.
func (r *Receiver) Inbound() volume.Backend { return inbound{r.Backend, r} }

type inbound struct {
	volume.Backend
	receiver *Receiver
}

// easeAfter is the time from a transfer until the memory that it took is given back: no round of a move
// that is under way waits for that.
const easeAfter = 5 * time.Second

// Ease gives the memory that transfers took back to the host, once they are over: the runtime
// itself keeps it for long, and applications want it.
func (r *Receiver) Ease() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ease == nil {
		r.ease = time.AfterFunc(easeAfter, debug.FreeOSMemory)
		return
	}
	r.ease.Reset(easeAfter)
}

// Unwrap implements volume.Wrapper.
func (in inbound) Unwrap() volume.Backend { return in.Backend }

// Receive implements volume.Backend. A round that has filled the disk is refused, though it is there: the source
// commits to what it is told, and then nothing could start here.
func (in inbound) Receive(ctx context.Context, d volume.Delta, stream io.Reader) error {
	defer in.receiver.Ease()
	err := in.Backend.Receive(ctx, d, stream)
	if err == nil {
		return in.receiver.roomToStart(ctx)
	}
	var diverged *volume.Diverged
	if errors.As(err, &diverged) {
		in.receiver.Record(ctx, cluster.Event{Kind: "diverged", Volume: d.Volume,
			Message: fmt.Sprintf("the replica on %s has writes of its own: %v", in.receiver.Node.Name, diverged)})
	}
	return err
}
