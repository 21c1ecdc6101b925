package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
)

// TestAUserIsAFileUntilHeIsRemoved: made once, listed, and not removed by a slip.
func TestAUserIsAFileUntilHeIsRemoved(t *testing.T) {
	service := apitest.NewService()
	server := apitest.Serve(t, service, api.Options{})
	at := []string{"--control", server.Address, "--authority", server.Certificates}
	file := filepath.Join(t.TempDir(), "alice.pem")
	add := []string{"user", "add", "alice", "--file", file, "--authority", server.Certificates}

	drover(t, nil, add...)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	drover(t, nil, "status", "--control", server.Address, "--pki", file)
	drover(t, cluster.ErrExists, add...)
	drover(t, cluster.ErrInvalid, "user", "add", "a/b", "--authority", server.Certificates)
	drover(t, cluster.ErrExists, "user", "add", "admin", "--file", file+"2", "--authority", server.Certificates)
	drover(t, cluster.ErrExists, "user", "add", "bob", "--file", file, "--authority", server.Certificates)
	drover(t, nil, "user", "add", "bob", "--file", file+"3", "--authority", server.Certificates) // nothing is left of what failed

	admin := append([]string{"--pki", server.Certificates}, at...)
	drover(t, cluster.ErrNotFound, append([]string{"user", "rm", "alcie"}, admin...)...)
	drover(t, cluster.ErrNotFound, "user", "rm", "alice", "--control", server.Address, "--pki", server.Certificates, "--authority", t.TempDir())
	drover(t, nil, append([]string{"user", "rm", "alice"}, admin...)...)
	drover(t, nil, append([]string{"user", "rm", "old", "--unlisted"}, admin...)...)
	if calls := service.Calls(); len(calls) != 2 || calls[0].Arguments[0] != "alice" || calls[0].Arguments[1] != "admin" || calls[1].Arguments[0] != "old" {
		t.Fatalf("calls: %v", calls)
	}
	service.Set(func(w *apitest.World) {
		w.Revocations = []cluster.Revocation{{User: "alice", Revoked: time.Now(), By: "admin"}, {User: "old", Revoked: time.Now(), By: "admin"}}
	})
	drover(t, cluster.ErrForbidden, "status", "--control", server.Address, "--pki", file)
	for _, name := range []string{"alice", "old"} { // the second one is on no record of the authority
		err := run(t.Context(), append([]string{"user", "add", name, "--file", file + "4"}, at...), stdio{strings.NewReader(""), &strings.Builder{}, &strings.Builder{}})
		if !errors.Is(err, cluster.ErrExists) || !strings.Contains(cluster.Message(err), "was removed") {
			t.Errorf("%s is made anew: %v", name, err)
		}
	}
	out := drover(t, nil, append([]string{"user", "ls", "-o", "json"}, admin...)...)
	var users []struct {
		Name, Serial string
		Expires      time.Time
		Removed      *struct{ By string }
	}
	if err := json.Unmarshal([]byte(out), &users); err != nil || len(users) != 4 {
		t.Fatalf("%s, %v", out, err)
	}
	for i, name := range []string{"admin", "alice", "bob", "old"} {
		u := users[i]
		gone, made := name == "alice" || name == "old", name != "old"
		if u.Name != name || (u.Removed != nil) != gone || (u.Serial != "") != made || made && time.Until(u.Expires) < 365*24*time.Hour {
			t.Errorf("%s is listed as %+v", name, u)
		}
	}
	if out := drover(t, nil, append([]string{"user", "ls"}, admin...)...); strings.Count(out, "by admin") != 2 {
		t.Errorf("as text: %s", out)
	}
}
