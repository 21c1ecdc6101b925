package wire

import (
	"context"

	"github.com/drover/drover/cluster"
)

// HeaderInstance names the process that speaks as a node: an id that it made up at its start. Two that
// speak at once have been given one identity, which the service can tell from a restart by this alone.
const HeaderInstance = "Drover-Instance"

type instanceKey struct{}

// WithInstance returns a context of a call by an instance.
func WithInstance(ctx context.Context, instance string) context.Context {
	return context.WithValue(ctx, instanceKey{}, instance)
}

// InstanceOf returns the instance that a call is by; empty if it does not say.
func InstanceOf(ctx context.Context) string {
	instance, _ := ctx.Value(instanceKey{}).(string)
	return instance
}

// A Caller is who asks for something, as the certificate says.
type Caller struct {
	// User is the name of a user, or Node the node whose Docker plugin it is.
	User string
	Node cluster.NodeID
}

type callerKey struct{}

// WithCaller returns a context of a call by somebody.
func WithCaller(ctx context.Context, who Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, who)
}

// CallerOf returns who a call is by; zero if that is not known, or it is a node's own.
func CallerOf(ctx context.Context) Caller {
	who, _ := ctx.Value(callerKey{}).(Caller)
	return who
}
