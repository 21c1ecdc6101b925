package cluster

// Mode is what a proxy does with new connections.
type Mode string

const (
	// Forward: new connections go to the endpoint.
	Forward Mode = "forward"
	// Hold: new connections are accepted and wait.
	Hold Mode = "hold"
)

// A Route leads an external port, the same on every node, to the endpoint that serves an
// application now. The control service derives all routes; proxies obey.
type Route struct {
	External    int     `json:"external"`
	Application AppName `json:"application"`
	Mode        Mode    `json:"mode"`
	// Endpoint is the host:port of the application: who serves it, or, while held, who did.
	// Empty when nobody ever has.
	Endpoint string `json:"endpoint,omitempty"`
	// Epoch is the ownership epoch of the application's volume; zero without one.
	Epoch Epoch `json:"epoch,omitempty"`
	// Move is the move that holds the route. A proxy's patience is counted anew for each move,
	// from when the proxy learns of it, so that clocks need not agree.
	Move MoveID `json:"move,omitempty"`
}
