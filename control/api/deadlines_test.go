package api_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/internal/pki"
)

const (
	hurried = 5 * time.Second // the patience of the service under test, which a busy machine must not use up
	patient = 2 * time.Minute // that of the test
)

// raw connects a user to a hurried service, and sends what it says.
func raw(t *testing.T, s *apitest.Service, says string) *tls.Conn {
	t.Helper()
	server := apitest.Serve(t, s, api.Options{Patience: hurried})
	config, err := pki.ClientTLS(server.Certificates, pki.User)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.Dial("tcp", server.Address, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.NetConn().Close() })
	c.SetDeadline(time.Now().Add(patient))
	if _, err := io.WriteString(c, says); err != nil {
		t.Fatal(err)
	}
	return c
}

// ends fails unless the service ends the connection, whatever it says before.
func ends(t *testing.T, c io.Reader) {
	t.Helper()
	began := time.Now()
	io.Copy(io.Discard, c)
	if took := time.Since(began); took > patient/2 {
		t.Errorf("the connection lives after %s", took)
	}
}

// cutShort fails if an answer that nobody reads for a while after it has begun is sent to its end.
func cutShort(t *testing.T, c io.Reader, size int64) {
	t.Helper()
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(4 * hurried)
	if n, _ := io.Copy(io.Discard, c); n >= size {
		t.Errorf("all of it came: %d bytes", n)
	}
}

// much is a service with an answer of that many bytes and more.
func much(size int) *apitest.Service {
	s := apitest.NewService()
	s.Set(func(w *apitest.World) { w.Events = []cluster.Event{{ID: 1, Message: strings.Repeat("x", size)}} })
	return s
}

func TestWhoDoesNotGoOnIsLeft(t *testing.T) {
	const head = " HTTP/1.1\r\nHost: c\r\n"
	t.Run("a connection without a request", func(t *testing.T) {
		t.Parallel()
		c := raw(t, apitest.NewService(), "GET /v1/nodes"+head+"\r\n")
		ends(t, c)
	})
	t.Run("a body that does not come", func(t *testing.T) {
		t.Parallel()
		ends(t, raw(t, apitest.NewService(), "POST /v1/moves"+head+"Content-Length: 100\r\n\r\n{"))
	})
	t.Run("the body of a call that reads none", func(t *testing.T) {
		t.Parallel()
		ends(t, raw(t, apitest.NewService(), "DELETE /v1/keys/me"+head+"Content-Length: 100\r\n\r\n{"))
	})
	t.Run("the body of a call that is none", func(t *testing.T) {
		t.Parallel()
		ends(t, raw(t, apitest.NewService(), "POST /v1/nothing"+head+"Content-Length: 100\r\n\r\n{"))
	})
	t.Run("a body that drips", func(t *testing.T) {
		t.Parallel()
		c := raw(t, apitest.NewService(), "POST /v1/moves"+head+"Content-Length: 100000\r\n\r\n")
		go func() {
			for {
				if _, err := io.WriteString(c, " "); err != nil {
					return
				}
				time.Sleep(hurried / 5)
			}
		}()
		ends(t, c)
	})
	t.Run("an answer that is not read", func(t *testing.T) {
		t.Parallel()
		const size = 32 << 20 // more than the sockets on the way take
		c := raw(t, much(size), "GET /v1/events"+head+"\r\n")
		cutShort(t, c, size)
	})
	t.Run("an output that is not read", func(t *testing.T) {
		t.Parallel()
		const size = 32 << 20
		s := apitest.NewService()
		s.Set(func(w *apitest.World) { w.Output = strings.Repeat("x", size) })
		c := raw(t, s, "GET /v1/applications/db/logs"+head+"\r\n")
		cutShort(t, c, size)
	})
}

func TestWhoGoesOnIsNotLeft(t *testing.T) {
	const head = " HTTP/1.1\r\nHost: c\r\n"
	answer := func(t *testing.T, c io.Reader) string {
		t.Helper()
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode >= 300 {
			t.Errorf("%s after %d bytes, %v", response.Status, len(text), err)
		}
		return string(text)
	}
	t.Run("who waits for something to happen", func(t *testing.T) {
		t.Parallel()
		if text := answer(t, raw(t, apitest.NewService(), "GET /v1/events?wait=7s"+head+"\r\n")); text != "[]" {
			t.Errorf("answered %q", text)
		}
	})
	t.Run("who waits after a body", func(t *testing.T) {
		t.Parallel()
		if text := answer(t, raw(t, apitest.NewService(), "GET /v1/events?wait=7s"+head+"Content-Length: 2\r\n\r\n{}")); text != "[]" {
			t.Errorf("answered %q", text)
		}
	})
	t.Run("a large body that comes slowly", func(t *testing.T) {
		t.Parallel()
		const pieces = 20
		size := pieces * 100 << 10
		c := raw(t, apitest.NewService(), fmt.Sprintf("POST /v1/moves%sContent-Length: %d\r\n\r\n", head, size+2))
		for range pieces {
			time.Sleep(hurried / 16)
			io.WriteString(c, strings.Repeat(" ", size/pieces))
		}
		io.WriteString(c, "{}")
		answer(t, c)
	})
	t.Run("a large answer that is read slowly", func(t *testing.T) {
		t.Parallel()
		const size = 24 << 20
		c := raw(t, much(size), "GET /v1/events"+head+"\r\n")
		c.NetConn().(*net.TCPConn).SetReadBuffer(64 << 10) // or the service waits until much of a large one has been read
		if text := answer(t, slowly{c}); len(text) < size {
			t.Errorf("%d bytes came", len(text))
		}
	})
}

// slowly reads with pauses.
type slowly struct{ io.Reader }

func (s slowly) Read(p []byte) (int, error) {
	if len(p) > 16<<10 {
		time.Sleep(hurried / 2500)
	}
	return s.Reader.Read(p)
}
