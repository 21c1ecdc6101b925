package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/client"
	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

// A ship is a process of agents, and what they have in common.
type ship struct {
	agents       []*agent
	library      library
	bytes, beats atomic.Int64
	failures     atomic.Int64
	mu           sync.Mutex
	failure      string
	probes       map[string]time.Time
	expected     cluster.Route
	knowing      int
	lastToKnow   time.Time
}

// runAgents is such a process. It ends when its orders do.
func runAgents() int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	orders := bufio.NewReader(os.Stdin)
	var c charge
	line, err := orders.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &c)
	}
	s := &ship{probes: map[string]time.Time{}, library: library{found: make(chan struct{})}}
	if err == nil {
		err = s.board(c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "agents:", err)
		return 1
	}
	for i, a := range s.agents {
		time.AfterFunc(time.Duration(i)*startEvery, func() { a.run(ctx) })
	}
	for {
		line, err := orders.ReadBytes('\n')
		if err != nil {
			return 0
		}
		var o order
		if err := json.Unmarshal(line, &o); err != nil {
			fmt.Fprintln(os.Stderr, "agents:", err)
			return 1
		}
		s.carryOut(o)
		if err := json.NewEncoder(os.Stdout).Encode(s.tally()); err != nil {
			return 1
		}
	}
}

// startEvery is how soon one agent of a process starts after another: it is a restart of the service that is
// measured, and not one of the whole cluster.
const startEvery = 3 * time.Millisecond

// board makes the agents. Their certificates are signed here: as files, ten thousand of them would take longer than
// all that is measured.
func (s *ship) board(c charge) error {
	authority, err := tls.LoadX509KeyPair(filepath.Join(c.PKI, pki.Cluster+".crt"), filepath.Join(c.PKI, pki.Cluster+".key"))
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.Leaf)
	for n := c.From; n < c.To; n++ {
		template := &x509.Certificate{SerialNumber: big.NewInt(int64(n + 2)), Subject: pkix.Name{CommonName: "node-" + string(nodeID(n))},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
		der, err := x509.CreateCertificate(rand.Reader, template, authority.Leaf, key.Public(), authority.PrivateKey)
		if err != nil {
			return err
		}
		control := client.New(client.Options{Address: c.Address, Dial: s.dial, TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots,
			ServerName: pki.ServiceName, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}})
		s.agents = append(s.agents, newAgent(n, s, control))
	}
	return nil
}

func (s *ship) carryOut(o order) {
	switch o.Do {
	case "away":
		for _, a := range s.agents {
			a.up.Store(false)
		}
	case "expect":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.expected = cluster.Route{External: firstPort + o.Agent, Endpoint: o.Endpoint}
		s.knowing, s.lastToKnow = 0, time.Time{}
	case "serve":
		for _, a := range s.agents {
			if a.n == o.Agent {
				a.serve(o.Endpoint)
			}
		}
	}
}

func (s *ship) tally() tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := tally{Bytes: s.bytes.Load(), Beats: s.beats.Load(), Failures: s.failures.Load(), Failure: s.failure,
		Expecting: s.knowing, Last: s.lastToKnow, Probes: s.probes}
	for _, a := range s.agents {
		if a.up.Load() {
			t.Up++
		}
	}
	return t
}

func (s *ship) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	s.failures.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = err.Error()
}

func (s *ship) noteProbe(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.probes[name]; !known {
		s.probes[name] = time.Now()
	}
}

// noteRoute counts an agent that knows the route that is expected now, and did not before.
func (s *ship) noteRoute(before, now *told) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expected.External != 0 && now.leadsTo(s.expected) && !before.leadsTo(s.expected) {
		s.knowing++
		s.lastToKnow = time.Now()
	}
}

// dial connects as clients do, and counts bytes.
func (s *ship) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return counted{c, &s.bytes}, nil
}

type counted struct {
	net.Conn
	bytes *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

// A told is what all nodes are told, at one revision.
type told struct {
	assignment cluster.Assignment
	named      func() string
}

// digest is its wire.Digest; empty for nothing.
func (t *told) digest() string {
	if t == nil {
		return ""
	}
	return t.named()
}

func (t *told) leadsTo(want cluster.Route) bool {
	if t == nil {
		return false
	}
	i, found := slices.BinarySearchFunc(t.assignment.Routes, want.External, func(r cluster.Route, port int) int { return cmp.Compare(r.External, port) })
	return found && t.assignment.Routes[i].Endpoint == want.Endpoint
}

// A library has what all nodes are told once for all agents of a process: ten thousand times ten thousand routes
// have room in a cluster, and not in one machine.
type library struct {
	mu    sync.Mutex
	at    map[cluster.Revision]*told
	first *told
	found chan struct{} // closed when first is there
}

// read returns what an agent has that asks for everything: what it knows, or, at its start, what is on its disk. Of
// the first one that is nothing; the others have what that was told.
func (l *library) read(ctx context.Context, known *told, first bool) *told {
	if known != nil || first {
		return known
	}
	select {
	case <-l.found:
		return l.first
	case <-ctx.Done():
		return nil
	}
}

// onto returns what an agent knows after changes.
func (l *library) onto(known *told, c wire.AssignmentChanges) (*told, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.at[c.Revision]; t != nil {
		return t, nil
	}
	var earlier cluster.Assignment
	if known != nil {
		earlier = known.assignment
	} else if c.Since != 0 {
		return nil, errors.New("there is nothing that these are changes of")
	}
	whole, err := c.Onto(earlier)
	if err != nil {
		return nil, err
	}
	t := &told{assignment: cluster.Assignment{Revision: c.Revision, Routes: whole.Routes, Nodes: whole.Nodes, Keys: whole.Keys}}
	t.named = sync.OnceValue(func() string { return wire.Digest(t.assignment) })
	if l.first == nil {
		l.first = t
		close(l.found)
	}
	if len(l.at) > 1000 || l.at == nil {
		l.at = map[cluster.Revision]*told{}
	}
	l.at[c.Revision] = t
	return t, nil
}
