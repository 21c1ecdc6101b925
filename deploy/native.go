package deploy

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/drover/drover/cluster"
)

// applicationKeys are those of an application in a native file: Flocker's, then Drover's own.
func applicationKeys() []string {
	return []string{"image", "ports", "links", "environment", "volume", "mem_limit", "cpu_shares", "restart_policy",
		"command_line", "stop_signal", "stop_timeout", "before_stop", "user", "scratch", "health", "swappiness"}
}

// readApplications reads the application file, of whatever kind it is, into f.
func (f *Files) readApplications(s Source) Errors {
	f.places = places{}
	root, wrong := parseYAML(s)
	if root == nil {
		return wrong
	}
	r := &applicationReader{reader: reader{file: s.Name, prefix: "Application configuration has an error. ", errors: wrong}, places: f.places}
	switch {
	case root.kind != mapping:
		r.failAs(fmt.Sprintf("Application configuration must be a dictionary, got %s.", root.kind.flocker()), root,
			"want a mapping with version and applications; got %s", root)
	case isCompose(root):
		f.definitions = r.compose(root, s)
	case isFig(root):
		f.definitions = r.fig(root)
	default:
		f.definitions = r.native(root)
	}
	return r.errors
}

// An applicationReader reads application files and notes where things stand.
type applicationReader struct {
	reader
	places places
	linked int // how many links the links of the file stand for
}

// mayLink reports whether the file may stand for n links more. A word of Fig's and of Compose's is one for
// each port of the application that it names.
func (r *applicationReader) mayLink(v *value, n int) bool {
	before := r.linked
	r.linked += n
	if r.linked > maxLinks && before <= maxLinks {
		r.fail(v, "the file stands for more than %d links", maxLinks)
	}
	return r.linked <= maxLinks
}

// note remembers where a path of the configuration was written.
func (r *applicationReader) note(path string, v *value) {
	r.places[path] = place{r.file, v.line, v.path()}
}

// noteAll notes a value of a native file and all that is in it.
func (r *applicationReader) noteAll(v *value) {
	r.note(v.path(), v)
	for _, part := range v.parts {
		r.noteAll(part)
	}
}

// native reads a file of Flocker's form. Like Flocker it ignores other keys at the top, which is
// where anchors can live. The result is nil when there is no telling which applications there are.
func (r *applicationReader) native(root *value) []definition {
	const want = "a mapping of names to applications"
	applications := r.top(root, "applications", want)
	r.version(root)
	if !r.isMapping(applications, want) {
		return nil
	}
	all := make([]definition, len(applications.parts))
	for i, v := range applications.parts {
		r.prefix = inApplication(v.key)
		all[i] = r.application(cluster.AppName(v.key), v)
	}
	return all
}

func inApplication(name string) string {
	return fmt.Sprintf("Application '%s' has a config error. ", name)
}

func (r *applicationReader) application(name cluster.AppName, v *value) definition {
	r.noteAll(v)
	d := definition{application: cluster.Application{Name: name}}
	if v.kind != mapping {
		r.failAs(fmt.Sprintf("%sApplication configuration must be dictionary; got type '%s'.", r.prefix, v.kind.flocker()), v,
			"want a mapping with an image, or a command_line for the process runtime; got %s", v)
		d.application.Image = unreadable
		return d
	}
	r.mapping(v, "", applicationKeys()...)
	app := &d.application
	app.Image = r.image(v)
	app.Command = r.texts(v.get("command_line"))
	app.Ports = r.ports(v.get("ports"))
	app.Links = r.links(v.get("links"))
	app.Environment = r.environment(v.get("environment"))
	app.Volume, d.volume = r.volume(name, v.field("volume"))
	app.Limits = r.limits(v)
	app.Restart = r.restartPolicy(v.get("restart_policy"))
	app.Stop = r.stopPolicy(v)
	app.User = r.text(v.get("user"))
	app.Scratch = r.texts(v.get("scratch"))
	app.Health = r.health(v.get("health"))
	return d
}

// unreadable stands for an image whose fault was reported, so that it is not called missing too. No
// image can have this name: it has a space.
const unreadable = "unreadable"

func (r *applicationReader) image(app *value) string {
	v, command := app.get("image"), app.get("command_line")
	switch {
	case v != nil:
	case command != nil && command.kind != list:
		return unreadable
	case command != nil && len(command.parts) > 0:
		return ""
	default:
		r.missing(app, "image", r.prefix+"Missing 'image' key.",
			`an image such as "postgres:15", or a command_line for the process runtime`)
		return unreadable
	}
	if v.kind == aString && (v.text == "" || v.text[0] == ':' || strings.ContainsAny(v.text, " \t\n")) {
		r.failAs(fmt.Sprintf("%sInvalid Docker image name. Docker image names must have format 'repository[:tag]'. Found '%s'.", r.prefix, v.text),
			v, "want an image such as postgres:15; got %s", v)
	}
	return cmp.Or(r.text(v), unreadable)
}
