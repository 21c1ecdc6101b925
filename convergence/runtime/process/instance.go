package process

import (
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
	if err := os.Mkdir(i.dir, 0o711); err != nil {
		return nil, err
	}
	return i, i.choosePorts()
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
	// The environment may hold the application's secrets.
	return durable.WriteFile(filepath.Join(i.dir, "spec.json"), b, 0o600)
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
	b, err := os.ReadFile(filepath.Join(dir, "spec.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &i.made); err != nil {
		return nil, err
	}
	b, err = os.ReadFile(filepath.Join(dir, "record.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return i, nil
	}
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(b, &i.record) != nil || i.record.Boot != bootID() {
		i.record = record{Ended: time.Now(), Asked: true, Reason: "the host was restarted"}
		return i, nil
	}
	if i.record.Begun {
		i.recover()
	}
	return i, nil
}

// recover finds the process of an instance that an earlier agent started.
func (i *instance) recover() {
	leader := i.record.Process
	if !leader.alive() {
		// Its record may be older than the process: the agent may have died in between.
		leader = leaderOf(withToken(i.made.Token))
	}
	if leader.PID == 0 {
		i.ended(0, "ended while the agent was away")
		return
	}
	i.record.Process = leader
	i.watch(leader, nil)
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
