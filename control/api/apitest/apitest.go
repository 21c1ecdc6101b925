// Package apitest runs the API for tests: over TLS on loopback, with certificates of its own.
//
//	service := apitest.NewService()
//	server := apitest.Serve(t, service, api.Options{})
//	c, err := client.FromFiles(server.Address, server.Certificates, pki.User)
//
// The Service here remembers and answers what a test tells it to. It is no control service: it
// owns nothing, moves nothing and checks only what the API's own contract asks for.
package apitest

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api"
	"github.com/drover/drover/internal/pki"
)

// The nodes that have certificates.
const (
	NodeA cluster.NodeID = "aaaaaaaa-0000-4000-8000-000000000000"
	NodeB cluster.NodeID = "bbbbbbbb-1111-4111-8111-111111111111"
)

// A Server serves until its test ends.
type Server struct {
	// Address is its host:port.
	Address string
	// Certificates is the directory of the authority, the control service and a user.
	Certificates string
}

// Serve starts a server. It answers as soon as Serve returns.
func Serve(t testing.TB, s api.Service, o api.Options) *Server {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dir := t.TempDir()
	authority, err := pki.Init(dir, "test", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	server := &Server{Certificates: dir}
	for _, id := range []cluster.NodeID{NodeA, NodeB} {
		if err := authority.Node(server.NodeCertificates(id), id); err != nil {
			t.Fatal(err)
		}
	}
	tlsConfig, err := pki.ServerTLS(dir, pki.Control)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server.Address = listener.Addr().String()
	h := api.Server(s, o)
	served := make(chan error, 1)
	go func() { served <- h.Serve(tls.NewListener(listener, tlsConfig)) }()
	t.Cleanup(func() {
		h.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve the API: %v", err)
		}
	})
	return server
}

// NodeCertificates is the directory of the certificates of NodeA or NodeB.
func (s *Server) NodeCertificates(id cluster.NodeID) string {
	return filepath.Join(s.Certificates, string(id))
}
