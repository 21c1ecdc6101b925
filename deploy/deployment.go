package deploy

import (
	"fmt"

	"github.com/drover/drover/cluster"
)

// readDeployment reads the deployment file into f, after the application file.
func (f *Files) readDeployment(s Source) Errors {
	root, wrong := parseYAML(s)
	if root == nil {
		return wrong
	}
	r := &reader{file: s.Name, prefix: "Deployment configuration has an error. ", errors: wrong}
	if root.kind != mapping {
		r.failAs(fmt.Sprintf("Deployment configuration must be a dictionary, got %s.", root.kind.flocker()), root,
			"want a mapping with version and nodes; got %s", root)
		return r.errors
	}
	const want = "a mapping of nodes to lists of applications"
	nodes := r.top(root, "nodes", want)
	r.version(root)
	if r.isMapping(nodes, want) {
		f.placements = f.readNodes(r, nodes)
	}
	return r.errors
}

func (f *Files) readNodes(r *reader, nodes *value) []placement {
	placed := map[string]place{}
	var all []placement
	for _, node := range nodes.parts {
		r.prefix = fmt.Sprintf("Node %s has a config error. ", node.key)
		if node.kind != list {
			r.failAs(fmt.Sprintf("%sWrong value type: %s. Should be list.", r.prefix, node.kind.flocker()), node,
				"want a list of applications, [] for none; got %s", node)
			continue
		}
		p := placement{node: node.key, at: place{r.file, node.line, node.path()}}
		for _, item := range node.parts {
			name := r.text(item)
			if item.kind != aString {
				continue
			}
			f.checkPlaced(r, item, placed)
			placed[name] = place{r.file, item.line, item.path()}
			p.applications = append(p.applications, cluster.AppName(name))
		}
		all = append(all, p)
	}
	return all
}

// checkPlaced checks that a name is that of an application which is not placed yet. When the
// application file could not be read, every name passes.
func (f *Files) checkPlaced(r *reader, item *value, placed map[string]place) {
	if f.definitions != nil && !f.defines(item.text) {
		r.failAs(fmt.Sprintf("%sUnrecognised application name: %s.", r.prefix, item.text), item,
			"no application %q is defined in %s", item.text, f.application)
	} else if first, twice := placed[item.text]; twice {
		r.failAs(fmt.Sprintf("Application '%s' appears more than once.", item.text), item,
			"application %q is already placed by %s", item.text, first)
	}
}

func (f *Files) defines(name string) bool {
	if f.defined == nil {
		f.defined = map[string]bool{}
		for _, d := range f.definitions {
			f.defined[string(d.application.Name)] = true
		}
	}
	return f.defined[name]
}
