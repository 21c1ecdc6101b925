package cluster

// LogID identifies a LogRequest.
type LogID string

// A LogRequest asks the node where an application runs for its output. It is in the node's assignment
// for as long as someone wants the output and the application is the node's to run.
type LogRequest struct {
	ID          LogID   `json:"id"`
	Application AppName `json:"application"`
	// Follow: the output goes on as it is written, until the request is no longer in the assignment.
	Follow bool `json:"follow,omitempty"`
}
