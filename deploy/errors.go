package deploy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/drover/drover/cluster"
)

// An Error is one thing wrong in a file.
type Error struct {
	File string `json:"file"`
	// Line counts from 1.
	Line int `json:"line"`
	// Path leads to it within the file: "applications.db.ports[0].external". Empty means the
	// whole file.
	Path string `json:"path,omitempty"`
	// Message says what is wrong and what would be right.
	Message string `json:"message"`

	// flocker is how Flocker said it.
	flocker string
}

func (e Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
	}
	return fmt.Sprintf("%s:%d: %s: %s", e.File, e.Line, e.Path, e.Message)
}

// Errors is all that is wrong in the files: first the application file, then the deployment file,
// each from top to bottom. It is a cluster.ErrInvalid.
type Errors []Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Is makes errors.Is(e, cluster.ErrInvalid) hold.
func (e Errors) Is(target error) bool { return target == cluster.ErrInvalid }

// inOrder sorts the errors of one file by line and returns them.
func inOrder(e Errors) Errors {
	slices.SortStableFunc(e, func(a, b Error) int { return cmp.Compare(a.Line, b.Line) })
	return e
}
