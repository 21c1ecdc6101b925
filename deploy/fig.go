package deploy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/drover/drover/cluster"
)

// isFig tells a Fig file from a native one: it has neither of the keys of a native file, but at
// its top something that has an image or a way to build one.
func isFig(root *value) bool {
	if root.field("version") != nil || root.field("applications") != nil {
		return false
	}
	return slices.ContainsFunc(root.parts, func(v *value) bool {
		return v.field("image") != nil || v.field("build") != nil
	})
}

// figKeys are those that are understood; laterKeys are Fig's, but nothing here stands for them.
func figKeys() []string {
	return []string{"image", "environment", "ports", "links", "volumes", "mem_limit"}
}

func laterKeys() []string {
	return []string{"working_dir", "entrypoint", "user", "hostname", "domainname", "privileged", "dns", "net",
		"volumes_from", "expose", "command"}
}

// fig reads a Fig file: a mapping of names to services.
func (r *applicationReader) fig(root *value) []definition {
	all := make([]definition, len(root.parts))
	services := make(map[string]*cluster.Application, len(root.parts))
	for i, v := range root.parts {
		r.prefix = inApplication(v.key)
		all[i] = r.service(cluster.AppName(v.key), v)
		services[v.key] = &all[i].application
	}
	for i, v := range root.parts { // links need the ports of all
		r.prefix = inApplication(v.key)
		for _, item := range r.items(v.get("links"), `a list of strings such as "db" or "db:alias"`) {
			r.figLink(&all[i].application, item, services)
		}
	}
	return all
}

func (r *applicationReader) service(name cluster.AppName, v *value) definition {
	app := cluster.Application{Name: name, Image: unreadable}
	path := "applications." + v.key
	r.note(path, v)
	if v.kind != mapping {
		r.failAs(fmt.Sprintf("%sApplication configuration must be dictionary; got type '%s'.", r.prefix, v.kind.flocker()), v,
			"want a mapping with an image; got %s", v)
		return definition{application: app}
	}
	app.Image = r.figImage(v)
	r.figKeys(v)
	app.Environment = r.figEnvironment(v.get("environment"))
	for i, item := range r.items(v.get("ports"), `a list of strings such as "80:80"`) {
		r.note(fmt.Sprintf("%s.ports[%d]", path, i), item)
		app.Ports = append(app.Ports, r.figPort(item))
	}
	app.Volume = r.figVolume(name, v.get("volumes"))
	app.Limits.MemoryBytes = r.integer(v.get("mem_limit"))
	for _, key := range []string{"environment", "mem_limit"} {
		if part := v.field(key); part != nil {
			r.note(path+"."+key, part)
		}
	}
	return definition{application: app}
}

func (r *applicationReader) figImage(v *value) string {
	build := v.get("build")
	switch {
	case build == nil && v.get("image") == nil:
		r.missing(v, "image", r.prefix+"Application configuration must contain either an 'image' or 'build' key.",
			`an image such as "postgres:15"`)
		return unreadable
	case build == nil:
	case v.get("image") == nil:
		r.failAs(r.prefix+"'build' is not supported yet; please specify 'image'.", build,
			"is not supported: build the image, push it and name it as image")
		return unreadable
	default:
		r.failAs(r.prefix+"Must specify either 'build' or 'image'; found both.", build,
			"is not supported: remove it and keep the image")
	}
	return r.image(v)
}

// figKeys refuses the keys that are not understood, those of Fig by their own message.
func (r *applicationReader) figKeys(v *value) {
	later := laterKeys()
	var found []*value
	for _, part := range v.parts {
		if slices.Contains(later, part.key) {
			found = append(found, part)
		}
	}
	flocker := r.prefix + "Unsupported fig keys found: " + joinKeys(found)
	for _, part := range found {
		r.failAs(flocker, part,
			"this key of Fig is not supported: remove it, or write the application as a version 1 application file")
	}
	rest := *v
	rest.parts = slices.DeleteFunc(slices.Clone(v.parts), func(part *value) bool {
		return part.key == "build" || slices.Contains(later, part.key)
	})
	r.mapping(&rest, "", figKeys()...)
}

// figEnvironment reads variables as a mapping, or as a list of "NAME=value" or "NAME".
func (r *applicationReader) figEnvironment(v *value) map[string]string {
	if v == nil || v.kind != list {
		return r.environment(v)
	}
	variables := make(map[string]string, len(v.parts))
	for _, item := range v.parts {
		name, content, _ := strings.Cut(r.text(item), "=")
		variables[name] = content
	}
	return variables
}

func (r *applicationReader) figPort(v *value) cluster.Port {
	host, container, ok := strings.Cut(v.text, ":")
	external, err := strconv.Atoi(host)
	internal, err2 := strconv.Atoi(container)
	if v.kind != aString || !ok {
		r.failAs(r.prefix+"'ports' must be list of string values in the form of 'host_port:container_port'.", v,
			`want a string "host_port:container_port", such as "80:80"; got %s`, v)
	} else if err != nil || err2 != nil {
		r.failAs(fmt.Sprintf("%s'ports' value '%s' could not be parsed in to integer values.", r.prefix, v.text), v,
			`want two numbers "host_port:container_port", such as "80:80"; got %s`, v)
	}
	return cluster.Port{Internal: internal, External: external}
}

func (r *applicationReader) figVolume(name cluster.AppName, v *value) *cluster.Attachment {
	paths := r.items(v, `a list of one path, such as ["/data"]`)
	if len(paths) == 0 {
		return nil
	}
	if len(paths) > 1 {
		r.failAs(r.prefix+"Only one volume per application is supported at this time.", v,
			"only one volume per application is supported; got %d", len(paths))
	}
	at := paths[0]
	mountpoint := r.text(at)
	if strings.Contains(mountpoint, ":") {
		r.fail(at, "paths of the host are not supported: want the path in the container alone; got %s", at)
	}
	id := cluster.VolumeIDForName(name)
	r.note("applications."+string(name)+".volume", at)
	r.note(volumePath(id), at)
	return &cluster.Attachment{Volume: id, Mountpoint: mountpoint}
}

// figLink adds one link for each port of the application that it leads to.
func (r *applicationReader) figLink(app *cluster.Application, v *value, services map[string]*cluster.Application) {
	text := r.text(v)
	name, alias, ok := strings.Cut(text, ":")
	if !ok {
		alias = name
	}
	target := services[name]
	if target == nil {
		if v.kind == aString {
			r.failAs(fmt.Sprintf("%s'links' value '%s' could not be mapped to any application; application '%s' does not exist.", r.prefix, text, name),
				v, "no application %q is defined in this file", name)
		}
		return
	}
	if !r.mayLink(v, len(target.Ports)) {
		return
	}
	for _, port := range target.Ports {
		r.note(fmt.Sprintf("applications.%s.links[%d]", app.Name, len(app.Links)), v)
		app.Links = append(app.Links, cluster.Link{LocalPort: port.Internal, RemotePort: port.External, Alias: alias})
	}
}
