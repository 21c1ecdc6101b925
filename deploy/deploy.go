// Package deploy turns what a user writes, an application file and a deployment file, into the
// configuration of the cluster, and tells what that changes.
//
//	files, err := deploy.Read("application.yml", "deployment.yml")
//	next, err := files.Configuration(current, nodes)
//	changes := deploy.Diff(current, next)          // none: nothing to do
//	for _, sentence := range deploy.Render(changes, nodes) { ... }
//
// Application files may be Drover's (which are Flocker's, with a few more keys), Fig's or Compose's:
//
//	application file -- native.go, fig.go, --+               current, nodes
//	                    compose.go           |                     |
//	                                         +--> Files ---> Configuration ---> Diff ---> Render
//	                                         |
//	deployment file ---- deployment.go ------+
//
// Whatever is wrong is said at once, each with its file, line and path: see Errors. The package
// talks to nobody, starts nothing and does not know what runs: it compares wishes with wishes.
// It is the only one that knows YAML.
package deploy

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/drover/drover/cluster"
)

// A Source is a file that was read.
type Source struct {
	// Name is how errors call it, usually its path.
	Name string
	// Data is its content: YAML, and so JSON too.
	Data []byte
	// Environment has the values of the variables that a Compose file may name.
	Environment map[string]string
}

// Files are an application file and a deployment file that are right in themselves.
type Files struct {
	application string // the names of the files
	deployment  string
	definitions []definition // in the order of the file
	placements  []placement
	places      places
	defined     map[string]bool // see defines
}

// A definition is an application as its file defines it: all but where it runs.
type definition struct {
	application cluster.Application
	// volume is what the file says of its volume.
	volume volumeWish
}

// A volumeWish is what a file says of a volume.
type volumeWish struct {
	// maximumSize is in bytes; zero for no limit.
	maximumSize int64
	// profile and options count when the volume is made. Empty: the file does not say.
	profile string
	options map[string]string
}

// A placement is a node of the deployment file with the applications that shall run there.
type placement struct {
	node         string // address, name or id
	at           place
	applications []cluster.AppName
}

// Read reads the two files. What is wrong in them is returned as Errors.
func Read(applicationPath, deploymentPath string) (*Files, error) {
	application, err := os.ReadFile(applicationPath)
	if err != nil {
		err = fmt.Errorf("read application file: %w", err)
	}
	deployment, err2 := os.ReadFile(deploymentPath)
	if err2 != nil {
		err2 = fmt.Errorf("read deployment file: %w", err2)
	}
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	return Parse(Source{Name: applicationPath, Data: application, Environment: environment()}, Source{Name: deploymentPath, Data: deployment})
}

// Parse is Read for files that are in memory.
func Parse(application, deployment Source) (*Files, error) {
	f := &Files{application: application.Name, deployment: deployment.Name}
	known := f.readApplications(application)
	// What clashes within the file needs no cluster to be seen.
	alone, _ := f.merge(cluster.Configuration{}, nil)
	wrong := inOrder(append(known, f.locate(alone.Validate(), known)...))
	wrong = append(wrong, inOrder(f.readDeployment(deployment))...)
	if len(wrong) > 0 {
		return nil, wrong
	}
	return f, nil
}

// environment is that of this process.
func environment() map[string]string {
	set := map[string]string{}
	for _, entry := range os.Environ() {
		name, content, _ := strings.Cut(entry, "=")
		set[name] = content
	}
	return set
}
