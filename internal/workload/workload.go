// Package workload puts a database under load through a proxy and proves afterwards that it kept
// every write that it acknowledged.
//
//	r := &workload.Runner{Database: db, Address: "127.0.0.4:7000", Clients: 8}
//	r.Start(ctx)
//	...                      // move the database, kill processes
//	totals := r.Stop()
//	check, err := r.Verify(ctx)
//
// Each client keeps every acknowledged write on its own side. A connection that was open may
// break when the database moves: the client connects again and repeats the write, which is the
// same by its id. What must not happen is that a new connection fails, that an error is
// answered, or that an acknowledged write is missing.
package workload

import (
	"context"
	"errors"

	"github.com/drover/drover/cluster"
)

// An Entry is one write.
type Entry struct {
	// ID makes a write that is repeated the same write.
	ID string `json:"id"`
	// From and To are accounts, Amount goes from one to the other.
	From   int   `json:"from"`
	To     int   `json:"to"`
	Amount int64 `json:"amount"`
}

// A Database is a kind of database that can be put under load.
type Database interface {
	// Name is "ledger" or "postgres".
	Name() string
	// Application is how Drover runs it.
	Application(name cluster.AppName, external int) cluster.Application
	// Prepare makes what the load needs, and fills the database up to about that many
	// megabytes.
	Prepare(ctx context.Context, address string, megabytes int, progress func(done, total int64)) error
	// Connect opens one connection.
	Connect(ctx context.Context, address string) (Conn, error)
	// Entries reads everything back. The caller compares row by row.
	Entries(ctx context.Context, address string) (map[string]Entry, error)
}

// A Conn is one client's connection.
type Conn interface {
	// Write stores an entry and returns when the database has acknowledged it. ErrBroken means
	// that the connection ended before an answer came.
	Write(ctx context.Context, e Entry) error
	Close() error
}

// ErrBroken: a connection ended before the answer to a request came.
var ErrBroken = errors.New("the connection broke")

// Accounts is how many accounts there are to move amounts between.
const Accounts = 1000
