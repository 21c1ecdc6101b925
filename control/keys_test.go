package control

import (
	"strings"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/wire"
)

const (
	keyOne   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJvX0YhyqVP1kPUf2xE6kqJ8cHhVJpQh3u0c0v8xGJ6A"
	keyTwo   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJvX0YhyqVP1kPUf2xE6kqJ8cHhVJpQh3u0c0v8xGJ6B"
	keyThree = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJvX0YhyqVP1kPUf2xE6kqJ8cHhVJpQh3u0c0v8xGJ6C"
)

func TestKeysOfUsersReachEveryNode(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.ok(l.Register(l.ctx, cluster.Node{ID: "d", Name: "d", TransferKey: keyThree}))
		c := l.host("c")
		waiting := c.pending(c.assignment().Revision)
		l.ok(l.AddKey(l.ctx, "me", wire.KeyRequest{Key: keyOne + " me@laptop\n"}))
		if s := arrived(t, waiting); len(s.Keys) != 1 || s.Keys[0].Name != "me" || s.Keys[0].Key != keyOne || s.Keys[0].Added.IsZero() {
			t.Errorf("the node was told %+v", s.Keys)
		}
		for _, row := range []struct {
			rule, name, key string
			kind            error
			says            string
		}{
			{"the same again", "me", keyOne, nil, ""},
			{"another key under the name", "me", keyTwo, cluster.ErrExists, "drover key rm me"},
			{"the key under another name", "you", keyOne, cluster.ErrExists, "as me"},
			{"a node's key", "you", keyThree, cluster.ErrConflict, "node d"},
			{"no key", "you", "k", cluster.ErrInvalid, ".pub"},
			{"no name", "", keyTwo, cluster.ErrInvalid, "its name"},
		} {
			err := l.AddKey(l.ctx, row.name, wire.KeyRequest{Key: row.key})
			l.wantKind(err, row.kind)
			if err != nil && !strings.Contains(err.Error(), row.says) {
				t.Errorf("%s: %v does not say %q", row.rule, err, row.says)
			}
		}
		l.wantEvent("key added", "me")
		l.restart()
		if keys := l.Keys(); len(keys) != 1 {
			t.Errorf("after a restart the keys are %v", keys)
		}
		waiting = c.pending(c.assignment().Revision)
		l.ok(l.RemoveKey(l.ctx, "me"))
		if s := arrived(t, waiting); len(s.Keys) != 0 {
			t.Errorf("the node still has %+v", s.Keys)
		}
		l.wantEvent("key removed", "me")
		l.wantKind(l.RemoveKey(l.ctx, "me"), cluster.ErrNotFound)
	})
}

func TestANodeLearnsTheNewNameOfWhatItHolds(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.runDatabase()
		c := l.host("c")
		c.state.Volumes = []cluster.Copy{{Volume: dbVolume, Role: cluster.Replica}}
		c.report()
		waiting := c.pending(c.assignment().Revision)
		l.configure(func(c *cluster.Configuration) {
			v := c.Volumes[dbVolume]
			v.Name = "other"
			c.Volumes[dbVolume] = v
		})
		if s := arrived(t, waiting); s.VolumeNames()[dbVolume] != "other" {
			t.Errorf("it was told %v", s.Owners)
		}
	})
}
