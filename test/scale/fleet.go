package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// agentsProcess is the first argument of this program where it is some of the agents.
const agentsProcess = "some-of-the-agents"

// A charge is what a process of agents is told first.
type charge struct {
	PKI     string `json:"pki"`
	Address string `json:"address"`
	From    int    `json:"from"`
	To      int    `json:"to"` // exclusive
}

// An order is what it is asked after that; each is answered with a report.
type order struct {
	// Do is "count", "away": all are to come back, "expect": a route that leads to Endpoint, or "serve": the
	// application of Agent there.
	Do       string `json:"do"`
	Agent    int    `json:"agent,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
}

// A tally is what some of the agents have seen.
type tally struct {
	Up int `json:"up"`
	// Bytes have been sent and received.
	Bytes int64 `json:"bytes"`
	Beats int64 `json:"beats"`
	// Failures are calls that were not answered, or refused, and Failure is one of them.
	Failures int64  `json:"failures"`
	Failure  string `json:"failure,omitempty"`
	// Expecting is how many agents know the route that is expected, and Last when the last one came to know.
	Expecting int       `json:"expecting"`
	Last      time.Time `json:"last"`
	// Probes says when volumes became known to their nodes.
	Probes map[string]time.Time `json:"probes,omitempty"`
}

func (t *tally) add(more tally) {
	t.Up += more.Up
	t.Bytes += more.Bytes
	t.Beats += more.Beats
	t.Failures += more.Failures
	t.Expecting += more.Expecting
	if more.Failure != "" {
		t.Failure = more.Failure
	}
	if more.Last.After(t.Last) {
		t.Last = more.Last
	}
	for name, at := range more.Probes {
		t.Probes[name] = at
	}
}

// A fleet is the processes of all agents.
type fleet struct{ crews []*crew }

type crew struct {
	charge
	cmd     *exec.Cmd
	orders  io.WriteCloser
	answers *bufio.Reader
}

// startFleet starts all agents; the caller ends what it returns, even with an error.
func startFleet(ctx context.Context, pki, address string, o options) (*fleet, error) {
	f := &fleet{}
	for from := 0; from < o.agents; from += o.perProcess {
		c := &crew{charge: charge{PKI: pki, Address: address, From: from, To: min(o.agents, from+o.perProcess)}}
		c.cmd = exec.CommandContext(ctx, "/proc/self/exe", agentsProcess)
		c.cmd.Stderr = os.Stderr
		c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
		in, err := c.cmd.StdinPipe()
		if err != nil {
			return f, err
		}
		out, err := c.cmd.StdoutPipe()
		if err != nil {
			return f, err
		}
		c.orders, c.answers = in, bufio.NewReader(out)
		if err := c.cmd.Start(); err != nil {
			return f, err
		}
		f.crews = append(f.crews, c)
		if err := json.NewEncoder(c.orders).Encode(c.charge); err != nil {
			return f, fmt.Errorf("start agents: %w", err)
		}
	}
	return f, nil
}

// end ends all agents.
func (f *fleet) end() {
	if f == nil {
		return
	}
	for _, c := range f.crews {
		_ = c.orders.Close()
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	}
}

// ask has all processes do something, and returns what they have seen.
func (f *fleet) ask(o order) (tally, error) {
	all := tally{Probes: map[string]time.Time{}}
	var failed error
	for _, c := range f.crews {
		failed = errors.Join(failed, json.NewEncoder(c.orders).Encode(o))
	}
	for _, c := range f.crews {
		var one tally
		line, err := c.answers.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &one)
		}
		failed = errors.Join(failed, err)
		all.add(one)
	}
	if failed != nil {
		return all, fmt.Errorf("ask the agents: %w", failed)
	}
	return all, nil
}

func (f *fleet) count() (tally, error) { return f.ask(order{Do: "count"}) }
