package cluster

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A Problem is one thing wrong with what a user wrote.
type Problem struct {
	// Path leads to it: "applications.db.ports[0].external".
	Path string
	// Message says what is wrong and what would be right.
	Message string
	// Other is the path that it clashes with, as the message names it; empty if there is none.
	Other string
}

func (p Problem) String() string { return p.Path + ": " + p.Message }

// Problems is an error that lists all that is wrong, not just the first. It is an ErrInvalid.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// Is makes errors.Is(p, ErrInvalid) hold.
func (p Problems) Is(target error) bool { return target == ErrInvalid }

// Err returns p as an error, or nil when there is no problem.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

func (p *Problems) add(path, format string, args ...any) {
	*p = append(*p, Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

// clash adds a problem between two paths. The last %s of the format stands for the other one.
func (p *Problems) clash(path, other, format string, args ...any) {
	*p = append(*p, Problem{Path: path, Message: fmt.Sprintf(format, append(args, other)...), Other: other})
}

var aliasPattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]*$`)

// Validate returns everything that is wrong with a configuration in itself: names, ports used
// twice, applications whose volume does not exist or is used twice. It does not ask whether the
// nodes exist. The order is stable.
func (c Configuration) Validate() Problems {
	var p Problems
	externals := map[int]string{}
	users := map[VolumeID]AppName{}
	for _, name := range slices.Sorted(maps.Keys(c.Applications)) {
		app := c.Applications[name]
		path := "applications." + Printable(name)
		if app.Name != name {
			p.add(path, "is filed under another name: %s", Shown(string(app.Name)))
		}
		p = append(p, app.validate(path)...)
		for i, port := range app.Ports {
			where := fmt.Sprintf("%s.ports[%d].external", path, i)
			if first, taken := externals[port.External]; taken {
				p.clash(where, first, "external ports are unique in the cluster: %d is already used by %s", port.External)
				continue
			}
			externals[port.External] = where
		}
		if app.Volume == nil {
			continue
		}
		v, ok := c.Volumes[app.Volume.Volume]
		switch other, used := users[app.Volume.Volume]; {
		case used:
			p.clash(path+".volume", "applications."+string(other)+".volume", "volume %s is already used by %s", app.Volume.Volume)
		case !ok || v.Deleted:
			p.add(path+".volume", "no such volume: %s", Printable(app.Volume.Volume))
		case app.Node != "" && v.Primary != app.Node:
			p.add(path+".volume", "the volume is placed on node %s and the application on node %s", v.Primary, app.Node)
		}
		users[app.Volume.Volume] = name
	}
	return append(p, c.validateVolumes()...)
}

func (c Configuration) validateVolumes() Problems {
	var p Problems
	names := map[string]VolumeID{}
	for _, id := range slices.Sorted(maps.Keys(c.Volumes)) {
		v := c.Volumes[id]
		path := "volumes." + Printable(id)
		if !IsUUID(string(id)) || v.ID != id {
			p.add(path, "the id %s is not a version 4 UUID", Shown(string(v.ID)))
		}
		for _, problem := range v.Validate() {
			p.add(path+"."+problem.Path, "%s", problem.Message)
		}
		if v.Deleted || v.Name == "" {
			continue
		}
		if other, taken := c.Volumes[VolumeID(v.Name)]; taken && other.ID != id {
			p.add(path+".name", "%q is the id of another volume", v.Name)
		}
		if first, taken := names[v.Name]; taken {
			p.add(path+".name", "%q is already the name of volume %s", v.Name, first)
		}
		names[v.Name] = id
	}
	return p
}

func (a Application) validate(path string) Problems {
	var p Problems
	if !ValidName(string(a.Name)) {
		p.add(path, "%s is not a valid name: %s", Shown(string(a.Name)), plainName.want)
	}
	if a.Image != "" && !imageName.fits(a.Image) {
		p.add(path+".image", "%s: %s", Shown(a.Image), imageName.want)
	}
	if a.Image == "" && len(a.Command) == 0 {
		p.add(path, "needs an image, or a command_line for the process runtime")
	}
	internals := map[int]bool{}
	for i, port := range a.Ports {
		where := fmt.Sprintf("%s.ports[%d]", path, i)
		checkPort(&p, where+".internal", port.Internal)
		checkPort(&p, where+".external", port.External)
		if internals[port.Internal] {
			p.add(where+".internal", "port %d is given twice", port.Internal)
		}
		internals[port.Internal] = true
	}
	type linkKey struct {
		alias string
		port  int
	}
	links := map[linkKey]bool{}
	for i, link := range a.Links {
		where := fmt.Sprintf("%s.links[%d]", path, i)
		checkPort(&p, where+".local_port", link.LocalPort)
		checkPort(&p, where+".remote_port", link.RemotePort)
		if !aliasPattern.MatchString(link.Alias) {
			p.add(where+".alias", "%s: use letters, digits, '_' and '-'", Shown(link.Alias))
		}
		key := linkKey{strings.ToLower(link.Alias), link.LocalPort}
		if links[key] {
			p.add(where, "alias %s with local port %d is given twice", link.Alias, link.LocalPort)
		}
		links[key] = true
	}
	for _, name := range slices.Sorted(maps.Keys(a.Environment)) {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			p.add(path+".environment", "%s cannot name a variable", Shown(name))
		}
	}
	if a.Volume != nil && !strings.HasPrefix(a.Volume.Mountpoint, "/") {
		p.add(path+".volume.mountpoint", "%s: want an absolute path", Shown(a.Volume.Mountpoint))
	}
	return append(p, a.validatePolicies(path)...)
}

func (a Application) validatePolicies(where string) Problems {
	var p Problems
	switch a.Restart.Name {
	case "", RestartNever, RestartAlways, RestartOnFailure:
	default:
		p.add(where+".restart_policy.name", "%q: use one of always, never, on-failure", a.Restart.Name)
	}
	if a.Restart.MaximumRetryCount != 0 && a.Restart.Name != RestartOnFailure {
		p.add(where+".restart_policy.maximum_retry_count", "goes with on-failure only")
	}
	if a.Restart.MaximumRetryCount < 0 {
		p.add(where+".restart_policy.maximum_retry_count", "%d: want 1 or more", a.Restart.MaximumRetryCount)
	}
	if a.Limits.MemoryBytes < 0 {
		p.add(where+".mem_limit", "%d: want a number of bytes", a.Limits.MemoryBytes)
	}
	if a.Limits.CPUShares < 0 {
		p.add(where+".cpu_shares", "%d: want 1 or more", a.Limits.CPUShares)
	}
	if a.Stop.Timeout < 0 {
		p.add(where+".stop_timeout", "%s: want a positive time", a.Stop.Timeout)
	}
	for i, at := range a.Scratch {
		if !strings.HasPrefix(at, "/") || at == "/" || path.Clean(at) != at {
			p.add(fmt.Sprintf("%s.scratch[%d]", where, i), "%q: want an absolute path in the container, such as /cache", at)
		}
	}
	if a.Health != nil {
		a.Health.validate(where+".health", &p)
	}
	slices.SortFunc(p, func(a, b Problem) int { return cmp.Compare(a.Path, b.Path) })
	return p
}

func (h HealthCheck) validate(where string, p *Problems) {
	if len(h.Command) == 0 {
		p.add(where+".command", "is missing")
	}
	if h.Interval < 0 {
		p.add(where+".interval", "%s: want a positive time", h.Interval)
	}
	if h.Timeout < 0 {
		p.add(where+".timeout", "%s: want a positive time", h.Timeout)
	}
}

func checkPort(p *Problems, path string, port int) {
	if port < 1 || port > 65535 {
		p.add(path, "%d: want a port from 1 to 65535", port)
	}
}
