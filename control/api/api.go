// Package api is the HTTP interface of the control service: Flocker's v1 API, as its clients know
// it, and Drover's own resources beside it.
//
//	server := api.Server(service, api.Options{Log: log, Compose: deploy.Compose})
//	err = server.Serve(tls.NewListener(listener, tlsConfig)) // from pki.ServerTLS
//
// Every request goes one way; each route is one row of a table in routes.go:
//
//	certificate -> identity -> may it? -> its turn -> handler -> reply or error -> one place that writes it
//	                 pki       access.go  turns.go                                  reply.go
//
// A client that does not send, or does not read, is left after a while, and has no more than its share of the
// service: see deadlines.go and turns.go.
//
// Handlers return values and errors. They choose no error status and decide nothing: the service
// does. What Flocker's objects mean is in package flocker, what its schemas say in package schema.
package api

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/drover/drover/cluster"
)

// Options are how to serve the API.
type Options struct {
	// Log is where requests are told of, at level debug, and faults of the server, as errors;
	// nil: slog's default.
	Log *slog.Logger
	// Compose makes the configuration that application and deployment files, as JSON, ask for.
	// Without it that call is not supported.
	Compose Compose
	// MaxBody bounds the body of a request in bytes; zero means 16 MiB.
	MaxBody int64
	// Patience is how long a client may take for each piece of a body or an answer; zero means 30 s.
	Patience time.Duration
}

// Compose reads application and deployment files as JSON, which may take a while. Deploy makes a configuration
// of them, on top of the current one, at once. Errors of both are for the author of the files.
type Compose func(applications, deployment json.RawMessage) (deploy func(current cluster.Configuration, nodes []cluster.Node) (cluster.Configuration, error), err error)

const defaultMaxBody = 16 << 20

func (o Options) maxBody() int64 {
	if o.MaxBody > 0 {
		return o.MaxBody
	}
	return defaultMaxBody
}

func (o Options) patience() time.Duration { return cmp.Or(o.Patience, 30*time.Second) }

func (o Options) log() *slog.Logger {
	if o.Log != nil {
		return o.Log
	}
	return slog.Default()
}

// An api is the handler under construction, and what its handlers share.
type api struct {
	Options
	service Service
	clients clients
}

// Server returns what serves the whole API, with its bounds for clients. Its listener must be one of TLS that
// verifies the certificates of clients: a request without one is refused.
func Server(s Service, o Options) *http.Server {
	return &http.Server{
		Handler:           New(s, o),
		ReadHeaderTimeout: 10 * time.Second, // and of the handshake
		IdleTimeout:       4 * o.patience(),
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(o.log().Handler(), slog.LevelDebug),
	}
}

// New returns the handler of the Server.
func New(s Service, o Options) http.Handler {
	// Otherwise gin prints each route to standard output.
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	engine.ForwardedByClientIP = false
	if err := engine.SetTrustedProxies(nil); err != nil {
		panic(err) // an empty list has nothing that could be wrong
	}
	a := &api{Options: o, service: s}
	engine.Use(a.begin)
	for _, r := range a.routes() {
		engine.Handle(r.method, r.path, a.serve(r))
	}
	engine.NoRoute(func(c *gin.Context) {
		a.refuse(c, http.StatusNotFound, "there is no "+c.Request.URL.Path)
	})
	engine.NoMethod(func(c *gin.Context) {
		a.refuse(c, http.StatusMethodNotAllowed, c.Request.Method+" is not a method of "+c.Request.URL.Path)
	})
	return engine
}
