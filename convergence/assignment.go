package convergence

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/internal/durable"
)

const assignmentFile = "slice.json"

// saveAssignment keeps an assignment for the next start of the agent. If it cannot be kept there is none, and its
// space is kept for the next: what was revoked must not be obeyed. Again says whether to try again later, as
// there is no room for it, or none is kept for the next.
func saveAssignment(dir string, s cluster.Assignment) (again bool, err error) {
	b, err := json.Marshal(s)
	if err != nil {
		return false, err
	}
	path := filepath.Join(dir, assignmentFile)
	const records = 4 // this, the clock of the trash, the node as it was admitted, and what was made
	again = durable.KeepSpares(dir, records, len(b)) != nil
	if err = durable.WriteFile(path, b, 0o600); err != nil {
		return true, errors.Join(err, durable.Retire(path, records+1))
	}
	return again, nil
}

// LastRoutes returns the routes that were in force when the agent of dir last ran. They can be obeyed
// before anything else is known: a proxy need not wait for a backend that opens slowly.
func LastRoutes(dir string, node cluster.NodeID) []cluster.Route {
	s, ok, err := loadAssignment(dir)
	if err != nil || !ok || s.Node != node {
		return nil
	}
	return s.Routes
}

// LastAddress returns the address that the node had when the agent of dir last ran; empty if that is not known.
func LastAddress(dir string, node cluster.NodeID) string {
	s, ok, err := loadAssignment(dir)
	if err != nil || !ok || s.Node != node {
		return ""
	}
	self, _ := s.Peer(node)
	return self.Address
}

// loadAssignment returns the last assignment that was kept, if there is one.
func loadAssignment(dir string) (cluster.Assignment, bool, error) {
	var s cluster.Assignment
	err := durable.ReadJSON(filepath.Join(dir, assignmentFile), &s)
	if errors.Is(err, fs.ErrNotExist) {
		return cluster.Assignment{}, false, nil
	}
	if err != nil {
		return cluster.Assignment{}, false, err
	}
	return s, true, nil
}
