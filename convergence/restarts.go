package convergence

import (
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/plan"
	"github.com/drover/drover/convergence/runtime"
)

// A restartHistory is how often an application has been started again, and when it last ended.
type restartHistory struct {
	count int
	ended time.Time
}

// decideRestarts asks the restart policy of every instance that has ended by itself. The caller
// holds mu.
func (a *Agent) decideRestarts(instances []runtime.Instance) map[cluster.AppName]plan.Restart {
	decided := map[cluster.AppName]plan.Restart{}
	for _, app := range a.slice.Applications {
		for _, i := range instances {
			if i.Name != app.Name || i.Running || i.Asked || i.Ended.IsZero() {
				continue
			}
			h := a.restarts[i.Name]
			if h == nil {
				h = &restartHistory{}
				a.restarts[i.Name] = h
			}
			h.ended = i.Ended
			again, at, reason := runtime.Restart(app.Restart, h.count, i)
			decided[i.Name] = plan.Restart{Again: again, At: at, Reason: reason}
		}
	}
	return decided
}

// restarting counts a start that follows an end.
func (a *Agent) restarting(name cluster.AppName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if h := a.restarts[name]; h != nil && !h.ended.IsZero() {
		h.count++
		h.ended = time.Time{}
	}
}

// forgetRestarts begins a new history: the application is another one now.
func (a *Agent) forgetRestarts(name cluster.AppName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.restarts, name)
}
