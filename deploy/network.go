package deploy

import (
	"github.com/drover/drover/cluster"
)

func (r *applicationReader) ports(v *value) []cluster.Port {
	var ports []cluster.Port
	for _, item := range r.items(v, "a list of {internal, external}") {
		port := cluster.Port{}
		if r.mapping(item, "{internal, external}", "internal", "external") {
			port.Internal = r.port(item, "internal", "Invalid ports specification. Missing internal port.")
			port.External = r.port(item, "external", "Invalid ports specification. Missing external port.")
			ports = append(ports, port)
		}
	}
	return ports
}

func (r *applicationReader) links(v *value) []cluster.Link {
	var links []cluster.Link
	for _, item := range r.items(v, "a list of {local_port, remote_port, alias}") {
		link := cluster.Link{}
		if r.mapping(item, "{local_port, remote_port, alias}", "local_port", "remote_port", "alias") {
			link.LocalPort = r.port(item, "local_port", "Invalid links specification. Missing local port.")
			link.RemotePort = r.port(item, "remote_port", "Invalid links specification. Missing remote port.")
			if item.get("alias") == nil {
				r.missing(item, "alias", r.prefix+"Invalid links specification. Missing alias.", "the name that the variables of the link begin with")
			}
			link.Alias = r.text(item.get("alias"))
			links = append(links, link)
		}
	}
	return links
}

// port reads a port that must be there.
func (r *applicationReader) port(v *value, key, flocker string) int {
	if v.get(key) == nil {
		r.missing(v, key, r.prefix+flocker, "a port from 1 to 65535")
	}
	return int(r.integer(v.get(key)))
}

// environment reads variables. Numbers are refused, as Flocker refused them: YAML would change
// how some are written ("0755", "1e3", "12:30").
func (r *reader) environment(v *value) map[string]string {
	if !r.isMapping(v, "a mapping of variables to strings") {
		return nil
	}
	variables := make(map[string]string, len(v.parts))
	for _, part := range v.parts {
		variables[part.key] = r.text(part)
	}
	return variables
}
