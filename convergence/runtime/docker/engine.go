package docker

import (
	"context"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/drover/drover/convergence/runtime"
)

// An Engine tells what containers there are, whoever made them. It need not answer when it is made.
type Engine struct{ client *client.Client }

// NewEngine returns the engine at that address; empty is as for the docker command.
func NewEngine(host string) (*Engine, error) {
	c, err := connect(host)
	if err != nil {
		return nil, err
	}
	return &Engine{c}, nil
}

// Close ends the connection.
func (e *Engine) Close() error { return e.client.Close() }

// Containers returns all containers that have volumes of a plugin.
func (e *Engine) Containers(ctx context.Context) ([]runtime.Container, error) {
	list, err := e.client.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, err
	}
	var all []runtime.Container
	for _, item := range list.Items {
		c := runtime.Container{ID: item.ID, Name: item.ID}
		if len(item.Names) > 0 {
			c.Name = strings.TrimPrefix(item.Names[0], "/")
		}
		switch item.State {
		case container.StateRunning, container.StatePaused, container.StateRestarting:
			c.Running = true
		}
		for _, m := range item.Mounts {
			if m.Type == mount.TypeVolume && m.Driver != "" && m.Driver != "local" {
				c.Volumes = append(c.Volumes, m.Name)
			}
		}
		if len(c.Volumes) > 0 {
			all = append(all, c)
		}
	}
	return all, nil
}

// connect returns a client, which connects when it is used.
func connect(host string) (*client.Client, error) {
	options := []client.Opt{client.FromEnv, client.WithUserAgent("drover")}
	if host != "" {
		options = append(options, client.WithHost(host))
	}
	return client.New(options...)
}
