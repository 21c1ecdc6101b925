package transfertest

import (
	"context"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"sync"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/volume"
	"github.com/drover/drover/volume/transfer"
)

func (s *suite) ship() {
	s.snapshot(s.id, "s1", 3<<20)
	n, err := s.send("", "s1")
	s.must(err)
	if n < 3<<20 {
		s.t.Errorf("%d bytes shipped for a full copy of %d", n, 3<<20)
	}
	s.snapshot(s.id, "s2", 100)
	n, err = s.send("s1", "s2")
	s.must(err)
	if n > 1<<20 {
		s.t.Errorf("%d bytes shipped for a difference of 100", n)
	}
	files, err := s.to.Read(s.id)
	s.must(err)
	if len(files["s1"]) != 3<<20 || len(files["s2"]) != 100 {
		s.t.Errorf("arrived: %d and %d bytes", len(files["s1"]), len(files["s2"]))
	}
	held, err := s.session.Copy(s.t.Context(), s.id)
	s.must(err)
	if held.Role != cluster.Replica || len(held.Snapshots) != 2 {
		s.t.Errorf("the other side says it holds %+v", held)
	}
}

// everyByte writes a random stream in pieces of random sizes, and reads it likewise.
func (s *suite) everyByte() {
	for _, size := range []int{0, 1, 7, 8, 9, 255 << 10, 255<<10 + 1, 9<<20 + 12345} {
		content := make([]byte, size)
		rand.NewChaCha8([32]byte{1}).Read(content)
		var got []byte
		s.to.receives(func(_ context.Context, r io.Reader) error {
			for {
				piece := make([]byte, 1+rand.IntN(100_000))
				n, err := r.Read(piece)
				got = append(got, piece[:n]...)
				if err == io.EOF {
					return nil
				}
				if err != nil {
					return err
				}
			}
		})
		n, err := s.stream(s.t.Context(), func(_ context.Context, w io.Writer) error {
			for rest := content; len(rest) > 0; {
				n, err := w.Write(rest[:min(len(rest), 1+rand.IntN(600_000))])
				if err != nil {
					return err
				}
				rest = rest[n:]
			}
			return nil
		})
		s.must(err)
		if n != int64(size) || sha256.Sum256(got) != sha256.Sum256(content) {
			s.t.Errorf("of %d bytes %d were shipped and %d arrived, or others", size, n, len(got))
		}
	}
}

func (s *suite) together() {
	var senders sync.WaitGroup
	for range 4 {
		id := s.create()
		s.snapshot(id, "s", 2<<20)
		senders.Go(func() {
			_, err := s.session.Send(s.t.Context(), volume.Delta{Volume: id, To: "s"}, s.from, transfer.Options{})
			if err != nil {
				s.t.Errorf("send: %v", err)
			}
			if _, err := s.session.Copy(s.t.Context(), id); err != nil {
				s.t.Errorf("copy: %v", err)
			}
		})
	}
	senders.Wait()
}

func (s *suite) progress() {
	s.snapshot(s.id, "s1", 5<<20)
	var last int64
	calls := 0
	n, err := s.session.Send(s.t.Context(), volume.Delta{Volume: s.id, To: "s1"}, s.from, transfer.Options{Progress: func(bytes int64) {
		if bytes < last {
			s.t.Errorf("progress went back from %d to %d", last, bytes)
		}
		last = bytes
		calls++
	}})
	s.must(err)
	if last != n || n < 5<<20 || calls == 0 {
		s.t.Errorf("progress ended at %d of %d after %d calls", last, n, calls)
	}
}
