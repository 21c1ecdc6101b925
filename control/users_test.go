package control

import (
	"testing"

	"github.com/drover/drover/cluster"
)

// TestAUserWhoIsRemovedStaysOut, over a restart; and somebody is left.
func TestAUserWhoIsRemovedStaysOut(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.ok(l.RevokeUser(l.ctx, "alice", "admin"))
		l.ok(l.RevokeUser(l.ctx, "alice", "admin")) // again
		l.wantEvent("user removed", "alice")
		l.wantKind(l.RevokeUser(l.ctx, "admin", "admin"), cluster.ErrRefused)
		l.wantKind(l.RevokeUser(l.ctx, "admin", "alice"), cluster.ErrForbidden)
		l.wantKind(l.RevokeUser(l.ctx, "", "admin"), cluster.ErrInvalid)
		l.wantKind(l.RevokeUser(l.ctx, "a\x1bb", "admin"), cluster.ErrInvalid)
		l.restart()
		if r := l.Revocations(); len(r) != 1 || r[0].User != "alice" || r[0].By != "admin" || r[0].Revoked.IsZero() || !l.Revoked("alice") || l.Revoked("admin") {
			t.Errorf("after a restart: %+v", r)
		}
	})
}
