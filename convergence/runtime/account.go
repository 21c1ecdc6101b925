package runtime

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"

	"github.com/drover/drover/cluster"
)

// Account returns the ids of the user and the group that an application runs as. An empty name
// means the agent's own account. An unknown one is cluster.ErrRefused.
func Account(name string) (uid, gid int, err error) {
	if name == "" {
		return os.Getuid(), os.Getgid(), nil
	}
	u, err := user.Lookup(name)
	if unknown := user.UnknownUserError(""); errors.As(err, &unknown) {
		return 0, 0, fmt.Errorf("%w: run as %s: %w", cluster.ErrRefused, name, err)
	}
	if err != nil { // which says nothing of the user
		return 0, 0, fmt.Errorf("run as %s: %w", name, err)
	}
	if uid, err = strconv.Atoi(u.Uid); err == nil {
		gid, err = strconv.Atoi(u.Gid)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%w: run as %s: ids %s:%s are not numbers", cluster.ErrRefused, name, u.Uid, u.Gid)
	}
	return uid, gid, nil
}
