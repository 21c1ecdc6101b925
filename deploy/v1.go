package deploy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/drover/drover/cluster"
)

// Compose is Parse for the two documents that a client of Flocker's v1 API sends, and deploy is Configuration
// of what they say. Errors say the first thing wrong in Flocker's words; they wrap the Errors with all of them.
func Compose(applications, deployment json.RawMessage) (deploy func(cluster.Configuration, []cluster.Node) (cluster.Configuration, error), err error) {
	application, err := plain("applications", applications)
	if err != nil {
		return nil, err
	}
	placement, err := plain("deployment", deployment)
	if err != nil {
		return nil, err
	}
	files, err := Parse(application, placement)
	if err != nil {
		return nil, inFlockersWords(err)
	}
	return func(current cluster.Configuration, nodes []cluster.Node) (cluster.Configuration, error) {
		next, err := files.Configuration(current, nodes)
		return next, inFlockersWords(err)
	}, nil
}

// plain writes JSON in the form that every YAML reader understands: YAML does not take the tabs
// and the surrogate pairs that JSON may have.
func plain(name string, document json.RawMessage) (Source, error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var content any
	if err := decoder.Decode(&content); err != nil {
		return Source{}, fmt.Errorf("%w: read %s: %w", cluster.ErrInvalid, name, err)
	}
	data, err := json.Marshal(content)
	return Source{Name: name, Data: data}, err
}

type flockerError struct{ Errors }

func (e flockerError) Error() string { return cmp.Or(e.Errors[0].flocker, e.Errors[0].Error()) }

func (e flockerError) Unwrap() error { return e.Errors }

func inFlockersWords(err error) error {
	if errs, ok := err.(Errors); ok && len(errs) > 0 {
		return flockerError{errs}
	}
	return err
}
