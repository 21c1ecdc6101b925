package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/control"
	"github.com/drover/drover/control/api"
	"github.com/drover/drover/control/api/apitest"
	"github.com/drover/drover/control/store/bolt"
	"github.com/drover/drover/internal/pki"
)

// TestABackupOfARunningServiceIsOneInstant: whatever is written meanwhile. And it starts again on it.
func TestABackupOfARunningServiceIsOneInstant(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	s, err := bolt.Open(filepath.Join(t.TempDir(), "control.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	pkiDir := t.TempDir()
	authority, err := pki.Init(pkiDir, "test", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	service, err := control.Open(t.Context(), s, control.Options{Cluster: authority.ClusterID(), Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	server := apitest.Serve(t, service, api.Options{})

	// Each write has both applications, of one image.
	write := func(i int) error {
		_, err := service.Edit(t.Context(), func(c *cluster.Configuration) error {
			for _, name := range []cluster.AppName{"one", "two"} {
				c.Applications[name] = cluster.Application{Name: name, Image: fmt.Sprint("image:", i)}
			}
			return nil
		})
		return err
	}
	if err := write(0); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	ended := make(chan error, 1)
	go func() {
		var err error
		for i := 1; err == nil && !stop.Load(); i++ {
			err = write(i)
		}
		ended <- err
	}()
	file := filepath.Join(t.TempDir(), "backup")
	for range 5 {
		drover(t, nil, "control", "backup", file, "--control", server.Address, "--pki", server.Certificates)
		data := t.TempDir()
		drover(t, nil, "control", "restore", file, "--data", data, "--pki", pkiDir)
		restored, err := bolt.Open(filepath.Join(data, "control.db"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := control.Open(t.Context(), restored, control.Options{Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		c, _ := again.Configuration()
		if c.Applications["one"].Image != c.Applications["two"].Image || c.Applications["one"].Image == "" {
			t.Errorf("it has one of %s and two of %s", c.Applications["one"].Image, c.Applications["two"].Image)
		}
		restored.Close()
		drover(t, cluster.ErrExists, "control", "restore", file, "--data", data, "--pki", pkiDir)
	}
	stop.Store(true)
	if err := <-ended; err != nil {
		t.Error(err)
	}

	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %o: there are passwords in it", info.Mode().Perm())
	}
	cut := filepath.Join(t.TempDir(), "cut")
	if err := os.WriteFile(cut, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	nothing := t.TempDir()
	drover(t, cluster.ErrInvalid, "control", "restore", cut, "--data", nothing, "--pki", pkiDir)
	drover(t, cluster.ErrConflict, "control", "restore", file, "--data", nothing, "--pki", server.Certificates)
	if left, _ := os.ReadDir(nothing); len(left) > 0 {
		t.Errorf("what is refused leaves %v", left)
	}
}

// drover runs a command, which must end with that kind of error.
func drover(t *testing.T, kind error, args ...string) string {
	t.Helper()
	var out, said strings.Builder
	if err := run(t.Context(), args, stdio{strings.NewReader(""), &out, &said}); !errors.Is(err, kind) {
		t.Fatalf("drover %s: %v, want %v", strings.Join(args, " "), err, kind)
	}
	return out.String()
}
