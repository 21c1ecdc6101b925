package api_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/internal/pki"
)

func TestOnlyCertificatesOfTheClusterGetIn(t *testing.T) {
	server := apitest.Serve(t, apitest.NewService(), api.Options{})
	stranger := t.TempDir()
	if _, err := pki.Init(stranger, "other", "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	load := func(dir, name string) *tls.Config {
		config, err := pki.ClientTLS(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		return config
	}
	bare := load(server.Certificates, pki.User)
	bare.Certificates = nil
	foreign := load(stranger, pki.User)
	foreign.RootCAs = bare.RootCAs // so that it is the server who refuses
	dialled := load(server.Certificates, pki.User)
	dialled.ServerName = "127.0.0.1" // as curl and flocker-go verify

	for _, tt := range []struct {
		rule   string
		config *tls.Config
		status int // 0: the connection fails
	}{
		{"a user", load(server.Certificates, pki.User), 200},
		{"a user who verifies the address", dialled, 200},
		{"a node, which may not do this", load(server.NodeCertificates(apitest.NodeA), pki.Node), 403},
		{"no certificate", bare, 0},
		{"a user of another cluster", foreign, 0},
		{"a client that does not know this cluster", load(stranger, pki.User), 0},
		{"the certificate of the service", load(server.Certificates, pki.Control), 0},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			transport := &http.Transport{TLSClientConfig: tt.config}
			defer transport.CloseIdleConnections()
			c := http.Client{Transport: transport, Timeout: time.Minute}
			response, err := c.Get("https://" + server.Address + "/v1/configuration")
			if tt.status == 0 {
				if err == nil {
					t.Errorf("answered %s", response.Status)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if text, _ := io.ReadAll(response.Body); response.StatusCode != tt.status {
				t.Errorf("%s %s, want %d", response.Status, text, tt.status)
			}
		})
	}
}
