package deploy

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/drover/drover/cluster"
)

// isCompose tells a Compose file from the others: it has services.
func isCompose(root *value) bool {
	return root.field("services") != nil && root.field("applications") == nil
}

// The keys of a Compose file that are honoured, or that mean nothing here and so need not be. All
// others are refused: a file must not mean less here than its author thinks.
var (
	composeTop     = []string{"version", "name", "services", "volumes"}
	composeVolume  = []string{"driver", "driver_opts"}
	composeService = []string{"image", "command", "environment", "ports", "expose", "links", "depends_on", "volumes", "mem_limit",
		"cpu_shares", "mem_swappiness", "deploy", "restart", "stop_signal", "stop_grace_period", "healthcheck", "user"}
	composeHealth = []string{"test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"}
)

// compose reads a Compose file. What it may say is checked here, place by place; what it says is
// for the Compose library to read, with its short forms and variables.
func (r *applicationReader) compose(root *value, s Source) []definition {
	before := len(r.errors)
	r.prefix = ""
	r.composeBounds(root)
	r.composeKeys(root)
	if len(r.errors) > before {
		return nil
	}
	project, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir: ".", ConfigFiles: []types.ConfigFile{{Filename: s.Name, Content: s.Data}}, Environment: s.Environment,
	}, func(o *loader.Options) {
		o.SetProjectName("drover", true)
		o.SkipInclude, o.SkipExtends, o.ResolvePaths = true, true, false
	})
	if err != nil {
		r.fail(root, "%s", strings.TrimPrefix(err.Error(), "validating "+s.Name+": "))
		return nil
	}
	c := &composeReader{applicationReader: r, project: project, services: root.get("services"), users: map[string]string{}}
	var all []definition
	for _, v := range c.services.parts {
		all = append(all, c.service(v))
	}
	return all
}

// composeKeys refuses what would not be honoured.
func (r *applicationReader) composeKeys(root *value) {
	r.composeMapping(root, composeTop)
	services := root.get("services")
	if r.isMapping(services, "a mapping of names to services") {
		for _, v := range services.parts {
			r.composeMapping(v, composeService)
			r.composeMapping(v.get("healthcheck"), composeHealth)
			resources := v.get("deploy").get("resources")
			r.composeMapping(v.get("deploy"), []string{"resources"})
			r.composeMapping(resources, []string{"limits"})
			r.composeMapping(resources.get("limits"), []string{"memory"})
			if v.kind == mapping && v.get("image") == nil {
				r.missing(v, "image", "", `an image such as "postgres:15"; an image that is built must be pushed and named`)
			}
		}
	}
	volumes := root.get("volumes")
	if volumes == nil {
		return
	}
	for _, v := range volumes.parts {
		r.composeMapping(v, composeVolume)
		r.composeOptions(v.get("driver_opts"))
		if driver := v.get("driver"); driver != nil && driver.text != "drover" && driver.text != "local" {
			r.fail(driver, "%s: volumes are Drover's own: remove the key, or name drover", driver)
		}
	}
}

// composeMapping refuses the keys of a mapping that are not known. Those that begin with x- are
// the user's own.
func (r *applicationReader) composeMapping(v *value, known []string) {
	if v == nil || v.kind != mapping {
		return // the Compose library says what it should be
	}
	for _, part := range v.parts {
		if !strings.HasPrefix(part.key, "x-") && !slices.Contains(known, part.key) {
			r.fail(part, "cannot be honoured here, so it is refused: remove it (known here: %s)", strings.Join(known, ", "))
		}
	}
}

// A composeReader turns what the Compose library has read into applications.
type composeReader struct {
	*applicationReader
	project  *types.Project
	services *value
	// users tells which service uses a volume of the file.
	users map[string]string
}

func (c *composeReader) service(v *value) definition {
	s := c.project.Services[v.key]
	name := cluster.AppName(v.key)
	path := "applications." + v.key
	c.noteAs(path, v)
	app := cluster.Application{
		Name: name, Image: s.Image, Command: s.Command, User: s.User, Environment: c.composeEnvironment(v, s),
		Limits: cluster.Limits{MemoryBytes: int64(s.MemLimit), CPUShares: int(s.CPUShares), Swappiness: int(s.MemSwappiness)},
		Stop:   cluster.StopPolicy{Signal: s.StopSignal}, Restart: c.composeRestart(v.get("restart"), s.Restart),
		Health: c.composeHealth(v.get("healthcheck"), s.HealthCheck),
	}
	if s.Deploy != nil && s.Deploy.Resources.Limits != nil {
		app.Limits.MemoryBytes = cmp.Or(app.Limits.MemoryBytes, int64(s.Deploy.Resources.Limits.MemoryBytes))
	}
	if s.StopGracePeriod != nil {
		app.Stop.Timeout = time.Duration(*s.StopGracePeriod)
	}
	for i, p := range s.Ports {
		app.Ports = append(app.Ports, c.composePort(at(v.get("ports"), i), p))
		c.noteAs(fmt.Sprintf("%s.ports[%d]", path, i), at(v.get("ports"), i))
	}
	c.composeLinks(&app, v, s)
	attachment, wish := c.composeVolume(v, s)
	app.Volume = attachment
	return definition{application: app, volume: wish}
}

// noteAs notes a place of the file for a path of the configuration and all that is in it.
func (c *composeReader) noteAs(path string, v *value) {
	if v == nil {
		return
	}
	c.note(path, v)
	for _, part := range v.parts {
		if part.key != "" {
			c.noteAs(path+"."+part.key, part)
		}
	}
}

// at returns a part of a list, or the list itself where the library has made more of it.
func at(v *value, i int) *value {
	if v != nil && i < len(v.parts) {
		return v.parts[i]
	}
	return v
}

func (c *composeReader) composeEnvironment(v *value, s types.ServiceConfig) map[string]string {
	if len(s.Environment) == 0 {
		return nil
	}
	set := make(map[string]string, len(s.Environment))
	for name, content := range s.Environment {
		if content == nil {
			c.fail(v.get("environment"), "%s has no value, here or in the environment of the command: give it one", name)
			continue
		}
		set[name] = *content
	}
	return set
}

func (c *composeReader) composeRestart(v *value, text string) cluster.RestartPolicy {
	name, count, counted := strings.Cut(text, ":")
	switch name {
	case "", "no":
		return cluster.RestartPolicy{Name: cluster.RestartNever}
	case "always", "unless-stopped": // what a user has stopped is not placed any more
		return cluster.RestartPolicy{Name: cluster.RestartAlways}
	case "on-failure":
		n, err := strconv.Atoi(count)
		if counted && (err != nil || n < 1) {
			c.fail(v, "want on-failure:N with N of 1 or more; got %s", v)
		}
		return cluster.RestartPolicy{Name: cluster.RestartOnFailure, MaximumRetryCount: n}
	default:
		c.fail(v, `want "no", always, unless-stopped or on-failure[:N]; got %s`, v)
		return cluster.RestartPolicy{}
	}
}

// composeHealth reads a health check. How many failures in a row count means nothing here: an
// application is not ended for being unhealthy.
func (c *composeReader) composeHealth(v *value, h *types.HealthCheckConfig) *cluster.HealthCheck {
	if h == nil || h.Disable || len(h.Test) == 0 || h.Test[0] == "NONE" {
		return nil
	}
	check := &cluster.HealthCheck{}
	switch h.Test[0] {
	case "CMD":
		check.Command = h.Test[1:]
	case "CMD-SHELL":
		check.Command = []string{"/bin/sh", "-c", strings.Join(h.Test[1:], " ")}
	}
	if len(check.Command) == 0 {
		c.fail(v.get("test"), "want [CMD, program, argument ...], [CMD-SHELL, line], or a string")
	}
	if h.Interval != nil {
		check.Interval = time.Duration(*h.Interval)
	}
	if h.Timeout != nil {
		check.Timeout = time.Duration(*h.Timeout)
	}
	return check
}

func (c *composeReader) composePort(v *value, p types.ServicePortConfig) cluster.Port {
	external, err := strconv.Atoi(p.Published)
	switch {
	case p.Published == "":
		c.fail(v, `want a fixed port of the host too, such as "%d:%d": every node serves it`, p.Target, p.Target)
	case err != nil:
		c.fail(v, "want one port of the host; got %q", p.Published)
	case p.Protocol != "tcp":
		c.fail(v, "want tcp: %s is not supported", p.Protocol)
	case p.HostIP != "":
		c.fail(v, "an address of the host is not supported: every node serves the port at its own")
	case p.Mode != "" && p.Mode != "ingress":
		c.fail(v, "mode %q is not supported: every node serves the port", p.Mode)
	}
	return cluster.Port{Internal: int(min(p.Target, math.MaxUint16+1)), External: external}
}

// composeLinks adds a link for each port of the services that one names as its links or that it
// depends on. It finds them by their names, as it would on a network of Compose, if they publish
// their ports under the same numbers.
func (c *composeReader) composeLinks(app *cluster.Application, v *value, s types.ServiceConfig) {
	seen := map[string]bool{}
	link := func(at *value, name, alias string) {
		if seen[alias] {
			return
		}
		seen[alias] = true
		target, ok := c.project.Services[name]
		if !ok {
			c.fail(at, "no service %q is defined in this file", name)
			return
		}
		if !c.mayLink(at, len(target.Ports)) {
			return
		}
		for _, p := range target.Ports {
			if p.Published != strconv.Itoa(int(p.Target)) {
				c.fail(at, "%s publishes port %d as %q: want the same number, under which %s finds it", name, p.Target, p.Published, app.Name)
				continue
			}
			c.note(fmt.Sprintf("applications.%s.links[%d]", app.Name, len(app.Links)), at)
			app.Links = append(app.Links, cluster.Link{LocalPort: int(p.Target), RemotePort: int(p.Target), Alias: alias})
		}
	}
	for i, text := range s.Links {
		name, alias, _ := strings.Cut(text, ":")
		link(at(v.get("links"), i), name, cmp.Or(alias, name))
	}
	depends := v.get("depends_on")
	for i, name := range dependencies(depends) {
		where := at(depends, i)
		if d := s.DependsOn[name]; d.Restart || (d.Condition != "" && d.Condition != types.ServiceConditionStarted) {
			c.fail(where, "only the link is honoured, not the order of starts: want %s alone, or the condition service_started", name)
			continue
		}
		link(where, name, name)
	}
}

// dependencies returns the names of a depends_on section in the order of the file.
func dependencies(v *value) []string {
	var names []string
	if v != nil {
		for _, part := range v.parts {
			names = append(names, cmp.Or(part.key, part.text))
		}
	}
	return names
}
