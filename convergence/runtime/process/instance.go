package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/internal/durable"
)

// An instance is one application on this node.
type instance struct {
	runtime *Runtime
	dir     string
	made    made

	mu     sync.Mutex
	record record
	// run is the process under watch; nil while there is none.
	run     *run
	healthy bool
}

// made is what does not change while the instance exists.
type made struct {
	Spec  runtime.Spec `json:"spec"`
	Token string       `json:"token"`
	// Ports maps each declared internal port to the one that the application is told.
	Ports map[int]int `json:"ports"`
}

// A record is the process of an instance, or how the last one ended. It is not synced: it says
// nothing after the host went down, which ends every process that it could speak of.
type record struct {
	Begun   bool      `json:"begun"` // a process was about to be started, and has not ended
	Process identity  `json:"process"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	Status  int       `json:"status"`
	Asked   bool      `json:"asked"`
	Reason  string    `json:"reason"`
	Boot    string    `json:"boot"`
}

// make makes a new instance in place of one that does not run.
func (r *Runtime) make(spec runtime.Spec) (*instance, error) {
	i := &instance{runtime: r, dir: filepath.Join(r.dir, string(spec.Application.Name))}
	i.made = made{Spec: spec, Token: cluster.NewUUID(), Ports: map[int]int{}}
	if err := os.RemoveAll(i.dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(i.dir, 0o700); err != nil {
		return nil, err
	}
	// It is started when the disk may be full.
	output, err := i.output()
	if err == nil {
		err = output.Close()
	}
	return i, errors.Join(err, i.choosePorts())
}

// choosePorts picks a free port for each internal port, and keeps those that still are.
func (i *instance) choosePorts() error {
	for _, p := range i.made.Spec.Application.Ports {
		port, err := freePort(i.made.Spec.PublishAddress(), i.made.Ports[p.Internal])
		if err != nil {
			return err
		}
		i.made.Ports[p.Internal] = port
	}
	b, err := json.Marshal(i.made)
	if err != nil {
		return err
	}
	const records = 2                              // this and the one of its process
	_ = durable.KeepSpares(i.dir, records, len(b)) // on a full disk they are made another time
	path := filepath.Join(i.dir, "spec.json")
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(bytes.TrimRight(old, "\n"), b) {
		return nil
	}
	// The environment may hold the application's secrets.
	return durable.WriteFile(path, b, 0o600)
}

// freePort returns the preferred port if nobody listens there, else another one.
func freePort(address string, preferred int) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(preferred)))
	if err != nil && preferred != 0 {
		l, err = net.Listen("tcp", net.JoinHostPort(address, "0"))
	}
	if err != nil {
		return 0, fmt.Errorf("find a free port on %s: %w", address, err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// load reads an instance and takes up the watch of its process, if that still runs.
func (r *Runtime) load(dir string) (*instance, error) {
	i := &instance{runtime: r, dir: dir}
	if err := durable.ReadJSON(filepath.Join(dir, "spec.json"), &i.made); err != nil {
		return nil, err
	}
	if err := i.made.check(cluster.AppName(filepath.Base(dir))); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(dir, "record.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return i, nil
	}
	if err != nil {
		return nil, err
	}
	i.record = parseRecord(b, bootID())
	if i.record.Begun {
		return i, i.recover()
	}
	return i, nil
}

// check says what is wrong with what was read of the instance of that name.
func (m *made) check(name cluster.AppName) error {
	if app := m.Spec.Application; app.Name != name || !cluster.ValidName(string(name)) || !cluster.IsUUID(m.Token) || len(app.Command) == 0 {
		return fmt.Errorf("%w: what application %s was made from: name %q, token %q, %d words of command",
			cluster.ErrInvalid, name, app.Name, m.Token, len(app.Command))
	}
	if m.Ports == nil {
		m.Ports = map[int]int{}
	}
	return nil
}

// parseRecord reads a record of a boot. One of another boot, or that is not readable, says only that
// whatever ran does not run any more.
func parseRecord(b []byte, boot string) record {
	var r record
	if json.Unmarshal(b, &r) != nil || r.Boot != boot {
		return record{Ended: time.Now(), Asked: true, Reason: "the host was restarted"}
	}
	if r.Process.PID < 0 {
		r.Process = identity{} // to kill a negative id is to kill a group
	}
	return r
}

// recover finds the process of an instance that an earlier agent started.
func (i *instance) recover() error {
	leader := i.record.Process
	if !leader.alive() {
		// Its record may be older than the process: the agent may have died in between.
		processes, err := withToken(i.made.Token)
		if err != nil {
			return err
		}
		leader = leaderOf(processes)
	}
	if leader.PID == 0 {
		i.ended(0, "ended while the agent was away")
		return nil
	}
	i.record.Process = leader
	i.watch(leader, nil)
	return nil
}

// save keeps the record; the caller holds mu. A failure costs only what an agent that is
// restarted would have known.
func (i *instance) save() {
	i.record.Boot = bootID()
	b, err := json.Marshal(i.record)
	if err == nil {
		path := filepath.Join(i.dir, "record.json")
		if err = os.WriteFile(path+".new", b, 0o600); err == nil {
			err = os.Rename(path+".new", path)
		}
		if cluster.Full(err) {
			_ = os.Remove(path + ".new") // the record that counts is the next
			err = durable.ReplaceFile(path, b, 0o600)
		}
	}
	if err != nil {
		i.runtime.log.Warn("the record of an application was not kept", "app", i.made.Spec.Application.Name, "error", err)
	}
}

// ended notes the end of the process; the caller holds mu, or is the only one to know i.
func (i *instance) ended(status int, reason string) {
	i.record.Begun, i.record.Process = false, identity{}
	i.record.Ended, i.record.Status, i.record.Reason = time.Now(), status, reason
	i.run, i.healthy = nil, false
	i.save()
}

// state is the instance as the contract shows it.
func (i *instance) state() runtime.Instance {
	i.mu.Lock()
	defer i.mu.Unlock()
	spec := i.made.Spec
	s := runtime.Instance{Name: spec.Application.Name, Epoch: spec.Epoch, Fingerprint: spec.Fingerprint(),
		Running: i.run != nil, Healthy: i.healthy, Started: i.record.Started}
	if spec.Application.Volume != nil {
		s.Volume = spec.Application.Volume.Volume
	}
	if !s.Running {
		s.Ended, s.ExitStatus, s.Reason, s.Asked = i.record.Ended, i.record.Status, i.record.Reason, i.record.Asked
	}
	s.Endpoints = make(map[int]string, len(i.made.Ports))
	for internal := range i.made.Ports {
		s.Endpoints[internal] = i.endpoint(internal)
	}
	return s
}

func (i *instance) endpoint(internal int) string {
	return net.JoinHostPort(i.made.Spec.PublishAddress(), strconv.Itoa(i.made.Ports[internal]))
}
