package postgres_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/drover/drover/cluster"
	"github.com/drover/drover/convergence/runtime"
	"github.com/drover/drover/convergence/runtime/process"
	"github.com/drover/drover/internal/workload"
	"github.com/drover/drover/internal/workload/postgres"
)

// TestPostgres runs a real server as an agent would, kills it under load, and reads everything
// back.
func TestPostgres(t *testing.T) {
	if err := postgres.Available(); err != nil {
		t.Skipf("CANNOT RUN: PostgreSQL: %v", err)
	}
	dir, err := os.MkdirTemp("", "drover-bank-") // the server's user must get there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data := filepath.Join(dir, "volume")
	db := postgres.Database{}
	app := db.Application("bank", 5432)
	uid, gid, err := runtime.Account(app.User)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.Chmod(dir, 0o711), os.Mkdir(data, 0o711), os.Chown(data, uid, gid)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	r, err := process.Open(process.Options{Dir: filepath.Join(dir, "runtime")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Kill(t.Context(), "bank"); r.Close() })
	if err := r.Create(t.Context(), runtime.Spec{Application: app, VolumePath: data, Address: "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	address := start(t, r)
	t.Cleanup(func() { r.Kill(t.Context(), "bank") })
	if err := db.Prepare(t.Context(), address, 4, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	runner := &workload.Runner{Database: db, Address: address, Clients: 4}
	runner.Start(t.Context())
	for runner.Totals().Acknowledged < 200 {
		if failures := runner.Totals().Errors; len(failures) > 0 {
			t.Fatal(failures)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := r.Kill(t.Context(), "bank"); err != nil {
		t.Fatal(err)
	}
	runner.Stop()
	runner.Address = start(t, r)
	check, err := runner.Verify(t.Context())
	if err != nil || len(check.Lost) > 0 || check.Stored < 200 {
		t.Errorf("%+v, %v", check, err)
	}
}

// start starts the server and returns where it serves.
func start(t *testing.T, r *process.Runtime) string {
	t.Helper()
	if err := r.Start(t.Context(), cluster.AppName("bank")); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(time.Minute)
	for {
		instances, err := r.Instances(t.Context())
		if err != nil || len(instances) != 1 {
			t.Fatal(instances, err)
		}
		if instances[0].Healthy {
			return instances[0].Endpoints[postgres.Port]
		}
		select {
		case <-r.Changed():
		case <-deadline:
			t.Fatalf("it never got healthy: %+v", instances)
		}
	}
}
