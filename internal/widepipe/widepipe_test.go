package widepipe

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func TestProgramSeesTheStream(t *testing.T) {
	var got []byte
	err := Program(t.Context(), strings.NewReader("stream"), func(in *os.File) (err error) {
		got, err = io.ReadAll(in)
		return err
	})
	if err != nil || string(got) != "stream" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestWhoFailed: a program that ends because its stream was cut is not what went wrong.
func TestWhoFailed(t *testing.T) {
	cut, no := errors.New("cut"), errors.New("no")
	refuse := func(in *os.File) error {
		_, err := io.Copy(io.Discard, in)
		return errors.Join(no, err)
	}
	if err := Program(t.Context(), io.MultiReader(strings.NewReader("str"), iotest.ErrReader(cut)), refuse); err != cut {
		t.Errorf("got %v, want what the stream ended with", err)
	}
	if err := Program(t.Context(), strings.NewReader("stream"), refuse); !errors.Is(err, no) {
		t.Errorf("got %v, want what the program said", err)
	}
}

// TestTheRestIsRead: a program may stop at its own end mark, and what comes behind it is checked by
// whoever made the stream.
func TestTheRestIsRead(t *testing.T) {
	stream := strings.NewReader(strings.Repeat("x", 3<<20))
	if err := Program(t.Context(), stream, func(*os.File) error { return nil }); err != nil || stream.Len() != 0 {
		t.Errorf("%v, %d bytes were left", err, stream.Len())
	}
}

func TestCopy(t *testing.T) {
	r, w, err := Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		w.WriteString("stream")
		w.Close()
	}()
	var b bytes.Buffer
	if n, err := Copy(&b, r); n != 6 || err != nil || b.String() != "stream" {
		t.Errorf("%d, %v, %q", n, err, b.String())
	}
}
