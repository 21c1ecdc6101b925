package wire

import "github.com/drover/drover/cluster"

// Subjects are what somebody waits for; none: all that there is.
type Subjects struct {
	// Applications are also those that are configured no more, which shall run nowhere.
	Applications []cluster.AppName
	// Volumes and Nodes are given by id or name.
	Volumes, Nodes []string
}

// All reports whether they are all that there is.
func (s Subjects) All() bool { return len(s.Applications)+len(s.Volumes)+len(s.Nodes) == 0 }

// Missing is what is missing until everything is as configured, or some subjects of it are.
type Missing struct {
	// Revision is that of the configuration.
	Revision cluster.Revision `json:"revision"`
	// Converged: nothing is.
	Converged bool `json:"converged"`
	// Pending says what is, one sentence each.
	Pending []string `json:"pending,omitempty"`
	// Gone are the nodes for which something of that waits and that are not there: to wait does not help.
	Gone []GoneNode `json:"gone,omitempty"`
}

// Missing returns what a status says of it.
func (s Status) Missing() Missing { return Missing{s.Revision, s.Converged, s.Pending, s.Gone} }
