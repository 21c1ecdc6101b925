package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/drover/drover/cluster"
)

// exitCodes ends the help of every command. Scripts rely on them.
const exitCodes = `
Exit codes:
  0    it worked; of plan: there is nothing to do
  1    it did not work
  2    of plan: there are changes
  3    what was asked for is not valid, is not there or cannot be done at all: to try again does not help
  4    the control service cannot be reached, or the time to wait was over
  130  interrupted
`

// exitCode is the code of exitCodes for what has come of a command.
func exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errChanges):
		return 2
	case errors.Is(err, context.Canceled):
		return 130
	case errors.Is(err, cluster.ErrInvalid), errors.Is(err, cluster.ErrNotFound), errors.Is(err, cluster.ErrUnsupported), errors.Is(err, fs.ErrNotExist):
		return 3
	case errors.Is(err, cluster.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return 4
	default:
		return 1
	}
}

// errChanges makes `drover plan` exit with status 2.
var errChanges = errors.New("there are changes")
