package btrfs

import (
	"bytes"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drover/drover/volume"
)

// TestASignalDoesNotBeginAStreamAnew: one that comes while the kernel waits for whoever reads the stream.
func TestASignalDoesNotBeginAStreamAnew(t *testing.T) {
	p := newPair(t, fileSystem(t, 1<<30))
	p.write(p.a, "large", bytes.Repeat([]byte("0123456789abcdef"), 1<<20))
	_, err := p.a.Snapshot(t.Context(), p.id, "s", false)
	p.must(err)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			// To each thread: whichever is in the kernel's send.
			tasks, _ := os.ReadDir("/proc/self/task")
			for _, task := range tasks {
				var tid int
				for _, c := range task.Name() {
					tid = tid*10 + int(c-'0')
				}
				_ = unix.Tgkill(os.Getpid(), tid, unix.SIGURG) // it may have ended
			}
			time.Sleep(100 * time.Microsecond)
		}
	}()
	d := volume.Delta{Volume: p.id, To: "s"}
	var stream bytes.Buffer
	err = p.a.Send(t.Context(), d, &slowly{&stream})
	close(stop)
	<-stopped
	p.must(err)
	if n := stream.Len(); n > 17<<20 {
		t.Errorf("a stream of 16 MiB has %d bytes", n)
	}
	p.must(p.b.Receive(t.Context(), d, &stream))
}

// slowly lets the pipe become full.
type slowly struct{ to *bytes.Buffer }

func (s *slowly) Write(b []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return s.to.Write(b)
}
