package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
)

// A shelf is a cluster of one host, in memory.
type shelf struct {
	mu      sync.Mutex
	volumes map[string]Request
	mounts  map[string]string // volume by mount
	fail    error
	block   chan struct{} // if not nil, Mount waits for it
	waiting chan struct{} // has room for one that waits
}

func newShelf() *shelf {
	return &shelf{volumes: map[string]Request{}, mounts: map[string]string{}, waiting: make(chan struct{}, 1)}
}

func (s *shelf) Create(_ context.Context, r Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail == nil {
		s.volumes[r.Name] = r
	}
	return s.fail
}

func (s *shelf) Remove(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.volumes, name)
	return s.fail
}

func (s *shelf) Mount(ctx context.Context, name, mount string) (string, error) {
	if s.block != nil {
		s.waiting <- struct{}{}
		select {
		case <-s.block:
		case <-ctx.Done():
			return "", fmt.Errorf("waited for a door: %w", ctx.Err())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.volumes[name]; !there {
		return "", fmt.Errorf("volume %s: %w", name, cluster.ErrNotFound)
	}
	s.mounts[mount] = name
	return "/volumes/" + name, s.fail
}

func (s *shelf) Unmount(_ context.Context, _, mount string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mounts, mount)
	return s.fail
}

func (s *shelf) Volumes() []Volume {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Volume
	for name := range s.volumes {
		all = append(all, Volume{Name: name})
	}
	return all
}

func (s *shelf) Volume(name string, detailed bool) (Volume, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.volumes[name]; !there {
		return Volume{}, cluster.WithHint(fmt.Errorf("%w: it was deleted", cluster.ErrNotFound), "bring it back")
	}
	v := Volume{Name: name}
	if detailed {
		v.Status = map[string]any{"owner": "a"}
	}
	for _, used := range s.mounts {
		if used == name {
			v.Path = "/volumes/" + name
		}
	}
	return v, nil
}

// An engine talks to a driver as Docker does.
type engine struct {
	t      testing.TB
	client *http.Client
}

// serve runs a driver on a socket until the test ends or stop is called.
func serve(t testing.TB, d *Driver, socket string) (engine, func() error) {
	t.Helper()
	d.Log = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx, socket) }()
	stop := sync.OnceValue(func() error { cancel(); return <-served })
	t.Cleanup(func() { stop() })
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody listens")
		}
	}
	return newEngine(t, socket), stop
}

func newEngine(t testing.TB, socket string) engine {
	return engine{t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}}
}

// post returns the status and the answer, decoded.
func (e engine) post(path, body string) (int, map[string]any) {
	e.t.Helper()
	r, err := e.client.Post("http://plugin/"+path, "application/vnd.docker.plugins.v1.1+json", strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	var answer map[string]any
	if len(bytes.TrimSpace(text)) > 0 && json.Unmarshal(text, &answer) != nil {
		answer = map[string]any{"Err": string(text)}
	}
	return r.StatusCode, answer
}

func socketIn(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "plugin") // short: sockets have names of limited length
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "drover.sock")
}

func TestProtocol(t *testing.T) {
	e, _ := serve(t, &Driver{Cluster: newShelf()}, socketIn(t))
	for _, row := range []struct {
		rule, path, body, want string
	}{
		{"what it is", "Plugin.Activate", `null`, `{"Implements":["VolumeDriver"]}`},
		{"seen by all engines", "VolumeDriver.Capabilities", `{}`, `{"Capabilities":{"Scope":"global"}}`},
		{"nothing yet", "VolumeDriver.List", `{}`, `{"Volumes":null}`},
		{"create", "VolumeDriver.Create", `{"Name":"v","Opts":{"size":"1G"},"Unknown":1}`, `{}`},
		{"list", "VolumeDriver.List", `{}`, `{"Volumes":[{"Name":"v"}]}`},
		{"nowhere before a mount", "VolumeDriver.Path", `{"Name":"v"}`, `{"Mountpoint":""}`},
		{"mount", "VolumeDriver.Mount", `{"Name":"v","ID":"1"}`, `{"Mountpoint":"/volumes/v"}`},
		{"path", "VolumeDriver.Path", `{"Name":"v"}`, `{"Mountpoint":"/volumes/v"}`},
		{"get", "VolumeDriver.Get", `{"Name":"v"}`, `{"Volume":{"Name":"v","Mountpoint":"/volumes/v","Status":{"owner":"a"}}}`},
		{"unmount", "VolumeDriver.Unmount", `{"Name":"v","ID":"1"}`, `{}`},
		{"remove", "VolumeDriver.Remove", `{"Name":"v"}`, `{}`},
		{"gone", "VolumeDriver.Get", `{"Name":"v"}`, `{"Err":"no such volume: it was deleted (bring it back)"}`},
		{"mount of none", "VolumeDriver.Mount", `{"Name":"v","ID":"1"}`, `{"Err":"mount v: volume v: not found"}`},
		{"a path for a name", "VolumeDriver.Create", `{"Name":"../etc"}`, `{"Err":"create \"../etc\": not a valid name for a volume: use letters, digits, '_', '.' and '-', starting with a letter or digit"}`},
		{"no name", "VolumeDriver.Mount", `{}`, `{"Err":"mount \"\": not a valid name for a volume: use letters, digits, '_', '.' and '-', starting with a letter or digit"}`},
	} {
		var want map[string]any
		if err := json.Unmarshal([]byte(row.want), &want); err != nil {
			t.Fatal(err)
		}
		status, got := e.post(row.path, row.body)
		if _, failed := want["Err"]; !reflect.DeepEqual(got, want) || (status != 200) != failed {
			t.Errorf("%s: %d %v, want %v", row.rule, status, got, want)
		}
	}
}

func TestErrorsAreSentencesWithWhatToDo(t *testing.T) {
	s := newShelf()
	s.fail = cluster.WithHint(errors.New("it is in use on a by container web"), "stop that first")
	e, _ := serve(t, &Driver{Cluster: s}, socketIn(t))
	_, got := e.post("VolumeDriver.Unmount", `{"Name":"v","ID":"1"}`)
	if got["Err"] != "unmount v: it is in use on a by container web (stop that first)" {
		t.Errorf("got %v", got)
	}
}

// TestPatienceEnds: what takes too long says what it waited for, and questions are answered meanwhile.
func TestPatienceEnds(t *testing.T) {
	s := newShelf()
	s.block = make(chan struct{})
	e, _ := serve(t, &Driver{Cluster: s, Patience: 300 * time.Millisecond}, socketIn(t))
	answered := make(chan map[string]any, 1)
	go func() {
		_, got := e.post("VolumeDriver.Mount", `{"Name":"v","ID":"1"}`)
		answered <- got
	}()
	if status, _ := e.post("VolumeDriver.List", `{}`); status != 200 {
		t.Errorf("a list while a mount waits: %d", status)
	}
	if got := <-answered; !strings.Contains(fmt.Sprint(got["Err"]), "waited for a door") {
		t.Errorf("got %v", got)
	}
}

// TestTakeOver: a second driver takes the socket over without a moment at which nobody answers; the
// first one ends when it has answered.
func TestTakeOver(t *testing.T) {
	socket := socketIn(t)
	s := newShelf()
	s.volumes["v"], s.block = Request{}, make(chan struct{})
	first := &Driver{Cluster: s}
	e, stop := serve(t, first, socket)
	mounted := make(chan map[string]any, 1)
	go func() {
		_, got := e.post("VolumeDriver.Mount", `{"Name":"v","ID":"1"}`)
		mounted <- got
	}()
	<-s.waiting
	ended := make(chan struct{})
	watched := make(chan int, 1)
	go func() {
		n := 0
		for {
			select {
			case <-ended:
				watched <- n
				return
			default:
			}
			if status, _ := newEngine(t, socket).post("VolumeDriver.List", `{}`); status != 200 {
				t.Errorf("a list: %d", status)
			}
			n++
		}
	}()
	_, stopSecond := serve(t, &Driver{Cluster: newShelf()}, socket)
	time.Sleep(2 * look) // the first one sees it
	close(s.block)
	if got := <-mounted; got["Mountpoint"] != "/volumes/v" {
		t.Errorf("the mount that was under way: %v", got)
	}
	close(ended)
	t.Logf("%d lists were answered meanwhile", <-watched)
	if err := stop(); !errors.Is(err, ErrReplaced) {
		t.Errorf("the first one ended with %v", err)
	}
	if _, err := os.Lstat(socket); err != nil {
		t.Errorf("the first one took the socket of the second away: %v", err)
	}
	stopSecond()
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket stays after an orderly end: %v", err)
	}
}

// TestASocketThatIsTakenAwayIsMadeAgain, and what was asked by the old one is answered.
func TestASocketThatIsTakenAwayIsMadeAgain(t *testing.T) {
	socket := socketIn(t)
	s := newShelf()
	s.volumes["v"], s.block = Request{}, make(chan struct{})
	e, stop := serve(t, &Driver{Cluster: s}, socket)
	mounted := make(chan map[string]any, 1)
	go func() {
		_, got := e.post("VolumeDriver.Mount", `{"Name":"v","ID":"1"}`)
		mounted <- got
	}()
	<-s.waiting
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Lstat(socket); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody listens any more")
		}
	}
	if status, _ := e.post("VolumeDriver.List", `{}`); status != 200 {
		t.Errorf("a list: %d", status)
	}
	close(s.block)
	if got := <-mounted; got["Mountpoint"] != "/volumes/v" {
		t.Errorf("the mount that was under way: %v", got)
	}
	stop()
	if _, err := os.Lstat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket stays after an orderly end: %v", err)
	}
}

// FuzzProtocol: whatever an engine sends, it gets an answer in JSON, and no volume gets a name or an
// option that was not valid.
func FuzzProtocol(f *testing.F) {
	s := newShelf()
	e, _ := serve(f, &Driver{Cluster: s, Patience: time.Second}, socketIn(f))
	for _, path := range []string{"Create", "Mount", "Unmount", "Remove", "Get", "Path", "List", "Capabilities"} {
		for _, body := range []string{`{"Name":"v","Opts":{"size":"1G","zfs.x":"\u0000"},"ID":"1"}`, ``, `null`, `[]`, `{"Name":1}`, `{"Name":"\ud800"}`} {
			f.Add(path, body)
		}
	}
	f.Fuzz(func(t *testing.T, path, body string) {
		if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return // not a path that would reach it
		}
		e.t = t
		status, answer := e.post("VolumeDriver."+path, body)
		if status != 200 && status != 404 && answer["Err"] == nil {
			t.Errorf("%s %q: %d without a reason", path, body, status)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for name, r := range s.volumes {
			if !cluster.ValidName(name) || r.Size < 0 {
				t.Errorf("%q made %+v", body, r)
			}
		}
	})
}
