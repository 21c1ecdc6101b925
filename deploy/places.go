package deploy

import (
	"fmt"
	"strings"

	"github.com/drover/drover/cluster"
)

// A place is where something stands.
type place struct {
	file string
	line int
	path string
}

func (p place) String() string { return fmt.Sprintf("%s (%s:%d)", p.path, p.file, p.line) }

// places tells where in a file a path of the configuration was written. For a native file the two
// paths are the same; a Fig file writes "db.links[0]" for "applications.db.links[2]".
type places map[string]place

// find returns the place of the path, or of the nearest thing around it that has one.
func (p places) find(path string) (place, bool) {
	for path != "" {
		if at, ok := p[path]; ok {
			return at, true
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return place{}, false
}

// locate says where in the application file the problems of a configuration were written. It
// leaves out what known errors have said already.
func (f *Files) locate(problems cluster.Problems, known Errors) Errors {
	said := places{}
	for _, e := range known {
		said[e.Path] = place{}
	}
	var found Errors
	for _, p := range problems {
		e := f.errorAt(p.Path, p.Message)
		if other, ok := f.places.find(p.Other); ok {
			e.Message = strings.ReplaceAll(e.Message, p.Other, other.String())
		}
		_, same := said.find(p.Path)
		_, sameHere := said.find(e.Path)
		if !same && !sameHere {
			found = append(found, e)
		}
	}
	return found
}

// errorAt is an error at a path of the configuration.
func (f *Files) errorAt(path, message string) Error {
	at, ok := f.places.find(path)
	if !ok { // it is about something that is in the cluster, not in the file
		at = place{f.application, 1, path}
	}
	flocker := fmt.Sprintf("Application configuration has an error. %s: %s", at.path, message)
	return Error{File: at.file, Line: at.line, Path: at.path, Message: message, flocker: flocker}
}
