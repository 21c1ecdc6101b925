package ssh

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/mem"
	"github.com/drover/drover/volume/transfer"
)

// TestGoesOnAfterCuts ships over connections that break again and again after some bytes: more
// often than would be tried if nothing arrived in between.
func TestGoesOnAfterCuts(t *testing.T) {
	const size, cuts = 24 << 20, maxFruitless + 4
	target := openDir(t)
	n := serve(t, target)
	r := newRelay(t, n, func(connection int) fate {
		if connection > cuts {
			return fate{}
		}
		return fate{cut: 1<<20 + rand.Int64N(1<<20)}
	})
	from, id := source(t, size)
	d := volume.Delta{Volume: id, To: "s1"}
	if err := send(t, n, from, d); err != nil {
		t.Fatal(err)
	}
	held, err := volume.Find(t.Context(), target, id)
	if err != nil || held.Partial != nil || len(held.Snapshots) != 1 {
		t.Fatalf("the target holds %+v: %v", held, err)
	}
	if made := r.connections(); made != cuts+1 {
		t.Errorf("%d connections were made, want %d", made, cuts+1)
	}
	if n := r.bytes.Load(); n > size*2 {
		t.Errorf("%d bytes were carried for %d: transfers start over", n, size)
	}
}

func TestGoesOnAfterACutOfADifference(t *testing.T) {
	target := openDir(t)
	n := serve(t, target)
	from, id := source(t, 1<<20)
	if err := send(t, n, from, volume.Delta{Volume: id, To: "s1"}); err != nil {
		t.Fatal(err)
	}
	addFile(t, from, id, 8<<20)
	r := newRelay(t, n, func(connection int) fate { return fate{cut: int64(connection) * 3 << 20} })
	if err := send(t, n, from, volume.Delta{Volume: id, From: "s1", To: "s2"}); err != nil {
		t.Fatal(err)
	}
	held, err := volume.Find(t.Context(), target, id)
	if err != nil || held.Partial != nil || held.Snapshots[len(held.Snapshots)-1].Name != "s2" {
		t.Fatalf("the target holds %+v: %v", held, err)
	}
	if made := r.connections(); made < 2 {
		t.Errorf("%d connections were made: nothing was cut", made)
	}
}

func TestABitThatTurnedOverIsNoticed(t *testing.T) {
	target := openDir(t)
	n := serve(t, target)
	r := newRelay(t, n, func(connection int) fate {
		if connection == 1 {
			return fate{flip: 2 << 20}
		}
		return fate{}
	})
	from, id := source(t, 4<<20)
	if err := send(t, n, from, volume.Delta{Volume: id, To: "s1"}); err != nil {
		t.Fatal(err)
	}
	if r.connections() < 2 {
		t.Error("it was not")
	}
}

// TestTheAnswerIsLost cuts the connection when the target has everything but could not say so:
// nothing is sent twice.
func TestTheAnswerIsLost(t *testing.T) {
	var r *relay
	var calls atomic.Int32
	target := mem.New()
	n := serve(t, received{target, func(err error) error {
		if calls.Add(1); err == nil {
			r.cut()
		}
		return err
	}})
	r = newRelay(t, n, unharmed)
	from, id := memSource(t, 1<<20)
	if err := send(t, n, from, volume.Delta{Volume: id, To: "s1"}); err != nil {
		t.Fatal(err)
	}
	if calls.Load() != 1 || r.connections() != 2 {
		t.Errorf("it was received %d times over %d connections, want once over two", calls.Load(), r.connections())
	}
}

// received lets a test do something between the end of Receive and its answer.
type received struct {
	volume.Backend
	then func(error) error
}

func (r received) Receive(ctx context.Context, d volume.Delta, stream io.Reader) error {
	return r.then(r.Backend.Receive(ctx, d, stream))
}

// TestAFrozenConnectionGivesWay has a sender whose connection dies without a word: it comes back
// on a new one while the server still waits on the old one.
func TestAFrozenConnectionGivesWay(t *testing.T) {
	target := openDir(t)
	n := serve(t, target)
	r := newRelay(t, n, func(connection int) fate {
		if connection == 1 {
			return fate{freeze: 3 << 20}
		}
		return fate{}
	})
	from, id := source(t, 8<<20)
	d := volume.Delta{Volume: id, To: "s1"}
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	session := dial(t, n)
	go func() {
		_, err := session.Send(ctx, d, from, transfer.Options{})
		first <- err
	}()
	eventually(t, "the connection freezes", func() bool { return r.all()[0].frozen.Load() })
	began := time.Now()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	if took := time.Since(began); took > aliveTimeout {
		t.Errorf("a cancellation took %s", took)
	}
	if err := send(t, n, from, d); err != nil {
		t.Fatal(err)
	}
	if held, err := volume.Find(t.Context(), target, id); err != nil || len(held.Snapshots) != 1 {
		t.Errorf("the target holds %+v: %v", held, err)
	}
}

func TestACopyThatIsNotAnsweredEndsWithItsContext(t *testing.T) {
	n := serve(t, openDir(t))
	r := newRelay(t, n, unharmed)
	session := dial(t, n)
	r.freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := session.Copy(ctx, newDelta().Volume); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want DeadlineExceeded", err)
	}
	if took := time.Since(began); took > aliveTimeout {
		t.Errorf("it took %s", took)
	}
	if _, err := session.Copy(t.Context(), newDelta().Volume); !errors.Is(err, cluster.ErrNotFound) {
		t.Errorf("the session did not recover: %v", err)
	}
}

func TestGivesUpWhenNothingArrives(t *testing.T) {
	n := serve(t, mem.New()) // which cannot go on: each attempt starts over
	n.transport.pause = time.Millisecond
	r := newRelay(t, n, func(int) fate { return fate{cut: 1 << 20} })
	from, id := memSource(t, 3<<20)
	err := send(t, n, from, volume.Delta{Volume: id, To: "s1"})
	if !errors.Is(err, cluster.ErrUnavailable) || !strings.Contains(err.Error(), "gave up after") {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	// An attempt may come to its end before the relay has counted its connection.
	if made := r.connections(); made > maxFruitless || made < maxFruitless-2 {
		t.Errorf("%d connections were made, want %d", made, maxFruitless)
	}
}

func TestATargetThatIsAwayIsUnavailable(t *testing.T) {
	n := serve(t, openDir(t))
	address := n.node.TransferAddress
	newRelay(t, n, func(int) fate { return fate{cut: 100} }) // within the handshake
	if _, err := n.transport.Dial(t.Context(), n.node); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("a connection that breaks: got %v, want ErrUnavailable", err)
	}
	n.stop()
	n.node.TransferAddress = address
	if _, err := n.transport.Dial(t.Context(), n.node); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("nobody there: got %v, want ErrUnavailable", err)
	}
}

// TestPatience: a peer has time enough to start again, and no more.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		p := newPatience(0)
		began, tries := time.Now(), 0
		err := error(nil)
		for err == nil {
			tries++
			if tries == maxFruitless {
				p.renew() // the attempt brought something: all over again
			}
			err = p.wait(t.Context(), broken)
		}
		if !errors.Is(err, broken) || tries != 2*maxFruitless-1 {
			t.Errorf("gave up after %d tries with %v, want %d", tries, err, 2*maxFruitless-1)
		}
		if took := time.Since(began); took < 10*time.Second || took > 40*time.Second {
			t.Errorf("twice the patience is %s", took)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(broken)
		if err := newPatience(0).wait(ctx, io.EOF); err != broken {
			t.Errorf("got %v, want the cause of the cancellation", err)
		}
	})
}

// TestASessionThatIsClosedStaysClosed: what was under way must not open it again.
func TestASessionThatIsClosedStaysClosed(t *testing.T) {
	started := make(chan struct{}, 100)
	n := serve(t, stub{receive: func(ctx context.Context, _ volume.Delta, _ io.Reader) error {
		started <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}})
	r := newRelay(t, n, unharmed)
	session := dial(t, n)
	result := make(chan error, 1)
	go func() {
		_, err := session.Send(t.Context(), newDelta(), zeros(50<<20), transfer.Options{})
		result <- err
	}()
	<-started
	if err := session.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := <-result; !errors.Is(err, errClosed) {
		t.Errorf("got %v, want that the session is closed", err)
	}
	if _, err := session.Copy(t.Context(), newDelta().Volume); !errors.Is(err, errClosed) {
		t.Errorf("got %v, want that the session is closed", err)
	}
	if r.connections() != 1 {
		t.Errorf("%d connections were made", r.connections())
	}
	if err := session.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
}
