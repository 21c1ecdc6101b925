package ssh

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"github.com/drover/drover/cluster"
)

func withTrailer(content []byte) []byte {
	hash := xxhash.New()
	hash.Write(content)
	return append(bytes.Clone(content), trailerOf(hash)...)
}

func TestTrailedReadsWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.SliceOf(rapid.Byte()).Draw(t, "content")
		readers := []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader,
			func(r io.Reader) io.Reader { return r }}
		slowly := rapid.SampledFrom(readers).Draw(t, "reader")
		stream := newTrailed(slowly(bytes.NewReader(withTrailer(content))))
		got, err := io.ReadAll(stream)
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("read %x, %v", got, err)
		}
		if err := stream.verify(); err != nil {
			t.Fatalf("the end can be read again: %v", err)
		}
		var whole bytes.Buffer
		n, err := newTrailed(slowly(bytes.NewReader(withTrailer(content)))).WriteTo(&whole)
		if err != nil || n != int64(len(content)) || !bytes.Equal(whole.Bytes(), content) {
			t.Fatalf("wrote %x, %d, %v", whole.Bytes(), n, err)
		}
	})
}

func TestTrailedNotices(t *testing.T) {
	sent := withTrailer([]byte("0123456789"))
	changed := bytes.Clone(sent)
	changed[3] ^= 1
	swapped := append(bytes.Clone(sent[5:10]), append(bytes.Clone(sent[:5]), sent[10:]...)...)
	for _, row := range []struct {
		rule   string
		stream []byte
	}{
		{"a byte that changed", changed},
		{"pieces that changed places", swapped},
		{"a byte too many", append(bytes.Clone(sent), 0)},
		{"an end that is missing", sent[:len(sent)-1]},
		{"a stream without a trailer", sent[:4]},
		{"nothing", nil},
	} {
		t.Run(row.rule, func(t *testing.T) {
			// Whoever reads to the end sees it there, before it could confirm anything.
			if _, err := io.ReadAll(newTrailed(bytes.NewReader(row.stream))); !errors.Is(err, cluster.ErrConflict) {
				t.Errorf("to the end: got %v, want ErrConflict", err)
			}
			if _, err := newTrailed(bytes.NewReader(row.stream)).WriteTo(io.Discard); !errors.Is(err, cluster.ErrConflict) {
				t.Errorf("written to the end: got %v, want ErrConflict", err)
			}
			// Whoever stops at its own end mark is asked to verify.
			stream := newTrailed(bytes.NewReader(row.stream))
			io.CopyN(io.Discard, stream, 5)
			if err := stream.verify(); !errors.Is(err, cluster.ErrConflict) {
				t.Errorf("verify: got %v, want ErrConflict", err)
			}
		})
	}
}

func TestTrailedTellsACutFromAnEnd(t *testing.T) {
	r, w := io.Pipe()
	go func() {
		w.Write(withTrailer([]byte("content")))
		w.CloseWithError(io.ErrUnexpectedEOF)
	}()
	if _, err := io.ReadAll(newTrailed(r)); !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, cluster.ErrConflict) {
		t.Errorf("got %v, want what cut it", err)
	}
}
