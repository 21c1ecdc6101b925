package ssh

import (
	"cmp"
	"context"
	"io"
	"math/rand/v2"
	"path"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

// TestSettle: who comes back on a new connection sees what the old one has left behind, and
// nobody else disturbs it.
func TestSettle(t *testing.T) {
	const id = "v"
	for _, row := range []struct {
		rule string
		from cluster.NodeID
		same bool // by the connection that it came on
		dead bool // the old connection does not answer
		cut  bool
	}{
		{"a sender that came back waits for what is left", "a", false, true, true},
		{"another session of the sender disturbs nothing", "a", false, false, false},
		{"the connection itself is not asked", "a", true, true, false},
		{"another node disturbs nothing", "c", false, true, false},
		{"nor does a user", "", false, true, false},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old := &line{closed: make(chan struct{})}
				if row.dead {
					old.delay = time.Hour
				}
				next := &line{closed: make(chan struct{})}
				if row.same {
					next = old
				}
				var a arrivals
				it := &arrival{from: "a", conn: old, over: make(chan struct{})}
				if err := a.begin(t.Context(), id, it); err != nil {
					t.Fatal(err)
				}
				var ended atomic.Bool
				go func() { // the backend, which takes its time to let go
					<-old.closed
					time.Sleep(time.Minute)
					ended.Store(true)
					a.end(id, it)
				}()
				a.settle(t.Context(), id, row.from, next)
				if ended.Load() != row.cut {
					t.Errorf("the old transfer has ended: %t, want %t", ended.Load(), row.cut)
				}
				if !row.cut {
					old.Close()
				}
				<-it.over
			})
		})
	}
}

func TestSettleEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := &line{delay: time.Hour, closed: make(chan struct{})}
		var a arrivals
		if err := a.begin(t.Context(), "v", &arrival{from: "a", conn: old, over: make(chan struct{})}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		a.settle(ctx, "another", "a", &line{})
		if ctx.Err() != nil {
			t.Error("it waited for another volume")
		}
		a.settle(ctx, "v", "a", &line{}) // the backend never lets go
		if ctx.Err() == nil {
			t.Error("it did not wait for the backend")
		}
	})
}

// TestALookWaitsForWhatIsLeft: read while the backend still works on what came over a dead
// connection, the copy has no token yet; the sender would start over.
func TestALookWaitsForWhatIsLeft(t *testing.T) {
	for _, row := range []struct {
		rule  string
		from  cluster.NodeID
		waits bool
	}{
		{"of the sender that came back", "a", true},
		{"not of a user", "", false},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				id := cluster.VolumeID(cluster.NewUUID())
				var looks atomic.Int32
				h := &handlers{ctx: t.Context(), server: &Server{Backend: watched{looks: &looks}}, conn: &line{}, from: row.from, guest: &guest{of: new(visitors)}}
				old := &line{delay: time.Hour, closed: make(chan struct{})}
				it := &arrival{from: "a", conn: old, over: make(chan struct{})}
				if err := h.server.arrivals.begin(t.Context(), volumeKey(id), it); err != nil {
					t.Fatal(err)
				}
				read := make(chan error)
				go func() {
					_, err := h.Fileread(sftp.NewRequest("Get", path.Join("/volumes", string(id), partCopy)))
					read <- err
				}()
				select {
				case <-read:
					if row.waits {
						t.Error("it did not wait")
					}
					old.Close()
				case <-time.After(time.Minute):
					if !row.waits || looks.Load() != 0 {
						t.Errorf("after %d looks it waits", looks.Load())
					}
					go func() { h.server.arrivals.end(volumeKey(id), it) }()
					<-read
				}
				if looks.Load() != 1 {
					t.Errorf("looked %d times, want once", looks.Load())
				}
			})
		})
	}
}

// watched holds nothing, and counts who looks.
type watched struct {
	volume.Backend
	looks *atomic.Int32
}

func (w watched) Copies(context.Context) ([]volume.Copy, error) {
	w.looks.Add(1)
	return nil, nil
}

// TestCutsCostLittle cuts at random bytes: what has arrived is not sent again, and the copy that
// it has arrived in is never set aside for a new one.
func TestCutsCostLittle(t *testing.T) {
	const size, cuts = 48 << 20, 3
	var again atomic.Int32
	n := serve(t, restarts{openDir(t), &again})
	n.transport.pause = time.Millisecond
	r := newRelay(t, n, func(connection int) fate {
		if connection > cuts {
			return fate{}
		}
		return fate{cut: 20_000 + rand.Int64N(12<<20)} // behind the handshake of Dial
	})
	from, id := source(t, size)
	shipped, err := dial(t, n).Send(t.Context(), volume.Delta{Volume: id, To: "s1"}, from, transfer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if carried := r.bytes.Load(); carried*10 > size*13 {
		t.Errorf("%d bytes were carried for %d, want less than 1.3 times as many", carried, size)
	}
	if shipped < size {
		t.Errorf("%d bytes were counted for %d", shipped, size)
	}
	if made := r.connections(); made != cuts+1 {
		t.Errorf("%d connections were made, want %d", made, cuts+1)
	}
	if again.Load() != 0 {
		t.Errorf("the transfer started over %d times", again.Load())
	}
}

// TestWhatHasComeIsTaken: of a client that is gone, everything that has reached this side is given to the
// backend, which has read nothing of it by then.
func TestWhatHasComeIsTaken(t *testing.T) {
	const cut = 3 << 20
	var n *node
	var taken atomic.Int64
	n = serve(t, stub{receive: func(_ context.Context, d volume.Delta, r io.Reader) error {
		if taken.Load() > 0 {
			return discard(t.Context(), d, r)
		}
		n.server.arrivals.mu.Lock()
		client := n.server.arrivals.now[volumeKey(d.Volume)].conn
		n.server.arrivals.mu.Unlock()
		client.Wait()
		count, err := io.Copy(io.Discard, r)
		taken.Store(max(count, 1))
		return err
	}})
	newRelay(t, n, func(connection int) fate {
		if connection == 1 {
			return fate{cut: cut}
		}
		return fate{}
	})
	if err := send(t, n, zeros(8<<20), newDelta()); err != nil {
		t.Fatal(err)
	}
	// But for the handshake, and the packet in which the cut was.
	if got := taken.Load(); got < cut-maxPacket-handshakeSize-cut/100 {
		t.Errorf("%d bytes were taken of %d", got, cut)
	}
}

// TestReadThoughNothingCanBeSaid: that a connection can't be written to any more takes nothing away.
func TestReadThoughNothingCanBeSaid(t *testing.T) {
	got, err := io.ReadAll(drained{mute{r: strings.NewReader("what has come")}})
	if err != nil || string(got) != "what has come" {
		t.Errorf("read %q, %v", got, err)
	}
}

// mute is a channel whose window can't be made wider.
type mute struct {
	ssh.Channel
	r io.Reader
}

func (m mute) Read(p []byte) (int, error) {
	n, err := m.r.Read(p[:1])
	return n, cmp.Or(err, error(syscall.EPIPE))
}

// restarts counts the full streams that come for a copy in which a part has arrived.
type restarts struct {
	volume.Backend
	count *atomic.Int32
}

func (r restarts) Unwrap() volume.Backend { return r.Backend }

func (r restarts) Receive(ctx context.Context, d volume.Delta, stream io.Reader) error {
	held, err := volume.Find(ctx, r.Backend, d.Volume)
	if err == nil && held.Partial != nil && len(d.Resume) == 0 {
		r.count.Add(1)
	}
	return r.Backend.Receive(ctx, d, stream)
}
