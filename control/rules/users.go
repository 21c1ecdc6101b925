package rules

import (
	"fmt"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/records"
)

// RevokeUser shuts a user out for good: all certificates with that name. Done again it changes nothing.
// Nobody shuts himself out, so that somebody is left who may do something.
func (w *Write) RevokeUser(name, by string) error {
	_, gone := w.Revocations.Get(by)
	switch {
	case gone:
		return fmt.Errorf("%w: user %s was removed", cluster.ErrForbidden, by)
	case name == "" || cluster.Printable(name) != name:
		return fmt.Errorf("%w: %s is no name of a user", cluster.ErrInvalid, cluster.Shown(name))
	case name == by:
		return fmt.Errorf("%w: this is your own certificate; another user can remove it", cluster.ErrRefused)
	}
	if _, done := w.Revocations.Get(name); done {
		return nil
	}
	records.Guard(w.Guards, w.Revocations, by) // another service may be removing him
	w.Revocations.Put(cluster.Revocation{User: name, Revoked: w.View.Wall, By: by})
	w.Tell(cluster.Event{Kind: "user removed", Message: fmt.Sprintf("user %s was removed by %s", name, by)})
	return nil
}
