package convergence

import (
	"fmt"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
)

// restarts is how often applications have been started again, and when and how they last ended.
type restarts struct {
	mu sync.Mutex
	of map[cluster.AppName]restart
}

type restart struct {
	count  int
	ended  time.Time // zero: it has been started since
	seen   time.Time // when that was first seen, by a clock that does not jump
	reason string
	over   string // why it is not started again
}

// decide asks the restart policy of every instance that has ended by itself.
func (r *restarts) decide(apps []cluster.Application, instances []runtime.Instance) map[cluster.AppName]plan.Restart {
	r.mu.Lock()
	defer r.mu.Unlock()
	policies := make(map[cluster.AppName]cluster.RestartPolicy, len(apps))
	for _, app := range apps {
		policies[app.Name] = app.Restart
	}
	decided := map[cluster.AppName]plan.Restart{}
	for _, i := range instances {
		policy, wanted := policies[i.Name]
		if !wanted || i.Running || i.Asked || i.Ended.IsZero() {
			continue
		}
		again, at, reason := runtime.Restart(policy, r.of[i.Name].count, i)
		h := restart{count: r.of[i.Name].count, ended: i.Ended, seen: time.Now(), reason: i.Reason}
		if was := r.of[i.Name]; was.ended.Equal(i.Ended) {
			h.seen = was.seen
		}
		decided[i.Name] = plan.Restart{Again: again, At: h.seen.Add(at.Sub(i.Ended)), Reason: reason}
		if !again {
			h.over = reason
		}
		r.set(i.Name, h)
	}
	return decided
}

// set keeps a history. The caller holds mu.
func (r *restarts) set(name cluster.AppName, to restart) {
	if r.of == nil {
		r.of = map[cluster.AppName]restart{}
	}
	r.of[name] = to
}

// last returns the history of an application.
func (r *restarts) last(name cluster.AppName) restart {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of[name]
}

// starts counts a start that follows an end. One that failed is none.
func (r *restarts) starts(name cluster.AppName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.of[name]; !h.ended.IsZero() {
		r.set(name, restart{count: h.count + 1, reason: h.reason})
	}
}

// forget begins a new history: the application is another one now.
func (r *restarts) forget(name cluster.AppName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, name)
}

const (
	// settleFirst is how long an application must have run to count as one that runs, and settleMost
	// how long one that has ended by itself time and again.
	settleFirst = time.Second
	settleMost  = 10 * time.Second
)

// settling says why an application that runs does not count as one that does what is wanted: it is
// outdated, or was started so lately that it may end at once. It returns for how much longer that is
// so by time alone.
func (r *restarts) settling(i runtime.Instance, outdated bool, now time.Time) (why string, wait time.Duration) {
	if !i.Running {
		return "", 0
	}
	if outdated {
		return "what runs is of a former definition, and is to be replaced", 0
	}
	why, wait = "it has just been started", settleFirst
	if h := r.last(i.Name); h.count > 0 {
		why = fmt.Sprintf("it %s, and has just been started again (restart %d)", h.reason, h.count)
		wait = min(settleFirst<<min(h.count, 10), settleMost)
	}
	age := now.Sub(i.Started)
	if wait -= age; wait <= 0 || age < 0 { // the clock was set back: nobody knows
		return "", 0
	}
	return why, wait
}
