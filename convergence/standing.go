package convergence

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

// A standing is whether this process may begin anything as its node. What is on its disk does not say so:
// a copy of a host has a copy of that disk, and would write the volumes that it says it owns beside the
// host that does.
//
//	starts with an assignment on disk  -> waits for an answer of the control service
//	it is taken for the node           -> goes on as it is told then, for good: who comes later is the other one
//	it is refused                      -> waits until it is taken for the node
//	it may have to wait for another    -> waits, until nobody answers
//	nobody answers                     -> goes on by what it has on disk, if nothing speaks against it
//
// Against it speaks that it is at another address than when it was last taken for the node, and that
// another host takes part in membership as this node.
type standing struct {
	started time.Time
	// elsewhere is the address at which the node was last; empty if it is there still.
	elsewhere string

	mu                      sync.Mutex
	admitted, refused, kept bool      // kept: that it is admitted is on disk
	waits                   string    // for what, or empty
	since                   time.Time // it is admitted
}

// gossipPatience is how long after its start an agent that the control service does not answer gives the
// other nodes to say that there is another one like it.
const gossipPatience = 3 * time.Second

// admittedFile is the node as it was last taken for that.
const admittedFile = "admitted.json"

// begin is how an agent stands that has an assignment on disk.
func (s *standing) begin(dir string, n cluster.Node) error {
	s.started, s.waits = time.Now(), "the control service has not been asked yet"
	var was cluster.Node
	err := durable.ReadJSON(filepath.Join(dir, admittedFile), &was)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it is of an earlier version
	}
	if err == nil && n.Elsewhere(was) {
		s.elsewhere = was.Address
	}
	return err
}

// waiting says what has to happen before anything is begun; empty: nothing.
func (s *standing) waiting() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waits
}

// speaks reports whether this process may speak as the node.
func (s *standing) speaks() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.admitted || s.waits == ""
}

// taken reports whether this process was taken for the node before.
func (s *standing) taken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.admitted
}

// told takes in that the control service has said what the node is to do. It reports whether that makes a
// difference.
func (s *standing) told() (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	news, s.waits = s.waits != "", ""
	return news
}

// answered takes in the answer to a registration. It reports whether it makes a difference.
func (s *standing) answered(err error, rival string) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.waits
	if s.admitted {
		if err != nil && !errors.Is(err, cluster.ErrConflict) && time.Since(s.since) >= gossipPatience {
			s.waits = "" // it is the node, and nobody says what it is to do
		}
		return s.waits != was
	}
	switch {
	case err == nil && was == "":
		s.admitted = true
	case errors.Is(err, cluster.ErrAwaited):
		if was != "" { // who goes on by its disk does so: nobody has said that it is another one
			s.waits = err.Error()
		}
	case err == nil:
		s.admitted, s.since, s.waits = true, time.Now(), "the control service has not said yet what is to be done"
	case errors.Is(err, cluster.ErrConflict):
		s.refused, s.waits = true, err.Error()
	case s.refused, was == "": // nothing has been said since that takes it back
	case s.elsewhere != "":
		s.waits = fmt.Sprintf("this host was at %s, and the control service has to say that it is the same one", s.elsewhere)
	case rival != "":
		s.waits = fmt.Sprintf("the host at %s takes part as this node", rival)
	case time.Since(s.started) < gossipPatience:
	default:
		s.waits = ""
	}
	return s.waits != was
}

// stand takes in the answer of the control service to a registration.
func (a *Agent) stand(err error) {
	rival := ""
	if a.Members != nil {
		rival = a.Members.Rival()
	}
	if !a.standing.answered(err, rival) {
		return
	}
	if why := a.standing.waiting(); why != "" && err != nil {
		a.Log.Error("nothing is opened, started or served here", "reason", why, "hint", cluster.Hint(err))
	}
	if errors.Is(err, cluster.ErrConflict) {
		// The routes on its disk are of another time, and nobody renews them.
		if err := a.Routes.Apply(nil); err != nil {
			a.Log.Error("not every route is closed", "error", err)
		}
	}
	a.wake.send()
}

// keep writes down where the node was admitted, once it has been.
func (s *standing) keep(dir string, n cluster.Node) error {
	s.mu.Lock()
	due := s.admitted && !s.kept
	s.mu.Unlock()
	if !due {
		return nil
	}
	b, err := json.Marshal(n)
	if err == nil {
		err = durable.WriteFile(filepath.Join(dir, admittedFile), b, 0o600)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = err == nil
	return err
}
