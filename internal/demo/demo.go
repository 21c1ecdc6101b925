// Package demo moves a real database around a real cluster under load, and reports what its
// clients saw.
//
//	d := &demo.Demo{Cluster: c, Database: db, Moves: 6, Clients: 8, Megabytes: 64}
//	report, err := d.Run(ctx)
//
// It does what a user does: configuration through the API, clients through a proxy. What it
// reports is counted on the clients' side; of the control service it takes only what a move
// shipped.
package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/localcluster"
	"github.com/drover/drover/internal/sleep"
	"github.com/drover/drover/internal/workload"
)

// A Demo is one run. Cluster, which is started, and Database must be set.
type Demo struct {
	Cluster  *localcluster.Cluster
	Database workload.Database
	// Moves is how often the database moves, Clients how many write to it, Megabytes about how
	// much it holds before the first move.
	Moves, Clients, Megabytes int
	// Seconds is for how long the clients write at least; the moves are spread over that time.
	Seconds int
	// Watch is told how it goes; it may be nil.
	Watch Watch
}

// A Watch is told how a demo goes.
type Watch interface {
	// Begin names what begins now.
	Begin(what string)
	// Fill is how far the filling of the database has come, in bytes.
	Fill(done, total int64)
	// Move is the newest state of the move that is under way.
	Move(m cluster.Move)
	// Moved is what became of it.
	Moved(m MoveReport)
}

// A Report is what a run came to.
type Report struct {
	Nodes              int     `json:"nodes"`
	Moves              int     `json:"moves"`
	Clients            int     `json:"clients"`
	WritesAcknowledged int64   `json:"writes_acknowledged"`
	WritesLost         int     `json:"writes_lost"`
	RequestsFailed     int64   `json:"requests_failed"`
	Reconnects         int64   `json:"reconnects"`
	LongestPauseMS     float64 `json:"longest_pause_ms"`
	BytesPrecopied     int64   `json:"bytes_precopied"`
	BytesFinal         int64   `json:"bytes_final"`
	Seconds            float64 `json:"seconds"`
	Backend            string  `json:"backend"`
	Runtime            string  `json:"runtime"`
	Database           string  `json:"database"`
	// Details has an entry for each move.
	Details []MoveReport `json:"details"`
	// Errors are the first few failures that clients saw, and losses.
	Errors []string `json:"errors,omitempty"`
}

// A MoveReport is one move as its clients saw it.
type MoveReport struct {
	From           string  `json:"from"`
	To             string  `json:"to"`
	Rounds         int     `json:"rounds"`
	BytesPrecopied int64   `json:"bytes_precopied"`
	BytesFinal     int64   `json:"bytes_final"`
	Seconds        float64 `json:"seconds"`
	// PauseMS is the longest time that a client waited for one acknowledgement during the move.
	PauseMS float64 `json:"pause_ms"`
}

// application is the name of the database in the cluster.
const application cluster.AppName = "database"

// external is the port at which every node's proxy serves it.
const external = 15432

// quietMoves is the time between two moves when no time is asked for.
const quietMoves = 500 * time.Millisecond

// Run runs the demo on a cluster of at least two nodes. An error means that it could not be
// finished; what was lost is in the report.
func (d *Demo) Run(ctx context.Context) (Report, error) {
	began := time.Now()
	if d.Cluster.Nodes < 2 {
		return Report{}, fmt.Errorf("%w: a move takes two nodes", cluster.ErrInvalid)
	}
	if d.Watch == nil {
		d.Watch = silence{}
	}
	control, err := d.Cluster.Client()
	if err != nil {
		return Report{}, err
	}
	names := d.Cluster.NodeNames()
	d.Watch.Begin(fmt.Sprintf("deploy %s to %s", d.Database.Name(), names[0]))
	if err := d.deploy(ctx, control, names[0]); err != nil {
		return Report{}, fmt.Errorf("deploy the database: %w", err)
	}
	proxy := names[min(2, len(names)-1)]
	address := fmt.Sprintf("%s:%d", d.Cluster.Address(proxy), external)
	d.Watch.Begin(fmt.Sprintf("fill it with %d MB", d.Megabytes))
	if err := d.Database.Prepare(ctx, address, d.Megabytes, d.Watch.Fill); err != nil {
		return Report{}, err
	}
	d.Watch.Begin(fmt.Sprintf("%s to write through the proxy of %s", cluster.Count(d.Clients, "client"), proxy))
	runner := &workload.Runner{Database: d.Database, Address: address, Clients: d.Clients}
	runner.Start(ctx)
	report := Report{Nodes: d.Cluster.Nodes, Clients: d.Clients, Backend: "dir", Runtime: "process", Database: d.Database.Name()}
	err = d.moveAround(ctx, control, runner, &report)
	totals := runner.Stop()
	report.WritesAcknowledged, report.RequestsFailed, report.Reconnects = totals.Acknowledged, totals.Failed, totals.Reconnects
	for _, e := range totals.Errors {
		report.Errors = append(report.Errors, e.Error())
	}
	if err != nil {
		return report, err
	}
	d.Watch.Begin("read everything back and compare")
	check, err := runner.Verify(ctx)
	report.WritesLost = len(check.Lost)
	report.Errors = append(report.Errors, check.Lost[:min(len(check.Lost), 10)]...)
	report.Seconds = time.Since(began).Seconds()
	return report, err
}

func (d *Demo) deploy(ctx context.Context, control *client.Client, node string) error {
	app := d.Database.Application(application, external)
	app.Node = d.Cluster.NodeID(node)
	_, err := control.Configure(ctx, 0, cluster.Configuration{
		Applications: map[cluster.AppName]cluster.Application{app.Name: app},
		Volumes: map[cluster.VolumeID]cluster.Volume{
			app.Volume.Volume: {ID: app.Volume.Volume, Name: string(app.Name), Primary: app.Node}},
	})
	if err != nil {
		return err
	}
	status, err := control.WaitConverged(ctx, nil)
	if err != nil {
		return fmt.Errorf("%w; pending: %v", err, status.Pending)
	}
	return nil
}

// moveAround moves the database from node to node, round and round.
func (d *Demo) moveAround(ctx context.Context, control *client.Client, runner *workload.Runner, report *Report) error {
	between := max(quietMoves, time.Duration(d.Seconds)*time.Second/time.Duration(d.Moves+1))
	began := time.Now()
	names := d.Cluster.NodeNames()
	for i := range d.Moves {
		if err := sleep.For(ctx, time.Until(began.Add(between*time.Duration(i+1)))); err != nil {
			return err
		}
		if err := sleep.For(ctx, quietMoves); err != nil {
			return err
		}
		from, to := names[i%len(names)], names[(i+1)%len(names)]
		d.Watch.Begin(fmt.Sprintf("move %d of %d: %s to %s", i+1, d.Moves, from, to))
		runner.Mark()
		moved, err := d.move(ctx, control, to)
		if err != nil {
			return err
		}
		moved.From, moved.To = from, to
		moved.PauseMS = float64(runner.Mark().Wait.Microseconds()) / 1000
		d.Watch.Moved(moved)
		report.Moves++
		report.BytesPrecopied += moved.BytesPrecopied
		report.BytesFinal += moved.BytesFinal
		report.LongestPauseMS = max(report.LongestPauseMS, moved.PauseMS)
		report.Details = append(report.Details, moved)
	}
	return sleep.For(ctx, max(quietMoves, time.Until(began.Add(time.Duration(d.Seconds)*time.Second))))
}

func (d *Demo) move(ctx context.Context, control *client.Client, to string) (MoveReport, error) {
	requested, err := control.RequestMove(ctx, wire.MoveRequest{Application: application, To: to})
	if err != nil {
		return MoveReport{}, err
	}
	m, err := control.WatchMove(ctx, requested.ID, d.Watch.Move)
	if err != nil {
		return MoveReport{}, err
	}
	if m.Phase != cluster.PhaseDone {
		return MoveReport{}, fmt.Errorf("%w: move to %s: %s: %s", cluster.ErrConflict, to, m.Phase, m.Reason)
	}
	// A client that was held is served a little later than the route is changed.
	if err := sleep.For(ctx, quietMoves); err != nil {
		return MoveReport{}, err
	}
	return MoveReport{Rounds: len(m.Stats.Rounds), BytesPrecopied: m.Stats.PrecopiedBytes(), BytesFinal: m.Stats.Final.Bytes,
		Seconds: m.Ended.Sub(m.Requested).Seconds()}, nil
}

// Err says what a report proves wrong, or nil.
func (r Report) Err() error {
	var errs []error
	if r.WritesLost > 0 {
		errs = append(errs, fmt.Errorf("%s lost", cluster.Count(r.WritesLost, "acknowledged write")))
	}
	if r.RequestsFailed > 0 {
		errs = append(errs, fmt.Errorf("%s failed", cluster.Count(r.RequestsFailed, "request")))
	}
	if r.WritesAcknowledged == 0 {
		errs = append(errs, errors.New("nothing was written, so nothing is proved"))
	}
	return errors.Join(errs...)
}

// silence is the Watch of a demo that nobody watches.
type silence struct{}

func (silence) Begin(string)      {}
func (silence) Fill(_, _ int64)   {}
func (silence) Move(cluster.Move) {}
func (silence) Moved(MoveReport)  {}
