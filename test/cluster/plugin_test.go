package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/localcluster"
	"github.com/drover/drover/test/harness/testcluster"
)

// An engine is what Docker is to the plugin of one node: it makes and mounts volumes, one at a time.
type engine struct {
	node   string
	client *http.Client
	mounts map[string]held // by the mount
	next   int
}

// A held is a mount that has not ended.
type held struct {
	volume     string
	path       string
	generation int
	since      time.Time
}

// startPlugin runs the plugin of a node and returns an engine that uses it.
func startPlugin(t *testing.T, c *testcluster.Cluster, node string) *engine {
	t.Helper()
	socket := filepath.Join(c.NodeDir(node), "plugin.sock")
	cmd := exec.Command(testcluster.Binary(t), "plugin", "--control", c.ControlAddress(), "--data", c.NodeDir(node),
		"--pki", filepath.Join(c.NodeDir(node), "pki"), "--socket", socket)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil || cmd.Wait() != nil {
			t.Errorf("the plugin of %s: %v; its log:\n%s", node, err, log.String())
		}
	})
	for deadline := time.Now().Add(testcluster.Patience); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Lstat(socket); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the plugin of %s does not listen:\n%s", node, log.String())
		}
	}
	return &engine{node: node, mounts: map[string]held{}, client: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}}}}
}

// ask returns the path in the answer, or its error.
func (e *engine) ask(call string, fields map[string]any) (string, error) {
	body, err := json.Marshal(fields)
	if err != nil {
		return "", err
	}
	r, err := e.client.Post("http://plugin/VolumeDriver."+call, "application/json", bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("NO ANSWER: %w", err)
	}
	defer r.Body.Close()
	var answer struct{ Err, Mountpoint string }
	text, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(text, &answer) != nil {
		return "", fmt.Errorf("NO ANSWER: %s, %w", text, err)
	}
	if answer.Err != "" {
		return "", fmt.Errorf("%s", answer.Err)
	}
	return answer.Mountpoint, nil
}

// A model is what must be true of volumes whatever three engines do with them at once.
type model struct {
	t  *testing.T
	mu sync.Mutex
	// generation counts the deletions of each volume; removing are those under way. Content is what was written last to the present one, and holders are the nodes
	// on which it is mounted.
	generation map[string]int
	removing   map[string]int
	content    map[string]string
	holders    map[string]map[string]int
	counts     map[string]int
	// away is since when, or until when, the control service was being restarted.
	away time.Time
}

// unheard is how long a host may not have heard of what was done just before the control service went
// away.
const unheard = 5 * time.Second

// reported is how long the control service may take to hear of a mount.
const reported = 3 * time.Second

// expected are the reasons for which an engine may be told no, while others do something else with
// the volume.
var expected = regexp.MustCompile(`in use on [abc] by|in use by|is moving to|wants it to stay|wants it on|not found|has no owner yet|was deleted|still|it stays on`)

func (m *model) did(what string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		m.counts[what]++
		return
	}
	m.counts[what+" refused"]++
	if !expected.MatchString(err.Error()) {
		m.t.Errorf("%s: %v", what, err)
	}
}

func (m *model) create(e *engine, volume string) {
	_, err := e.ask("Create", map[string]any{"Name": volume, "Opts": map[string]string{"labels": "of=model"}})
	m.did("create", err)
}

// mount mounts a volume, looks whether the content is what was written last, and writes.
func (m *model) mount(e *engine, volume string) {
	m.mu.Lock()
	before, doubtful := m.generation[volume], m.removing[volume] > 0
	m.mu.Unlock()
	e.next++
	id := fmt.Sprintf("%s-%d", e.node, e.next)
	path, err := e.ask("Mount", map[string]any{"Name": volume, "ID": id})
	m.did("mount", err)
	if err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if doubtful || m.generation[volume] != before { // which one it got is not known
		if _, err := e.ask("Unmount", map[string]any{"Name": volume, "ID": id}); err != nil {
			m.t.Errorf("unmount %s: %v", volume, err)
		}
		return
	}
	file := filepath.Join(path, "content")
	text, err := os.ReadFile(file)
	if string(text) != m.content[volume] && time.Since(m.away) < unheard {
		// Without the control service a host goes by what it has heard: not yet of a deletion, maybe.
		if _, err := e.ask("Unmount", map[string]any{"Name": volume, "ID": id}); err != nil {
			m.t.Errorf("unmount %s: %v", volume, err)
		}
		return
	}
	if err != nil && !os.IsNotExist(err) || string(text) != m.content[volume] {
		m.t.Errorf("%s on %s holds %q, %v; written last was %q", volume, e.node, text, err, m.content[volume])
	}
	for node, n := range m.holders[volume] {
		if n > 0 && node != e.node {
			m.t.Errorf("%s is mounted on %s and on %s", volume, node, e.node)
		}
	}
	if m.holders[volume] == nil {
		m.holders[volume] = map[string]int{}
	}
	m.holders[volume][e.node]++
	e.mounts[id] = held{volume, path, before, time.Now()}
	m.content[volume] = id
	if err := os.WriteFile(file, []byte(id), 0o600); err != nil {
		m.t.Errorf("write to %s on %s: %v", volume, e.node, err)
	}
}

// unmount ends a mount, whose volume must still be there.
func (m *model) unmount(e *engine, id string) {
	h := e.mounts[id]
	delete(e.mounts, id)
	m.mu.Lock()
	if _, err := os.Stat(filepath.Join(h.path, "content")); err != nil {
		m.t.Errorf("%s was taken away under its mount on %s: %v", h.volume, e.node, err)
	}
	if m.generation[h.volume] == h.generation {
		m.holders[h.volume][e.node]--
	}
	m.mu.Unlock()
	_, err := e.ask("Unmount", map[string]any{"Name": h.volume, "ID": id})
	m.did("unmount", err)
}

// remove deletes a volume. One that has just been mounted may go, too, but not from under its mount.
func (m *model) remove(e *engine, volume string) {
	m.mu.Lock()
	mounted := false
	for _, h := range e.mounts {
		mounted = mounted || h.volume == volume && h.generation == m.generation[volume] && time.Since(h.since) > reported
	}
	m.removing[volume]++
	m.mu.Unlock()
	_, err := e.ask("Remove", map[string]any{"Name": volume})
	m.did("remove", err)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.removing[volume]--
	if err != nil {
		return
	}
	if mounted {
		m.t.Errorf("%s was removed while it was mounted on %s", volume, e.node)
	}
	m.generation[volume]++
	m.content[volume], m.holders[volume] = "", nil
}

// TestPluginModel has three engines create, mount, unmount, remove and move a few volumes at once.
func TestPluginModel(t *testing.T) { testModel(t, 0) }

// TestPluginModelUnderKills does so while agents and the control service are killed.
func TestPluginModelUnderKills(t *testing.T) { testModel(t, time.Second) }

// testModel kills a process each time that every goes by, unless that is zero.
func testModel(t *testing.T, every time.Duration) {
	c := testcluster.New(t, 3)
	m := &model{t: t, generation: map[string]int{}, removing: map[string]int{}, content: map[string]string{}, holders: map[string]map[string]int{}, counts: map[string]int{}}
	var engines []*engine
	for _, node := range c.NodeNames() {
		engines = append(engines, startPlugin(t, c, node))
	}
	volumes := []string{"one", "two", "three"}
	const operations = 2000
	var group sync.WaitGroup
	for _, e := range engines {
		group.Go(func() {
			for n := 0; n < operations/len(engines) && !t.Failed(); n++ {
				volume := volumes[rand.IntN(len(volumes))]
				switch dice := rand.IntN(100); {
				case dice < 15:
					m.create(e, volume)
				case dice < 45:
					m.mount(e, volume)
				case dice < 80:
					if mounted := slices.Sorted(maps.Keys(e.mounts)); len(mounted) > 0 {
						m.unmount(e, mounted[rand.IntN(len(mounted))])
					}
				case dice < 86:
					m.remove(e, volume)
				case dice < 97:
					_, err := c.Control().RequestMove(t.Context(), wire.MoveRequest{Volume: volume, To: c.NodeNames()[rand.IntN(3)]})
					m.counted("move", err)
				default:
					_, err := e.ask("List", nil)
					m.did("list", err)
				}
			}
			for id := range maps.Clone(e.mounts) {
				m.unmount(e, id)
			}
		})
	}
	ended := make(chan struct{})
	go func() { group.Wait(); close(ended) }()
	for kills := 0; ; kills++ {
		var next <-chan time.Time
		if every > 0 {
			next = time.After(every)
		}
		select {
		case <-next:
			victim := []string{"a", "b", "c", localcluster.Control}[kills%4]
			m.restarts(victim)
			c.Restart(victim)
			m.restarts(victim)
			continue
		case <-ended:
		}
		t.Logf("%d kills, %v", kills, m.counts)
		return
	}
}

func (m *model) restarts(victim string) {
	if victim == localcluster.Control {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.away = time.Now()
	}
}

// counted is did for what may be refused for any reason.
func (m *model) counted(what string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		what += " refused"
	}
	m.counts[what]++
}
