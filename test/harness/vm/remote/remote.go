// Package remote runs commands on a virtual host as if they ran here: input, output, signals, stops
// and the exit status pass through one connection per command.
//
//	remote.Serve(listener)                       // on the host
//	status, err := remote.Run(conn, command, os.Stdin, os.Stdout, os.Stderr)
//
//	exec.Cmd --signals, pipes--> client ===frames===> server --signals, pipes--> command
//
// A client that ends takes its command with it, by SIGKILL. A command that stops, stops its client
// too, and goes on when that is told to: whoever started the client sees nothing of the distance.
// It is not safe: whoever reaches the server commands the host.
package remote

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// A Command is what a client asks for.
type Command struct {
	Args []string
	// Env is added to the environment of the server.
	Env []string
}

// Kinds of frames, from the client and from the server.
const (
	start   = 's' // a Command, the first frame
	input   = 'i' // an empty one ends it
	signal  = 'g' // a number
	output  = 'o'
	trouble = 'e'
	stopped = 't' // by a signal
	ended   = 'x' // a number: the status as a shell tells it
	failed  = 'f' // text: it could not be started
)

// A wire carries frames: a kind, a length, a payload.
type wire struct {
	rw io.ReadWriter
	mu sync.Mutex // one frame at a time
}

func (w *wire) send(kind byte, payload []byte) error {
	frame := make([]byte, 5, 5+len(payload))
	frame[0] = kind
	binary.BigEndian.PutUint32(frame[1:], uint32(len(payload)))
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.rw.Write(append(frame, payload...))
	return err
}

func (w *wire) number(kind byte, n int) error { return w.send(kind, fmt.Append(nil, n)) }

func (w *wire) receive() (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(w.rw, head[:]); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err = io.ReadFull(w.rw, payload)
	return head[0], payload, err
}

func (w *wire) start(c Command) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return w.send(start, b)
}

// A stream is a writer whose writes are frames of one kind.
type stream struct {
	wire *wire
	kind byte
}

func (s stream) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return len(p), s.wire.send(s.kind, p)
}
