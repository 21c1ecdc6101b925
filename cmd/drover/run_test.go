package main

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
)

// A shell runs commands against a service that answers what a test tells it to.
type shell struct {
	t       *testing.T
	service *apitest.Service
	flags   []string
}

func newShell(t *testing.T, world func(*apitest.World)) *shell {
	t.Helper()
	service := apitest.NewService()
	service.Set(world)
	server := apitest.Serve(t, service, api.Options{})
	return &shell{t: t, service: service, flags: []string{"--control", server.Address, "--pki", server.Certificates}}
}

// output is what a command has written so far.
type output struct {
	mu   sync.Mutex
	text strings.Builder
	seen func(text string) // may be nil
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.text.Write(p)
	if o.seen != nil {
		o.seen(o.text.String())
	}
	return n, err
}

// run runs a command and returns what it wrote and its exit code. When it has said until, the user
// interrupts it.
func (s *shell) run(until string, args ...string) (out, said string, code int) {
	s.t.Helper()
	ctx, interrupt := context.WithCancel(s.t.Context())
	defer interrupt()
	var stdout, stderr output
	if until != "" {
		stdout.seen = func(text string) {
			if strings.Contains(text, until) {
				interrupt()
			}
		}
		stderr.seen = stdout.seen
	}
	err := run(ctx, append(args, s.flags...), stdio{strings.NewReader(""), &stdout, &stderr})
	return stdout.text.String(), stderr.text.String(), exitCode(err)
}
