package control

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/drover/drover/control/view"
)

// Options are how a Service behaves. The zero value works.
type Options struct {
	// Log is where the service says what it does; nil: slog's default.
	Log *slog.Logger
	// Version and Cluster are what Service.Version answers.
	Version, Cluster string
	// Clock is the host's clock, which may be set at any time: time.Now. The service waits by another one.
	Clock func() time.Time
	// KeptMoves is how many of the moves that have ended are kept: rules.KeptMoves.
	KeptMoves int
	// Timing holds the service's patience.
	Timing view.Timing
}

func (o Options) log() *slog.Logger { return cmp.Or(o.Log, slog.Default()) }

const (
	mostLogs      = 64 // requests for logs that are waited for or followed
	staleAttempts = 5  // how often a write is tried anew when the store is ahead
)
